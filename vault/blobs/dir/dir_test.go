package dir_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"photovault/vault/blobs"
	"photovault/vault/blobs/dir"
	"photovault/vault/id"
	"photovault/vault/vaulttest"
)

func open(t testing.TB, folder string) *dir.Store {
	t.Helper()
	s, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newStore(t testing.TB) (*dir.Store, string) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "objects")
	return open(t, folder), folder
}

func newName() blobs.Name {
	return blobs.Name{Practice: id.New[id.Practice](), Area: blobs.Photos, Object: id.New[id.Object]()}
}

func put(t testing.TB, s *dir.Store, n blobs.Name, b []byte) {
	t.Helper()
	if err := s.Put(t.Context(), n, bytes.NewReader(b), int64(len(b))); err != nil {
		t.Fatal(err)
	}
}

func pathOf(folder string, n blobs.Name) string {
	return filepath.Join(folder, string(n.Area), string(n.Practice), string(n.Object[:2]), string(n.Object))
}

func TestConformance(t *testing.T) {
	vaulttest.Blobs(t, func(t *testing.T) blobs.Store {
		s, _ := newStore(t)
		return s
	})
}

func TestEverythingIsPrivateWhateverTheUmask(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	s, folder := newStore(t)
	n := newName()
	put(t, s, n, []byte("x"))
	files := 0
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		} else {
			files++
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: %04o, want %04o", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil || files != 1 {
		t.Errorf("%d files, %v", files, err)
	}
	if _, err := os.Stat(pathOf(folder, n)); err != nil {
		t.Error(err)
	}
}

func TestFolderThatCannotServeIsRefused(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	shared := filepath.Join(home, "shared")
	if err := os.Mkdir(shared, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(shared, 0o770); err != nil {
		t.Fatal(err)
	}
	for name, folder := range map[string]string{
		"a file":            file,
		"no parent":         filepath.Join(home, "none", "objects"),
		"others may change": shared,
	} {
		s, err := dir.Open(folder)
		if err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		}
		if folder == shared && (err == nil || !strings.Contains(err.Error(), "chmod 700 "+shared)) {
			t.Errorf("%s: the error does not say what to do: %v", name, err)
		}
	}
}

func TestLinksDoNotLeadOutside(t *testing.T) {
	for name, link := range map[string]func(folder string, n blobs.Name) string{
		"the area": func(folder string, n blobs.Name) string { return filepath.Join(folder, string(n.Area)) },
		"the practice": func(folder string, n blobs.Name) string {
			return filepath.Join(folder, string(n.Area), string(n.Practice))
		},
		"the fan":    func(folder string, n blobs.Name) string { return filepath.Dir(pathOf(folder, n)) },
		"the object": pathOf,
	} {
		t.Run(name, func(t *testing.T) {
			s, folder := newStore(t)
			n := newName()
			put(t, s, n, []byte("ours"))
			outside := t.TempDir()
			from := link(folder, n)
			to := filepath.Join(outside, "target")
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(to, from); err != nil {
				t.Fatal(err)
			}
			if r, _, err := s.Get(t.Context(), n, 0, -1); !errors.Is(err, blobs.ErrUnavailable) {
				t.Errorf("get: %v", err)
				if err == nil {
					r.Close()
				}
			}
			other := n
			other.Object = n.Object[:35] + "0"
			if other == n {
				other.Object = n.Object[:35] + "1"
			}
			if name != "the object" {
				if err := s.Put(t.Context(), other, bytes.NewReader(nil), 0); !errors.Is(err, blobs.ErrUnavailable) {
					t.Errorf("put: %v", err)
				}
			}
			if err := s.Put(t.Context(), n, bytes.NewReader(nil), 0); err == nil {
				t.Error("put through the link")
			}
			listed := 0
			s.List(t.Context(), n.Practice, n.Area, func(blobs.Name, int64) error { listed++; return nil })
			if listed > 0 {
				t.Error("listed through the link")
			}
			s.Delete(t.Context(), n) // of the link itself, where the object is one
			kept := 0
			filepath.WalkDir(to, func(_ string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					kept++
				}
				return nil
			})
			if kept != 1 {
				t.Errorf("%d files outside, want the one put there", kept)
			}
		})
	}
}

func TestWhatIsNoObjectIsPassedOver(t *testing.T) {
	s, folder := newStore(t)
	n := newName()
	put(t, s, n, []byte("12345"))
	fan := filepath.Dir(pathOf(folder, n))
	other := id.New[id.Object]()
	for other[:2] == n.Object[:2] {
		other = id.New[id.Object]()
	}
	pipe := n
	pipe.Object = n.Object[:35] + "0"
	if pipe == n {
		pipe.Object = n.Object[:35] + "1"
	}
	for _, f := range []string{filepath.Join(fan, "README"), filepath.Join(fan, string(other)), filepath.Join(filepath.Dir(fan), "lost")} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(pathOf(folder, pipe), 0o600); err != nil {
		t.Fatal(err)
	}
	err := s.List(t.Context(), n.Practice, n.Area, func(got blobs.Name, size int64) error {
		if got != n || size != 5 {
			t.Errorf("%s of %d bytes", got, size)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if r, _, err := s.Get(t.Context(), pipe, 0, -1); !errors.Is(err, blobs.ErrUnavailable) {
		t.Errorf("a pipe: %v", err)
		if err == nil {
			r.Close()
		}
	}
}

func TestObjectsCanBeDeletedWhileListed(t *testing.T) {
	s, _ := newStore(t)
	first := newName()
	for range 300 { // some share a folder
		n := first
		n.Object = id.New[id.Object]()
		put(t, s, n, nil)
	}
	deleted := 0
	err := s.List(t.Context(), first.Practice, first.Area, func(n blobs.Name, _ int64) error {
		deleted++
		return s.Delete(t.Context(), n)
	})
	if err != nil || deleted != 300 {
		t.Errorf("%d deleted, %v", deleted, err)
	}
	if err := s.List(t.Context(), first.Practice, first.Area, func(n blobs.Name, _ int64) error {
		t.Errorf("%s is left", n)
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestObjectThatShrinksWhileReadIsNoEOF(t *testing.T) {
	s, folder := newStore(t)
	n := newName()
	put(t, s, n, make([]byte, 100_000))
	r, size, err := s.Get(t.Context(), n, 0, -1)
	if err != nil || size != 100_000 {
		t.Fatal(size, err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(pathOf(folder, n), 50_000); err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, r)
	if !errors.Is(err, blobs.ErrUnavailable) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

func TestClosedStoreIsUnavailable(t *testing.T) {
	s, _ := newStore(t)
	n := newName()
	put(t, s, n, []byte("x"))
	r, _, err := s.Get(t.Context(), n, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "x" {
		t.Errorf("a reader from before: %q, %v", b, err)
	}
	_, _, get := s.Get(t.Context(), n, 0, -1)
	for what, err := range map[string]error{
		"get": get, "put": s.Put(t.Context(), newName(), bytes.NewReader(nil), 0), "delete": s.Delete(t.Context(), n),
		"list":  s.List(t.Context(), n.Practice, n.Area, func(blobs.Name, int64) error { return nil }),
		"ready": s.Ready(t.Context()),
	} {
		if !errors.Is(err, blobs.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestFolderRemovedUnderneathIsMadeAnew(t *testing.T) {
	s, folder := newStore(t)
	n := newName()
	put(t, s, n, nil)
	if err := os.RemoveAll(filepath.Join(folder, string(n.Area))); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), n, bytes.NewReader(nil), 0); !errors.Is(err, blobs.ErrUnavailable) {
		t.Errorf("first try: %v", err)
	}
	put(t, s, n, nil)
}
