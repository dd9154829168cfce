package dir_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"photovault/vault/blobs"
	"photovault/vault/blobs/dir"
	"photovault/vault/id"
)

const killedFolder = "PHOTOVAULT_TEST_KILLED_FOLDER"

// TestMain is also the process that TestKilledWriter kills: it puts objects
// and names each one as soon as its Put has returned.
func TestMain(m *testing.M) {
	folder := os.Getenv(killedFolder)
	if folder == "" {
		os.Exit(m.Run())
	}
	s, err := dir.Open(folder)
	if err != nil {
		panic(err)
	}
	for {
		n := newName()
		b := content(n)
		if err := s.Put(context.Background(), n, bytes.NewReader(b), int64(len(b))); err != nil {
			panic(err)
		}
		fmt.Println(n)
	}
}

// content is what the killed writer puts under a name.
func content(n blobs.Name) []byte {
	digest := sha256.Sum256([]byte(n.String()))
	return bytes.Repeat(digest[:], 8<<10)
}

func TestKilledWriterLosesNothingAcknowledged(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "objects")
	var acknowledged []blobs.Name
	for round := range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), killedFolder+"="+folder)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for i := 0; lines.Scan(); i++ {
			parts := strings.Split(lines.Text(), "/")
			if len(parts) != 3 {
				t.Fatalf("a name of %q", lines.Text())
			}
			acknowledged = append(acknowledged, blobs.Name{Area: blobs.Area(parts[0]), Practice: id.Practice(parts[1]), Object: id.Object(parts[2])})
			if i == 10+round {
				cmd.Process.Signal(syscall.SIGKILL)
			}
		}
		err = cmd.Wait()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
			t.Fatalf("the writer ended by itself: %v", err)
		}
		if len(acknowledged) < 11*(round+1) {
			t.Fatalf("%d puts before it was killed", len(acknowledged))
		}

		s := open(t, folder)
		for _, n := range acknowledged {
			r, _, err := s.Get(t.Context(), n, 0, -1)
			if err != nil {
				t.Fatalf("%s was acknowledged: %v", n, err)
			}
			b, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(b, content(n)) {
				t.Errorf("%s: %d bytes, %v", n, len(b), err)
			}
		}
		practices, err := os.ReadDir(filepath.Join(folder, string(blobs.Photos)))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range practices { // also what was not acknowledged is whole
			if err := s.List(t.Context(), id.Practice(p.Name()), blobs.Photos, func(n blobs.Name, size int64) error {
				if size != int64(len(content(n))) {
					t.Errorf("%s is half there: %d bytes", n, size)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if left, err := os.ReadDir(filepath.Join(folder, "tmp")); err != nil || len(left) > 0 {
			t.Errorf("%d leftovers after the store was opened, %v", len(left), err)
		}
		s.Close()
	}
}

func TestLeftoversGoAndLivingFilesStay(t *testing.T) {
	first, folder := newStore(t)
	tmp := filepath.Join(folder, "tmp")
	for _, leftover := range []string{"leftover", "8d1f0d2c-93a4-4c52-8d0e-0a3b4f5c6d7e"} {
		if err := os.WriteFile(filepath.Join(tmp, leftover), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(tmp, "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(tmp, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A put that is under way while the folder is opened once more.
	r, w := io.Pipe()
	n := newName()
	result := make(chan error)
	go func() { result <- first.Put(t.Context(), n, r, 10) }()
	if _, err := w.Write([]byte("01234")); err != nil {
		t.Fatal(err)
	}
	open(t, folder)
	entries, err := os.ReadDir(tmp)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files under tmp, want the one being written; %v", len(entries), err)
	}
	if _, err := w.Write([]byte("56789")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := <-result; err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(tmp); err != nil || len(entries) != 0 {
		t.Errorf("%d files under tmp, %v", len(entries), err)
	}
	if _, err := os.Stat("/etc/passwd"); err != nil {
		t.Error(err)
	}
}

func TestFailedPutLeavesNoFile(t *testing.T) {
	s, folder := newStore(t)
	n := newName()
	if err := s.Put(t.Context(), n, bytes.NewReader(make([]byte, 10)), 20); !errors.Is(err, blobs.ErrSize) {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(folder, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("%d files under tmp, %v", len(left), err)
	}
	if err := s.Put(t.Context(), n, &idle{}, 20); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that never comes to an end: %v", err)
	}
}

// idle is a reader that never gives anything.
type idle struct{}

func (*idle) Read([]byte) (int, error) { return 0, nil }
