package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"photovault/vault/seal"
)

// A source that breaks off says so with an error that wraps io.ErrUnexpectedEOF.
func TestBrokenOffIsNotTruncated(t *testing.T) {
	c := sealed(t, 40_000)
	broken := fmt.Errorf("connection lost: %w", io.ErrUnexpectedEOF)
	r, err := seal.NewReader(io.MultiReader(bytes.NewReader(c[:30_000]), iotest.ErrReader(broken)), key, context)
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if errors.Is(err, seal.ErrAuth) || !errors.Is(err, broken) {
		t.Errorf("a store that breaks off makes the container look forged: %v", err)
	}
	at, err := seal.NewReaderAt(&failingAt{c, 30_000, broken}, int64(len(c)), key, context)
	if errors.Is(err, seal.ErrAuth) || !errors.Is(err, broken) || at != nil {
		t.Errorf("at random places: %v", err)
	}
}

// A source that fails is not a container that lies.
func TestSourceErrorsAreTheirOwn(t *testing.T) {
	c := sealed(t, 40_000)
	broken := errors.New("disk on fire")
	for _, at := range []int{0, 10, seal.HeaderSize, seal.HeaderSize + 5, seal.HeaderSize + 20_000} {
		r, err := seal.NewReader(io.MultiReader(bytes.NewReader(c[:at]), iotest.ErrReader(broken)), key, context)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, broken) || errors.Is(err, seal.ErrAuth) {
			t.Errorf("failing at byte %d: %v", at, err)
		}
	}
}

// failingAt is a source of which what is behind good bytes cannot be read.
type failingAt struct {
	b    []byte
	good int64
	err  error
}

func (f *failingAt) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.good {
		return copy(p, f.b[min(off, f.good):f.good]), f.err
	}
	return bytes.NewReader(f.b).ReadAt(p, off)
}

// Reads at random places ask the source again after it failed.
func TestReaderAtOutlivesAFailure(t *testing.T) {
	c, broken := sealed(t, 40_000), errors.New("disk on fire")
	src := &failingAt{c, int64(len(c)), broken}
	at, err := seal.NewReaderAt(src, int64(len(c)), key, context)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 40_000)
	src.good = seal.HeaderSize + sealedChunk + 5
	if n, err := at.ReadAt(p, 0); n != seal.ChunkSize || !errors.Is(err, broken) || errors.Is(err, seal.ErrAuth) {
		t.Errorf("ReadAt of a source that fails in the second chunk: %d, %v", n, err)
	}
	src.good = int64(len(c))
	if n, err := at.ReadAt(p, 0); err != nil || n != len(p) || !bytes.Equal(p, plain(40_000)) {
		t.Errorf("ReadAt after the source is back: %d, %v", n, err)
	}
}

// Where the source just ends, also with a bare io.ErrUnexpectedEOF, the
// container is cut.
func TestSourceThatEndsIsTruncation(t *testing.T) {
	c := sealed(t, 40_000)
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF} {
		for _, at := range []int{0, 10, seal.HeaderSize, seal.HeaderSize + 5, seal.HeaderSize + sealedChunk, 30_000, len(c) - 1} {
			r, err := seal.NewReader(io.MultiReader(bytes.NewReader(c[:at]), iotest.ErrReader(end)), key, context)
			if err == nil {
				_, err = io.ReadAll(r)
			}
			if err != seal.ErrAuth {
				t.Errorf("%v at byte %d: %v", end, at, err)
			}
			if _, err := seal.NewReaderAt(&failingAt{c, int64(at), end}, int64(len(c)), key, context); err != seal.ErrAuth {
				t.Errorf("%v at byte %d, at random places: %v", end, at, err)
			}
		}
	}
}
