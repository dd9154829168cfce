package localkek_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/keys/localkek"
	"photovault/vault/vaulttest"
)

var phrase = []byte("seven quiet otters paint boats")

func create(t testing.TB, passphrase []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kek.json")
	if err := localkek.Create(path, passphrase); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string, passphrase []byte) *localkek.Service {
	t.Helper()
	s, err := localkek.Open(path, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func copied(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "kek.json")
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestConformance(t *testing.T) {
	vaulttest.Keys(t, func(t *testing.T) keys.Service { return open(t, create(t, nil), nil) })
}

func TestConformanceWhenSeveralKeysAreHeld(t *testing.T) {
	vaulttest.Keys(t, func(t *testing.T) keys.Service {
		path := create(t, nil)
		for range 3 {
			if _, err := localkek.NewOperator(path, nil).Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return open(t, path, nil)
	})
}

var testContext = keys.Context{Purpose: keys.Photo, Practice: id.New[id.Practice](), Subject: string(id.New[id.Photo]())}

func TestWrappedKeySurvivesReopeningAndRotation(t *testing.T) {
	for name, passphrase := range map[string][]byte{"clear": nil, "passphrase": phrase} {
		t.Run(name, func(t *testing.T) {
			path := create(t, passphrase)
			first := open(t, copied(t, path), passphrase) // a file of its own, which does not change
			key, wrapped, err := first.NewDataKey(t.Context(), testContext)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := localkek.NewOperator(path, passphrase).Rotate(t.Context()); err != nil || v.Newest != 2 {
				t.Fatalf("version %d, %v", v, err)
			}
			second := open(t, path, passphrase)
			if a, b := newest(t, first), newest(t, second); a != 1 || b != 2 {
				t.Errorf("versions %d and %d", a, b)
			}
			got, err := second.UnwrapDataKey(t.Context(), testContext, wrapped)
			if err != nil || !got.Equal(key) {
				t.Errorf("wrapped before the rotation: %v", err)
			}
			_, newer, err := second.NewDataKey(t.Context(), testContext)
			if err != nil {
				t.Fatal(err)
			}
			if newer[4] != 2 || wrapped[4] != 1 {
				t.Errorf("wrapped keys name versions %d and %d", wrapped[4], newer[4])
			}
			if _, err := first.UnwrapDataKey(t.Context(), testContext, newer); !errors.Is(err, keys.ErrRefused) {
				t.Errorf("a version not held: %v", err)
			}
			// A wrapped key cannot be passed off as of another version.
			newer[4] = 1
			if _, err := second.UnwrapDataKey(t.Context(), testContext, newer); !errors.Is(err, keys.ErrRefused) {
				t.Errorf("version rewritten: %v", err)
			}
		})
	}
}

func TestClosedServiceIsUnavailable(t *testing.T) {
	s := open(t, create(t, nil), nil)
	_, wrapped, err := s.NewDataKey(t.Context(), testContext)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.NewDataKey(t.Context(), testContext); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("NewDataKey: %v", err)
	}
	if _, err := s.UnwrapDataKey(t.Context(), testContext, wrapped); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("UnwrapDataKey: %v", err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("Ready: %v", err)
	}
}

func TestPassphrase(t *testing.T) {
	sealed, clear := create(t, phrase), create(t, nil)
	for _, x := range []struct {
		name, path, passphrase string
	}{
		{"wrong", sealed, "seven quiet otters paint goats"},
		{"a letter more", sealed, string(phrase) + "!"},
		{"missing", sealed, ""},
		{"given to a file that has none", clear, string(phrase)},
	} {
		if _, err := localkek.Open(x.path, []byte(x.passphrase)); !errors.Is(err, localkek.ErrPassphrase) {
			t.Errorf("%s: open: %v", x.name, err)
		}
		before, _ := os.ReadFile(x.path)
		if _, err := localkek.NewOperator(x.path, []byte(x.passphrase)).Rotate(t.Context()); !errors.Is(err, localkek.ErrPassphrase) {
			t.Errorf("%s: rotate: %v", x.name, err)
		}
		if after, _ := os.ReadFile(x.path); string(after) != string(before) {
			t.Errorf("%s: the file changed", x.name)
		}
	}
	if err := localkek.Create(filepath.Join(t.TempDir(), "kek"), []byte("too short")); !errors.Is(err, localkek.ErrPassphrase) {
		t.Errorf("short: %v", err)
	}
	open(t, sealed, phrase)
	b, err := os.ReadFile(sealed)
	if err != nil || strings.Contains(string(b), string(phrase)) {
		t.Errorf("the file shows the passphrase: %v", err)
	}
}

func newest(t *testing.T, s *localkek.Service) uint32 {
	t.Helper()
	v, err := s.Versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v.Newest
}
