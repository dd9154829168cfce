package imaging_test

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"photovault/imaging"
)

// A worker holds its three pipes and nothing that the service was started with: an end of a pipe that is handed on
// would keep the other from ending.
func TestWorkersInheritNothing(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	inherited, err := unix.Dup(int(w.Fd())) // as from a shell: not closed on exec
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	p := pool(t, imaging.Config{}, "media-worker")
	if err := unix.Close(inherited); err != nil {
		t.Fatal(err)
	}
	if err := r.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a worker holds what it was not given: %v", err)
	}
	p.Close()
}
