// Package localkek is the embedded key service: key-encryption keys in one
// file that lies outside the data folder. Whoever has both the file and the
// data can open everything: it protects against theft of the data folder or
// of a backup of it, not against theft of the machine. With a passphrase the
// file alone opens nothing either.
//
// A wrapped key is
//
//	format 0x01 || version of the key-encryption key, uint32 big-endian ||
//	seal container(key-encryption key, context = keys.Context.Encode(), data key)
//
// 109 bytes. The container derives a fresh AES-256-GCM key from the
// key-encryption key, a random salt and the context by HKDF-SHA512, so that
// contexts are separated by key, any number of keys can be wrapped, and the
// wrapped key commits to what it was wrapped under.
package localkek

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"photovault/vault/keys"
	"photovault/vault/seal"
	"photovault/vault/secret"
)

const (
	wrappedFormat = 0x01
	prefixSize    = 1 + 4
)

var wrappedSize = prefixSize + int(seal.SealedSize(secret.KeySize))

// Service wraps under the newest key-encryption key of its file and unwraps
// under any that the file holds. It looks for a changed file once a second:
// a rotation or an erasure reaches a running service.
type Service struct {
	path   string
	unlock *secret.Key // what opens the file's keys; nil: no passphrase

	mu     sync.RWMutex
	keks   map[uint32]*secret.Key // nil: closed
	newest uint32
	read   fs.FileInfo // of the file that keks are from
	looked time.Time   // when it was last compared with the file that is there
}

var _ keys.Service = (*Service)(nil)

// NewDataKey implements keys.Service.
func (s *Service) NewDataKey(ctx context.Context, c keys.Context) (*secret.Key, []byte, error) {
	if err := s.follow(); err != nil {
		return nil, nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return nil, nil, err
	}
	key := secret.New()
	wrapped, err := s.wrap(c, key)
	if err != nil {
		key.Destroy()
		return nil, nil, err
	}
	return key, wrapped, nil
}

// UnwrapDataKey implements keys.Service.
func (s *Service) UnwrapDataKey(ctx context.Context, c keys.Context, wrapped []byte) (*secret.Key, error) {
	if err := s.follow(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.unwrap(c, wrapped)
}

// Rewrap implements keys.Service.
func (s *Service) Rewrap(ctx context.Context, items []keys.Wrapped) ([]keys.Rewrapped, error) {
	if err := s.follow(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if len(items) > keys.MaxRewrap {
		return nil, fmt.Errorf("localkek: rewrap: %d keys at once", len(items))
	}
	out := make([]keys.Rewrapped, len(items))
	for i, item := range items {
		key, err := s.unwrap(item.Context, item.Key)
		if errors.Is(err, keys.ErrRefused) {
			out[i].Err = err
			continue
		}
		if err != nil {
			return nil, err
		}
		out[i].Key, err = s.wrap(item.Context, key)
		key.Destroy()
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Version implements keys.Service.
func (s *Service) Version(wrapped []byte) (uint32, error) {
	if len(wrapped) != wrappedSize || wrapped[0] != wrappedFormat {
		return 0, keys.ErrRefused
	}
	return binary.BigEndian.Uint32(wrapped[1:]), nil
}

// wrap is called with the lock held.
func (s *Service) wrap(c keys.Context, key *secret.Key) ([]byte, error) {
	wrapped := binary.BigEndian.AppendUint32([]byte{wrappedFormat}, s.newest)
	wrapped, err := seal.Seal(wrapped, s.keks[s.newest].Bytes(), c.Encode(), key.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%w: localkek: %w", keys.ErrUnavailable, err)
	}
	return wrapped, nil
}

// unwrap is called with the lock held.
func (s *Service) unwrap(c keys.Context, wrapped []byte) (*secret.Key, error) {
	version, err := s.Version(wrapped)
	if err != nil {
		return nil, err
	}
	kek, ok := s.keks[version]
	if !ok {
		return nil, keys.ErrRefused
	}
	raw, err := seal.Open(make([]byte, 0, secret.KeySize), kek.Bytes(), c.Encode(), wrapped[prefixSize:])
	if errors.Is(err, seal.ErrAuth) {
		return nil, keys.ErrRefused
	}
	if err != nil {
		return nil, fmt.Errorf("%w: localkek: %w", keys.ErrUnavailable, err)
	}
	return secret.FromBytes(raw)
}

// Ready implements keys.Service.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.follow(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ready(ctx)
}

// ready is called with the lock held.
func (s *Service) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", keys.ErrUnavailable, err)
	}
	if s.keks == nil {
		return fmt.Errorf("%w: localkek: closed", keys.ErrUnavailable)
	}
	return nil
}

// Versions implements keys.Service.
func (s *Service) Versions(ctx context.Context) (keys.Versions, error) {
	if err := s.follow(); err != nil {
		return keys.Versions{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return keys.Versions{}, err
	}
	return keys.Versions{Oldest: slices.Min(slices.Collect(maps.Keys(s.keks))), Newest: s.newest}, nil
}

// Close overwrites the key-encryption keys, after calls that are running.
// Calls after it are ErrUnavailable. It may be called twice.
func (s *Service) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	destroy(s.keks)
	s.keks = nil
	s.unlock.Destroy()
	return nil
}
