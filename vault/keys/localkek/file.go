package localkek

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"photovault/vault/secret"
)

// The key file is JSON. Without a passphrase its keys stand in it in base64;
// with one, each is sealed under a key derived from it (passphrase.go).
type file struct {
	Format string  `json:"format"`
	Note   string  `json:"note"` // for whoever finds the file
	Pbkdf2 *pbkdf2 `json:"pbkdf2,omitempty"`
	Keys   []kek   `json:"keys"` // by version, rising; the last one wraps
}

// kek is one key-encryption key: 32 bytes, or the container that holds them.
type kek struct {
	Version uint32 `json:"version"`
	Key     []byte `json:"key"`
}

const (
	format = "photovault/localkek/v1"
	note   = "Key-encryption keys of a photovault. Without this file its photos cannot be opened by anybody: " +
		"back it up, apart from the data. Whoever has it and the data can open every photo."
	maxFile = 1 << 20 // bytes
	maxKeks = 1000
)

var (
	// ErrExists: a key file is never overwritten.
	ErrExists = errors.New("localkek: there is a key file already")
	// ErrMissing: there is no key file.
	ErrMissing = errors.New("localkek: the key file is missing")
	// ErrPermission: others can read the file, or it is not the user's own.
	ErrPermission = errors.New("localkek: the key file is not private")
	// ErrPassphrase: wrong, missing, too short, or given where none is needed.
	ErrPassphrase = errors.New("localkek: passphrase")
	// ErrFormat: not a key file of this version, or a damaged one.
	ErrFormat = errors.New("localkek: not a key file that can be read")
	// ErrInside: the key file lies in the data folder.
	ErrInside = errors.New("localkek: the key file must lie outside the data folder")
)

// Create makes a key file with one fresh key-encryption key, mode 0600,
// durably. An empty passphrase means none. The passphrase is borrowed.
// Errors: ErrExists, ErrPassphrase.
func Create(path string, passphrase []byte) error {
	f := &file{Format: format, Note: note}
	defer f.wipe()
	unlock, err := f.protect(passphrase)
	if err != nil {
		return err
	}
	defer unlock.Destroy()
	return locked(path, func() error {
		if err := f.add(unlock); err != nil {
			return err
		}
		return f.write(path, true)
	})
}

// Open reads a key file. The passphrase is borrowed; empty means none.
// Errors: ErrMissing, ErrPermission, ErrFormat, ErrPassphrase.
func Open(path string, passphrase []byte) (*Service, error) {
	s := &Service{path: path}
	f, info, err := read(path)
	if err != nil {
		return nil, err
	}
	defer f.wipe()
	if s.unlock, err = f.unlock(passphrase); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.keks, err = f.openAll(path, s.unlock); err != nil {
		s.unlock.Destroy()
		return nil, err
	}
	s.newest, s.read, s.looked = f.newest(), info, time.Now()
	return s, nil
}

// openAll opens every key of the file; the caller owns them.
func (f *file) openAll(path string, unlock *secret.Key) (map[uint32]*secret.Key, error) {
	all := map[uint32]*secret.Key{}
	for _, k := range f.Keys {
		key, err := f.open(k, unlock)
		if err != nil {
			destroy(all)
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all[k.Version] = key
	}
	return all, nil
}

func destroy(all map[uint32]*secret.Key) {
	for _, key := range all {
		key.Destroy()
	}
}

func (f *file) newest() uint32 {
	if len(f.Keys) == 0 {
		return 0
	}
	return f.Keys[len(f.Keys)-1].Version
}

// add appends a fresh key, sealed unless unlock is nil.
func (f *file) add(unlock *secret.Key) error {
	if len(f.Keys) >= maxKeks {
		return fmt.Errorf("localkek: the key file holds %d keys already", len(f.Keys))
	}
	key := secret.New()
	defer key.Destroy()
	k, err := f.seal(f.newest()+1, key, unlock)
	if err != nil {
		return err
	}
	f.Keys = append(f.Keys, k)
	return nil
}

// wipe overwrites what of the keys is in memory in clear.
func (f *file) wipe() {
	for _, k := range f.Keys {
		clear(k.Key)
	}
}

func (f *file) write(path string, create bool) error {
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("localkek: %w", err)
	}
	defer clear(b)
	err = writeFile(path, append(b, '\n'), create)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s was left as it is; if the data it belongs to is gone, move it away first", ErrExists, path)
	}
	return err
}

func read(path string) (*file, fs.FileInfo, error) {
	b, info, err := readPrivate(path)
	if err != nil {
		return nil, nil, err
	}
	defer clear(b)
	f := &file{}
	if err := json.Unmarshal(b, f); err != nil {
		// The text of a JSON error can hold bytes of the file.
		return nil, nil, fmt.Errorf("%w: %s is damaged; restore it from its backup", ErrFormat, path)
	}
	if f.Format != format {
		f.wipe()
		return nil, nil, fmt.Errorf("%w: %s is not of format %s", ErrFormat, path, format)
	}
	if err := f.check(); err != nil {
		f.wipe()
		return nil, nil, fmt.Errorf("%w: %s: %w; restore it from its backup", ErrFormat, path, err)
	}
	return f, info, nil
}

func (f *file) check() error {
	if len(f.Keys) == 0 || len(f.Keys) > maxKeks {
		return fmt.Errorf("%d keys", len(f.Keys))
	}
	last := uint32(0)
	for _, k := range f.Keys {
		if k.Version <= last {
			return fmt.Errorf("key %d after key %d", k.Version, last)
		}
		if last = k.Version; len(k.Key) != f.keySize() {
			return fmt.Errorf("key %d has the wrong size", k.Version)
		}
	}
	return f.Pbkdf2.check()
}
