package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"

	"photovault/vault/blobs"
	"photovault/vault/id"
)

// probe writes an object of each area under random ids, finds out what the
// server makes of it, and removes it. What cannot be learned otherwise: a
// server that does not know If-None-Match replaces objects silently.
func (s *Store) probe(ctx context.Context) (Faults, error) {
	practice := id.New[id.Practice]()
	var all Faults
	for _, area := range []blobs.Area{blobs.Photos, blobs.Staging} {
		name := blobs.Name{Practice: practice, Area: area, Object: id.New[id.Object]()}
		f, err := s.probeArea(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, f...)
	}
	return distinct(all), nil
}

func (s *Store) probeArea(ctx context.Context, name blobs.Name) (all Faults, err error) {
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
		defer cancel()
		switch gone := s.remove(late, s.key(name)); {
		case gone == nil || err != nil: // what is left is a few bytes under a random name
		case errors.Is(gone, ErrRetained): // by a default retention, which inspectLock names
		default:
			f, transient := refused("objects cannot be removed (allow s3:ListBucketVersions, s3:DeleteObject and s3:DeleteObjectVersion)", gone)
			all, err = append(all, f...), transient
		}
	}()
	content := []byte(name.String())
	for _, step := range []func(context.Context, blobs.Name, []byte) (Faults, error){
		s.probeChecksum, s.probePut, s.probeCondition, s.probeGet, s.probePublic,
	} {
		f, err := step(ctx, name, content)
		if err != nil {
			return nil, err
		}
		if all = append(all, f...); len(f) > 0 && slices.Contains(f, unwritable) {
			break // nothing to look at
		}
	}
	return all, nil
}

// probeChecksum sends a checksum that is wrong, with the headers that a photo
// of this area has, retention among them.
func (s *Store) probeChecksum(ctx context.Context, name blobs.Name, content []byte) (Faults, error) {
	wrong := sha256.Sum256(nil)
	verified := false
	err := try(ctx, func() error {
		err := s.putOnce(ctx, name, content, wrong, s.put(name.Area))
		if verified = mismatch(err); verified {
			return nil
		}
		return err
	})
	if err == nil && !verified {
		return Faults{"the server stores objects that differ from their checksum; it must verify x-amz-checksum-sha256"}, nil
	}
	return writable(err)
}

// writable turns the error of a PUT into a fault.
func writable(err error) (Faults, error) {
	switch {
	case err == nil:
		return nil, nil
	case code(err) == "AccessDenied":
		return Faults{unwritable}, nil
	}
	return refused("objects cannot be written", err)
}

const unwritable = "objects cannot be written: allow s3:PutObject, with Object Lock s3:PutObjectRetention too, and the KMS key if there is one, as deploy/policies/s3 does"

// probePut stores it, without retention: it must be removable.
func (s *Store) probePut(ctx context.Context, name blobs.Name, content []byte) (Faults, error) {
	before := false
	err := try(ctx, func() error {
		err := s.putProbe(ctx, name, content)
		if before && code(err) == taken { // by the try before
			return nil
		}
		before = true
		return err
	})
	return writable(err)
}

// probeCondition stores another under the same name, which must be refused.
func (s *Store) probeCondition(ctx context.Context, name blobs.Name, _ []byte) (Faults, error) {
	err := try(ctx, func() error { return s.putProbe(ctx, name, []byte(another)) })
	switch {
	case err == nil:
		return Faults{"the server replaces an object although If-None-Match: * forbids it; it must honour conditional writes"}, nil
	case code(err) == taken:
		return nil, nil
	}
	return refused("conditional writes (If-None-Match: *) are not understood", err)
}

const another = "another object"

func (s *Store) putProbe(ctx context.Context, name blobs.Name, content []byte) error {
	o := s.put(name.Area)
	o.Mode, o.RetainUntilDate = "", time.Time{}
	return s.putOnce(ctx, name, content, sha256.Sum256(content), o)
}

// putOnce sends content with this checksum, under a signature that is right.
func (s *Store) putOnce(ctx context.Context, name blobs.Name, content []byte, checksum [sha256.Size]byte, o minio.PutObjectOptions) error {
	signed := sha256.Sum256(content)
	o.UserMetadata = map[string]string{checksumHeader: base64.StdEncoding.EncodeToString(checksum[:])}
	_, err := s.core.PutObject(ctx, s.o.Bucket, s.key(name), bytes.NewReader(content), int64(len(content)), "", hex.EncodeToString(signed[:]), o)
	return err
}

// probeGet reads it; the checksum must come with it.
func (s *Store) probeGet(ctx context.Context, name blobs.Name, content []byte) (Faults, error) {
	var got []byte
	var verified bool
	err := try(ctx, func() error {
		b, _, err := s.getOnce(ctx, name, 0, -1)
		if err != nil {
			return err
		}
		b.caller, b.cancel = ctx, func() {}
		verified = b.sum != nil
		got, err = io.ReadAll(io.LimitReader(b, 1<<10))
		return errors.Join(err, b.Close())
	})
	if code(err) == "NoSuchKey" {
		return Faults{"an object that was written is not there afterwards; the store must be consistent"}, nil
	}
	if err != nil {
		return refused("objects cannot be read (allow s3:GetObject)", err)
	}
	var f Faults
	if !bytes.Equal(got, content) && string(got) != another {
		f = append(f, "an object comes back as another one")
	}
	if !verified {
		f = append(f, "the server does not keep x-amz-checksum-sha256; a version that does is needed")
	}
	return f, nil
}

// probePublic reads it without a signature, which must be refused.
func (s *Store) probePublic(ctx context.Context, name blobs.Name, _ []byte) (Faults, error) {
	return s.anonymous(ctx, s.key(name), nil)
}

// cleanup is how long the removal of a probe may take when the call that made
// it has ended.
const cleanup = 5 * time.Second
