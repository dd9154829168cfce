package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/catalog"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/secret"
	"photovault/vault/vaulttest"
)

func TestFilesAreTheOwnersWhateverTheUmask(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	s := newStore(t)
	check := func(when string, want ...string) {
		t.Helper()
		for _, suffix := range want {
			if _, err := os.Stat(s.path + suffix); err != nil {
				t.Errorf("%s: %v", when, err)
			}
		}
		files, err := filepath.Glob(filepath.Dir(s.path) + "/*")
		must(t, err)
		for _, f := range files {
			info, err := os.Stat(f)
			must(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %s has mode %v", when, filepath.Base(f), info.Mode())
			}
		}
	}
	db := s.open(t)
	vaulttest.Furnish(t, db, s.practice)
	check("in use", "", "-wal", "-shm", ".keys")
	must(t, db.Close())
	check("closed", "", ".keys")
	for _, suffix := range []string{"", ".keys"} {
		must(t, os.Chmod(s.path+suffix, 0o644))
	}
	s.open(t)
	check("restored with a wider mode", "", ".keys")
}

func TestFileIsEncrypted(t *testing.T) {
	s := newStore(t)
	b, err := os.ReadFile(s.path)
	must(t, err)
	if len(b) < 4096 || bytes.Contains(b, []byte("SQLite format 3")) || bytes.Contains(b, []byte("CREATE TABLE")) {
		t.Errorf("%d bytes, readable", len(b))
	}
}

func TestReopenedCatalogHoldsWhatWasWritten(t *testing.T) {
	s := newStore(t)
	db := s.open(t)
	f := vaulttest.Furnish(t, db, s.practice)
	signer, err := db.PracticeKey(t.Context(), s.practice, keys.Checkpoint)
	must(t, err)
	signer = signer.Clone()
	before, err := db.Release(t.Context(), f.Token.Hash)
	must(t, err)
	must(t, db.Close())
	db = s.open(t)
	after, err := db.Release(t.Context(), f.Token.Hash)
	must(t, err)
	after.Now = before.Now
	if d := cmp.Diff(before, after); d != "" {
		t.Error(d)
	}
	again, err := db.PracticeKey(t.Context(), s.practice, keys.Checkpoint)
	must(t, err)
	if !again.Equal(signer) {
		t.Error("the practice's signing key changed")
	}
}

func TestPracticeKeysAreOfOnePurposeAndPractice(t *testing.T) {
	s := newStore(t)
	db := s.open(t)
	other := id.New[id.Practice]()
	create(t, db, other)
	var all []*secret.Key
	for _, p := range []id.Practice{s.practice, other} {
		for _, purpose := range []keys.Purpose{keys.Catalog, keys.Index, keys.Audit, keys.Checkpoint, keys.UploadSigning} {
			k, err := db.PracticeKey(t.Context(), p, purpose)
			must(t, err)
			for _, seen := range all {
				if k.Equal(seen) {
					t.Errorf("%s: a key twice", purpose)
				}
			}
			all = append(all, k)
		}
	}
	for name, ask := range map[string]func() (*secret.Key, error){
		"unknown practice":     func() (*secret.Key, error) { return db.PracticeKey(t.Context(), id.New[id.Practice](), keys.Audit) },
		"a key not kept there": func() (*secret.Key, error) { return db.PracticeKey(t.Context(), s.practice, keys.Photo) },
	} {
		if _, err := ask(); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var conflict *vault.ConflictError
	if err := db.CreatePractice(t.Context(), other, &audit.Entry{}); !errors.As(err, &conflict) || conflict.Code != "practice_exists" {
		t.Errorf("made twice: %v", err)
	}
	if db.CreatePractice(t.Context(), id.New[id.Practice](), nil) == nil || db.CreatePractice(t.Context(), "not an id", &audit.Entry{}) == nil {
		t.Error("made without an entry or an id")
	}
}

func TestCloseOverwritesKeysAndEndsTheCatalog(t *testing.T) {
	s := newStore(t)
	db := s.open(t)
	k, err := db.PracticeKey(t.Context(), s.practice, keys.Catalog)
	must(t, err)
	raw := k.Bytes()
	must(t, db.Close())
	must(t, db.Close())
	if !bytes.Equal(raw, make([]byte, len(raw))) {
		t.Error("the key is still there")
	}
	c := db.ForPractice(s.practice)
	for name, err := range map[string]error{
		"ready":  db.Ready(t.Context()),
		"read":   second(c.ListAccounts(t.Context())),
		"write":  c.WriteAudit(t.Context(), &audit.Entry{}),
		"secret": second(db.Release(t.Context(), [32]byte{})),
	} {
		if !errors.Is(err, vault.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[A any](_ A, err error) error { return err }

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, s *store)
		want  error
	}{
		{"another key service", func(t *testing.T, s *store) { s.keys = keyService(t) }, vault.ErrBroken},
		{"another installation's practice", func(t *testing.T, s *store) { s.practice = id.New[id.Practice]() }, vault.ErrBroken},
		{"a key service that does not answer", func(t *testing.T, s *store) { s.keys = outOfReach{} }, vault.ErrUnavailable},
		{"a database without its key file", func(t *testing.T, s *store) { must(t, os.Remove(s.path+".keys")) }, vault.ErrBroken},
		{"a damaged key file", func(t *testing.T, s *store) { must(t, os.WriteFile(s.path+".keys", []byte("{"), 0o600)) }, vault.ErrBroken},
		{"another database's key file", func(t *testing.T, s *store) {
			other := &store{path: filepath.Join(t.TempDir(), "catalog.db"), keys: s.keys, practice: s.practice}
			must(t, other.open(t).Close())
			b, err := os.ReadFile(other.path + ".keys")
			must(t, err)
			must(t, os.WriteFile(s.path+".keys", b, 0o600))
		}, vault.ErrBroken},
		{"halves of the key exchanged", func(t *testing.T, s *store) {
			b, err := os.ReadFile(s.path + ".keys")
			must(t, err)
			open, end := bytes.IndexByte(b, '[')+1, bytes.IndexByte(b, ']')
			halves := bytes.Split(bytes.Clone(b[open:end]), []byte(","))
			copy(b[open:end], bytes.Join([][]byte{halves[1], halves[0]}, []byte(",")))
			must(t, os.WriteFile(s.path+".keys", b, 0o600))
		}, vault.ErrBroken},
		{"a damaged first page", func(t *testing.T, s *store) {
			f, err := os.OpenFile(s.path, os.O_RDWR, 0)
			must(t, err)
			_, err = f.WriteAt(make([]byte, 512), 0)
			must(t, errors.Join(err, f.Close()))
		}, vault.ErrBroken},
		{"a folder in its place", func(t *testing.T, s *store) {
			must(t, os.Remove(s.path))
			must(t, os.Mkdir(s.path, 0o700))
		}, vault.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t)
			c.spoil(t, s)
			db, err := s.tryOpen(t.Context())
			if err == nil {
				db.Close()
			}
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
	if _, err := catalog.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "x"), nil, catalog.Options{}); err == nil {
		t.Error("opened without a key service")
	}
}

// outOfReach is a key service that is down.
type outOfReach struct{ keys.Service }

func (outOfReach) NewDataKey(context.Context, keys.Context) (*secret.Key, []byte, error) {
	return nil, nil, keys.ErrUnavailable
}
func (outOfReach) UnwrapDataKey(context.Context, keys.Context, []byte) (*secret.Key, error) {
	return nil, keys.ErrUnavailable
}
func (outOfReach) Ready(context.Context) error { return keys.ErrUnavailable }
