package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A vault of which a part was lost, or has come back damaged, does not serve
// as if it were whole: it says what is wrong and what to do, and goes on as
// soon as the part is back.
func TestADamagedVaultIsNotServed(t *testing.T) {
	v := newVault(t)
	v.patientWithConsent("MRN-DAMAGE")
	v.stop()
	lost := func(path string) error { return os.Rename(path, path+".lost") }
	cut := func(n int64) func(string) error { return func(path string) error { return os.Truncate(path, n) } }
	for _, c := range []struct {
		name, path string
		harm       func(string) error
		says       string
	}{
		{"no database", "data/catalog.db", lost, "does not hold the practice"},
		{"an empty database", "data/catalog.db", cut(0), "does not hold the practice"},
		{"a database cut short", "data/catalog.db", cut(8192), "one backup"},
		{"no key file of the database", "data/catalog.db.keys", lost, "restore both"},
		{"no folder of objects", "data/objects", lost, "restore it from its backup"},
		{"a checkpoint cut short", "keys/checkpoint.json", cut(50), "restore it from its backup"},
		{"an empty checkpoint", "keys/checkpoint.json", cut(0), "restore it from its backup"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, kept := filepath.Join(v.home, c.path), filepath.Join(t.TempDir(), "kept")
			if err := os.Rename(path, kept); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(kept); err != nil {
				t.Fatal(err)
			} else if !info.IsDir() {
				b, err := os.ReadFile(kept)
				if err == nil {
					err = os.WriteFile(path, b, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := c.harm(path); err != nil {
					t.Fatal(err)
				}
			}
			stdout, stderr, err := v.run("", "serve", "--listen", "127.0.0.1:0", "--address-file", filepath.Join(t.TempDir(), "address"))
			if err == nil || strings.Contains(stdout, "serves") || !strings.Contains(stderr, c.says) {
				t.Errorf("serve: %v\n%s\n%s", err, stdout, stderr)
			}
			for _, leftover := range []string{path, path + "-wal", path + "-shm"} {
				if err := os.RemoveAll(leftover); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Rename(kept, path); err != nil {
				t.Fatal(err)
			}
		})
	}
	v.start()
	if out := v.must("", "fsck"); !strings.Contains(out, "nothing was found") {
		t.Errorf("put back: %s", out)
	}
}
