package localkek_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/keys/localkek"
	"photovault/vault/vaulttest"
)

// A running service follows its file: what was rotated wraps, what was erased
// no longer opens, not even from memory.
func TestARunningServiceFollowsItsFile(t *testing.T) {
	for name, passphrase := range map[string][]byte{"bare": nil, "passphrase": []byte("correct horse battery")} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kek.json")
			if err := localkek.Create(path, passphrase); err != nil {
				t.Fatal(err)
			}
			backup, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				s, err := localkek.Open(path, passphrase)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				operator := localkek.NewOperator(path, passphrase)
				c := keys.Context{Purpose: keys.Photo, Practice: id.New[id.Practice](), Subject: "1"}
				key, old, err := s.NewDataKey(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				if v, err := operator.Rotate(t.Context()); err != nil || v != (keys.Versions{Oldest: 1, Newest: 2}) {
					t.Fatal(v, err)
				}
				time.Sleep(time.Second)
				out, err := s.Rewrap(t.Context(), []keys.Wrapped{{Context: c, Key: old}})
				if err != nil || out[0].Err != nil {
					t.Fatal(err, out)
				}
				if v, err := s.Version(out[0].Key); err != nil || v != 2 {
					t.Fatalf("rewrapped under version %d: %v", v, err)
				}
				if v, err := operator.Erase(t.Context(), 2); err != nil || v != (keys.Versions{Oldest: 2, Newest: 2}) {
					t.Fatal(v, err)
				}
				time.Sleep(time.Second)
				if _, err := s.UnwrapDataKey(t.Context(), c, old); !errors.Is(err, keys.ErrRefused) {
					t.Errorf("erased: %v, want ErrRefused", err)
				}
				if k, err := s.UnwrapDataKey(t.Context(), c, out[0].Key); err != nil || !k.Equal(key) {
					t.Errorf("rewrapped: %v", err)
				}
				// A file put back from before the erasure is another file.
				if err := os.WriteFile(path+".old", backup, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(path+".old", path); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if _, err := s.UnwrapDataKey(t.Context(), c, out[0].Key); !errors.Is(err, keys.ErrRefused) {
					t.Errorf("under an older file: %v, want ErrRefused", err)
				}
			})
		})
	}
}

func TestAFileThatCannotBeReadStopsTheService(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek.json")
	if err := localkek.Create(path, nil); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s, err := localkek.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := s.Ready(t.Context()); !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, localkek.ErrFormat) {
			t.Errorf("damaged file: %v, want ErrUnavailable and ErrFormat", err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("a file that was taken away: %v; the service had read it", err)
		}
	})
}

func TestEraseRefusesToTakeTheVersionThatWraps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek.json")
	if err := localkek.Create(path, nil); err != nil {
		t.Fatal(err)
	}
	operator := localkek.NewOperator(path, nil)
	if _, err := operator.Erase(t.Context(), 2); err == nil {
		t.Error("erased below a version that does not exist")
	}
	if v, err := operator.Versions(t.Context()); err != nil || v != (keys.Versions{Oldest: 1, Newest: 1}) {
		t.Error(v, err)
	}
}

func TestOperatorConformance(t *testing.T) {
	vaulttest.KeysOperator(t, func(t *testing.T) (keys.Service, keys.Operator) {
		path := create(t, nil)
		return open(t, path, nil), localkek.NewOperator(path, nil)
	})
}
