package localkek

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"photovault/vault/canon"
	"photovault/vault/seal"
	"photovault/vault/secret"
)

// The file is JSON. Without a passphrase each key stands in it in base64;
// with one, each is sealed under PBKDF2-HMAC-SHA256 (SP 800-132) of it.
type file struct {
	Format     string `json:"format"`
	Iterations int    `json:"pbkdf2_iterations,omitempty"`
	Salt       []byte `json:"salt,omitempty"`
	Keys       []kek  `json:"keys"` // by version, oldest first; the last wraps
}

type kek struct {
	Version uint32 `json:"version"`
	Key     []byte `json:"key"`
}

const (
	format        = "photovault/kek/v1"
	iterations    = 600_000
	maxIterations = 10_000_000
)

// Errors a person can act on.
var (
	ErrExists     = errors.New("localkek: the key file exists already; it is never overwritten")
	ErrPermission = errors.New("localkek: the key file must be a regular file of yours that nobody else may read (chmod 600)")
	ErrPassphrase = errors.New("localkek: wrong passphrase, or none where one is needed")
	ErrFormat     = errors.New("localkek: not a key file of a known version")
	ErrInside     = errors.New("localkek: the key file must lie outside the data folder, or a copy of the data holds its own key")
)

// Create makes a key file with one fresh key-encryption key, durably, mode
// 0600. An empty passphrase leaves the key in clear. Errors: ErrExists.
func Create(path string, passphrase []byte) error {
	k := secret.New()
	defer k.Destroy()
	f := &file{Format: format}
	key := k.Bytes()
	if len(passphrase) > 0 {
		f.Iterations, f.Salt = iterations, make([]byte, 16)
		rand.Read(f.Salt)
		unlock, err := f.passphraseKey(passphrase)
		if err != nil {
			return err
		}
		defer unlock.Destroy()
		if key, err = seal.Seal(nil, unlock.Bytes(), f.context(1), key); err != nil {
			return err
		}
	}
	f.Keys = []kek{{1, key}}
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	defer clear(b)
	return writeNew(path, append(b, '\n'))
}

func writeNew(path string, b []byte) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil {
		return fmt.Errorf("localkek: %w", err)
	}
	_, err = out.Write(b)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(fmt.Errorf("localkek: %w", err), os.Remove(path))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("localkek: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Open loads a key file. passphrase is borrowed; empty means none.
// Errors: ErrPermission, ErrFormat, ErrPassphrase.
func Open(path string, passphrase []byte) (*Service, error) {
	b, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	var f file
	if err := json.Unmarshal(b, &f); err != nil || f.Format != format || len(f.Keys) == 0 {
		return nil, ErrFormat
	}
	var unlock *secret.Key
	if f.Iterations != 0 {
		if unlock, err = f.passphraseKey(passphrase); err != nil {
			return nil, err
		}
		defer unlock.Destroy()
	}
	s := &Service{keks: map[uint32]*secret.Key{}}
	for _, k := range f.Keys {
		raw := k.Key
		if unlock != nil {
			if raw, err = seal.Open(nil, unlock.Bytes(), f.context(k.Version), raw); err != nil {
				return nil, errors.Join(ErrPassphrase, s.Close())
			}
		}
		key, err := secret.FromBytes(raw)
		if err != nil || s.keks[k.Version] != nil || k.Version <= s.newest {
			return nil, errors.Join(ErrFormat, s.Close())
		}
		s.keks[k.Version], s.newest = key, k.Version
	}
	return s, nil
}

// readPrivate reads a regular file that belongs to this user, or to root as a
// systemd credential does, and that nobody else may read.
func readPrivate(path string) ([]byte, error) {
	in, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, ErrPermission
	}
	if err != nil {
		return nil, fmt.Errorf("localkek: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, fmt.Errorf("localkek: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	owned := ok && (int(stat.Uid) == os.Geteuid() || stat.Uid == 0)
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 || !owned {
		return nil, ErrPermission
	}
	if info.Size() > 1<<20 {
		return nil, ErrFormat
	}
	b := make([]byte, info.Size())
	n, err := in.ReadAt(b, 0)
	if n != len(b) {
		return nil, fmt.Errorf("localkek: %w", err)
	}
	return b, nil
}

func (f *file) passphraseKey(passphrase []byte) (*secret.Key, error) {
	if len(passphrase) == 0 {
		return nil, ErrPassphrase
	}
	if f.Iterations < iterations || f.Iterations > maxIterations || len(f.Salt) < 16 {
		return nil, ErrFormat
	}
	raw, err := pbkdf2.Key(sha256.New, string(passphrase), f.Salt, f.Iterations, secret.KeySize)
	if err != nil {
		return nil, fmt.Errorf("localkek: passphrase: %w", err)
	}
	return secret.FromBytes(raw)
}

func (f *file) context(version uint32) []byte {
	return canon.Encode(format, fmt.Sprint(version), fmt.Sprint(f.Iterations), string(f.Salt))
}

// CheckOutside refuses a key file that lies inside the data folder, links
// resolved. Errors: ErrInside.
func CheckOutside(path, dataFolder string) error {
	folder, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("localkek: %w", err)
	}
	data, err := filepath.EvalSymlinks(dataFolder)
	if err != nil {
		return fmt.Errorf("localkek: %w", err)
	}
	rel, err := filepath.Rel(data, folder)
	if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return ErrInside
	}
	return nil
}
