package main

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Kills the service with SIGKILL at a random instant while photos are sent,
// taken in and read, starts it again, and lets the clients go on. Nothing
// acknowledged may be lost, no photo may be half there, and one sweep must
// leave nothing behind. make soak does all its rounds, on four vaults at once.
func TestSoakKill(t *testing.T) {
	t.Parallel()
	rounds, vaults := soakRounds(2), 1
	if rounds > 20 {
		vaults = 4
	}
	for n := range vaults {
		t.Run(fmt.Sprintf("vault %d", n+1), func(t *testing.T) {
			t.Parallel()
			v := newVault(t)
			v.stop()
			v.start("--sweep-age", "20s")
			endure(t, v.site(t), []fault{killed(v, (rounds+vaults-1)/vaults)})
		})
	}
}

// killed: the process ends as in a power cut.
func killed(v *vaultProcess, rounds int) fault {
	return fault{name: "kill -9", kills: true, rounds: rounds, lasts: 10 * time.Millisecond,
		begin: func(t *testing.T) {
			pause(t.Context(), rand.N(700*time.Millisecond))
			v.t = t
			v.kill()
		},
		heal: func(*testing.T) { v.start("--sweep-age", "20s") }}
}

// isMark: the object is named as its practice is, two folders above.
func isMark(file string) bool {
	return filepath.Base(file) == filepath.Base(filepath.Dir(filepath.Dir(file)))
}

// objects lists the files of one area of the object store.
func objects(t *testing.T, homeFolder, area string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(filepath.Join(homeFolder, "data", "objects", area), func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !isMark(p) {
			out = append(out, p)
		}
		if os.IsNotExist(err) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func waitFor(t testing.TB, limit time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
}
