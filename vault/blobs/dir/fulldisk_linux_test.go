package dir_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"photovault/vault/blobs"
	"photovault/vault/blobs/dir"
)

// TestFullDisk fills a file system of its own.
func TestFullDisk(t *testing.T) {
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "size=1m,mode=0700"); err != nil {
		if os.Getenv("PHOTOVAULT_REQUIRE") == "all" {
			t.Fatalf("needs the right to mount a small file system: %v", err)
		}
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	})
	s, err := dir.Open(filepath.Join(mount, "objects"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	small := newName()
	put(t, s, small, make([]byte, 100<<10))
	big := newName()
	err = s.Put(t.Context(), big, bytes.NewReader(make([]byte, 2<<20)), 2<<20)
	if !errors.Is(err, blobs.ErrUnavailable) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("full: %v", err)
	}
	if _, _, err := s.Get(t.Context(), big, 0, -1); !errors.Is(err, blobs.ErrNotFound) {
		t.Errorf("half an object: %v", err)
	}
	r, size, err := s.Get(t.Context(), small, 0, -1)
	if err != nil || size != 100<<10 {
		t.Fatalf("the other object: %d bytes, %v", size, err)
	}
	r.Close()
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("ready again, as the failed put gave its space back: %v", err)
	}
	// Fill up what is left; then it is not ready and what is there can go.
	fill, err := os.Create(filepath.Join(mount, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = fill.Write(make([]byte, 4<<10))
	}
	fill.Close()
	if err := s.Ready(t.Context()); !errors.Is(err, blobs.ErrUnavailable) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("ready on a full disk: %v", err)
	}
	if err := s.Delete(t.Context(), small); err != nil {
		t.Errorf("delete on a full disk: %v", err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("ready with space again: %v", err)
	}
}
