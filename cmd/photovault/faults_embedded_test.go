package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"photovault/api/client"
	"photovault/consent"
)

// On one machine: its disk fills up, and says that it could not write.
func TestSoakFaultsOfTheDisk(t *testing.T) {
	t.Parallel()
	mount := smallDisk(t, 768<<20)
	v := newVaultIn(t, mount)
	v.stop()
	v.start("--sweep-age", "20s")
	endure(t, v.site(t), []fault{fullDisk(mount), failingSync(v)})
}

// site is what faults are done to on one machine.
func (v *vaultProcess) site(t testing.TB) *site {
	t.Helper()
	conf, err := home(v.home).loadSettings()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{practice: conf.Practice, signing: conf.UploadSigningKey, log: func() string { return v.log.String() }}
	s.clients = func(t testing.TB, role consent.Role) []*client.Client {
		t.Helper()
		c, err := client.New(v.server(), v.tokens[string(role)], []byte(conf.CA))
		if err != nil {
			t.Fatal(err)
		}
		return []*client.Client{c}
	}
	s.sweep = func(t *testing.T) {
		v.t = t
		v.stop()
		v.start() // the first sweep runs at start
	}
	s.left = func(t *testing.T) int {
		return len(objects(t, v.home, "staging")) + len(objects(t, v.home, "tmp")) + len(objects(t, v.home, "photos")) - 3*int(s.sent.Load())
	}
	s.check = func(t *testing.T) {
		v.t = t
		for _, args := range [][]string{{"audit", "verify", "--json"}, {"fsck", "--read-data", "--json"}} {
			if out, errs, err := v.run("", args...); err != nil {
				t.Errorf("photovault %s: %v\n%s\n%s", args, err, out, errs)
			}
		}
		v.stop()
		v.start("--sweep-age", "20s")
	}
	return s
}

// smallDisk is a file system of the test's own.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		leftOut(t, "needs the right to mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mount, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return mount
}

// leftOut skips, or fails where nothing may be left out.
func leftOut(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("PHOTOVAULT_REQUIRE") == "all" {
		t.Fatalf(format, args...)
	}
	t.Skipf("left out: "+format, args...)
}

// fullDisk takes every byte that is left, and gives them back.
func fullDisk(mount string) fault {
	fill := filepath.Join(mount, "fill")
	return fault{name: "disk full", lasts: 1200 * time.Millisecond,
		begin: func(t *testing.T) {
			f, err := os.Create(fill)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var of syscall.Statfs_t
			if err := syscall.Fstatfs(int(f.Fd()), &of); err != nil {
				t.Fatal(err)
			}
			// Most of it at once; the service writes too, and may be quicker.
			if err := syscall.Fallocate(int(f.Fd()), 0, 0, int64(of.Bavail)*of.Bsize-8<<20); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Seek(0, io.SeekEnd); err != nil {
				t.Fatal(err)
			}
			page := make([]byte, 4096)
			for err == nil {
				_, err = f.Write(page)
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
		},
		heal: func(t *testing.T) {
			if err := os.Remove(fill); err != nil {
				t.Fatal(err)
			}
		}}
}

// failingSync lets every fsync of the service fail, as a disk does that dies.
func failingSync(v *vaultProcess) fault {
	var tracer *exec.Cmd
	return fault{name: "EIO on fsync", lasts: 1200 * time.Millisecond,
		begin: func(t *testing.T) {
			if _, err := exec.LookPath("strace"); err != nil {
				leftOut(t, "needs strace: %v", err)
			}
			pid := v.cmd.Process.Pid
			tracer = exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=fsync,fdatasync",
				"-e", "inject=fsync,fdatasync:error=EIO", "-p", fmt.Sprint(pid))
			if err := tracer.Start(); err != nil {
				t.Fatal(err)
			}
			waitFor(t, time.Minute, func() bool {
				b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
				return err == nil && !strings.Contains(string(b), "TracerPid:\t0\n")
			})
		},
		heal: func(t *testing.T) {
			_ = tracer.Process.Signal(syscall.SIGTERM) // it lets go
			_ = tracer.Wait()                          // and says how it ended
		}}
}
