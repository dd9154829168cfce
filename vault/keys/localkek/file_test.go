package localkek_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"photovault/vault/keys/localkek"
)

func TestKeyFileIsPrivateWhateverTheUmask(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := create(t, nil)
	check := func() {
		t.Helper()
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) != 1 {
			t.Errorf("%d files in the folder, %v", len(entries), err)
		}
	}
	check()
	if _, err := localkek.NewOperator(path, nil).Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	check()
}

func TestKeyFileIsNeverOverwritten(t *testing.T) {
	path := create(t, nil)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := localkek.Create(path, nil); !errors.Is(err, localkek.ErrExists) {
		t.Errorf("second Create: %v", err)
	}
	target := filepath.Join(t.TempDir(), "elsewhere")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := localkek.Create(link, nil); !errors.Is(err, localkek.ErrExists) {
		t.Errorf("Create on a dangling link: %v", err)
	}
	if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made through a link: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(after, before) {
		t.Error("the key file changed")
	}
}

func TestExactlyOneCreateWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek.json")
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if localkek.Create(path, nil) == nil {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d of 8 made the key file", made.Load())
	}
	open(t, path, nil)
}

func TestLeftoverOfACrashIsReplaced(t *testing.T) {
	path := create(t, nil)
	if err := os.WriteFile(path+".new", []byte("half a file"), 0o644); err != nil {
		t.Fatal(err)
	}
	if v, err := localkek.NewOperator(path, nil).Rotate(t.Context()); err != nil || v.Newest != 2 {
		t.Fatalf("version %d, %v", v, err)
	}
	open(t, path, nil)
	if _, err := os.Lstat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the leftover is still there: %v", err)
	}
}

func TestFileThatIsNotPrivateIsRefused(t *testing.T) {
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666, 0o644} {
		path := create(t, nil)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{"open": openError(path), "rotate": rotateError(path)} {
			if !errors.Is(err, localkek.ErrPermission) || !strings.Contains(err.Error(), "chmod 600 "+path) {
				t.Errorf("%04o: %s: %v", mode, name, err)
			}
		}
	}

	path := create(t, nil)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := openError(link); !errors.Is(err, localkek.ErrPermission) {
		t.Errorf("symbolic link: %v", err)
	}
	if err := openError(t.TempDir()); !errors.Is(err, localkek.ErrPermission) {
		t.Errorf("folder: %v", err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := openError(fifo); !errors.Is(err, localkek.ErrPermission) {
		t.Errorf("pipe: %v", err)
	}
	if err := openError(filepath.Join(t.TempDir(), "none")); !errors.Is(err, localkek.ErrMissing) {
		t.Errorf("no file: %v", err)
	}
}

func TestFileOfAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("PHOTOVAULT_REQUIRE") == "all" {
			t.Fatal("only root can give a file to another user")
		}
		t.Skip("only root can give a file to another user")
	}
	path := create(t, nil)
	if err := os.Chown(path, 4711, -1); err != nil {
		t.Fatal(err)
	}
	if err := openError(path); !errors.Is(err, localkek.ErrPermission) || !strings.Contains(err.Error(), "chown 0 "+path) {
		t.Error(err)
	}
}

func openError(path string) error {
	s, err := localkek.Open(path, nil)
	if err == nil {
		s.Close()
	}
	return err
}

func rotateError(path string) error {
	_, err := localkek.NewOperator(path, nil).Rotate(context.Background())
	return err
}

func TestDamagedFileIsRefusedWithoutShowingIt(t *testing.T) {
	key := bytes.Repeat([]byte{0xA7}, 32)
	encoded := base64.StdEncoding.EncodeToString(key)
	good := fmt.Sprintf(`{"format":"photovault/localkek/v1","keys":[{"version":1,"key":"%s"}]}`, encoded)
	salt := base64.StdEncoding.EncodeToString(make([]byte, 16))
	sealed := base64.StdEncoding.EncodeToString(make([]byte, 104))
	protected := func(hash string, iterations int, salt string) string {
		return fmt.Sprintf(`{"format":"photovault/localkek/v1","pbkdf2":{"hash":"%s","iterations":%d,"salt":"%s"},"keys":[{"version":1,"key":"%s"}]}`, hash, iterations, salt, sealed)
	}
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "kek.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := openError(write(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":                 "",
		"no JSON":               "\x7fELF",
		"cut":                   good[:len(good)-20],
		"two files":             good + good,
		"another format":        strings.Replace(good, "/v1", "/v2", 1),
		"no keys":               `{"format":"photovault/localkek/v1","keys":[]}`,
		"a short key":           strings.Replace(good, encoded, encoded[4:], 1),
		"version 0":             strings.Replace(good, `"version":1`, `"version":0`, 1),
		"versions fall":         fmt.Sprintf(`{"format":"photovault/localkek/v1","keys":[{"version":2,"key":"%s"},{"version":1,"key":"%s"}]}`, encoded, encoded),
		"a version twice":       fmt.Sprintf(`{"format":"photovault/localkek/v1","keys":[{"version":1,"key":"%s"},{"version":1,"key":"%s"}]}`, encoded, encoded),
		"key of another type":   strings.Replace(good, `"`+encoded+`"`, "7", 1),
		"another hash":          protected("MD5", 600_000, salt),
		"few iterations":        protected("SHA-256", 599_999, salt),
		"endless iterations":    protected("SHA-256", 1<<40, salt),
		"no salt":               protected("SHA-256", 600_000, ""),
		"without end":           strings.Repeat(" ", 2<<20) + good,
		"key neither nor":       strings.Replace(protected("SHA-256", 600_000, salt), sealed, encoded, 1),
		"sealed key as a key":   strings.Replace(good, encoded, sealed, 1),
		"more versions than ok": fmt.Sprintf(`{"format":"photovault/localkek/v1","keys":[%s]}`, strings.Repeat(`{"version":1,"key":""},`, 2000)+`{"version":1,"key":""}`),
	} {
		err := openError(write(text))
		if !errors.Is(err, localkek.ErrFormat) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(err.Error(), encoded[:8]) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
}

func TestFlippedBitInAProtectedFileIsRefused(t *testing.T) {
	path := create(t, phrase)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f map[string]any
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	k := f["keys"].([]any)[0].(map[string]any)
	sealed, err := base64.StdEncoding.DecodeString(k["key"].(string))
	if err != nil {
		t.Fatal(err)
	}
	sealed[70] ^= 1
	for name, change := range map[string]func(){
		"key":     func() { k["key"] = base64.StdEncoding.EncodeToString(sealed) },
		"version": func() { sealed[70] ^= 1; k["key"] = base64.StdEncoding.EncodeToString(sealed); k["version"] = 2 },
	} {
		change()
		b, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := localkek.Open(path, phrase); !errors.Is(err, localkek.ErrPassphrase) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyFileInTheDataFolderIsNoticed(t *testing.T) {
	home := t.TempDir()
	for _, d := range []string{"data/objects", "keys", "database"} {
		if err := os.MkdirAll(filepath.Join(home, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"keys/in": "data/objects", "data/out": "keys", "alias": "data"} {
		if err := os.Symlink(filepath.Join(home, target), filepath.Join(home, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		path, data string
		inside     bool
	}{
		{"keys/kek.json", "data", false},
		{"kek.json", "data", false},
		{"database/kek.json", "data", false}, // a common prefix is no containment
		{"data/out/kek.json", "data", false},
		{"data/kek.json", "data", true},
		{"data/objects/kek.json", "data", true},
		{"data/../data/kek.json", "data", true},
		{"keys/in/kek.json", "data", true},
		{"data/kek.json", "alias", true},
		{"alias/objects/kek.json", "data", true},
	} {
		err := localkek.CheckOutside(filepath.Join(home, x.path), filepath.Join(home, x.data))
		if errors.Is(err, localkek.ErrInside) != x.inside || !x.inside && err != nil {
			t.Errorf("%s beside %s: %v", x.path, x.data, err)
		}
	}
	if err := localkek.CheckOutside(filepath.Join(home, "nowhere/kek.json"), home); err == nil || errors.Is(err, localkek.ErrInside) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
