package vaulttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"photovault/vault/blobs"
)

func testExists(t *testing.T, s blobs.Store) {
	name, first := newName(), noise(1000)
	put(t, s, name, first)
	for _, again := range [][]byte{noise(1001), first, nil} {
		if err := s.Put(t.Context(), name, bytes.NewReader(again), int64(len(again))); !errors.Is(err, blobs.ErrExists) {
			t.Errorf("%d bytes more: %v, want ErrExists", len(again), err)
		}
		if got := get(t, s, name, 0, -1, 1000); !bytes.Equal(got, first) {
			t.Error("the object changed")
		}
	}
}

func testPutRace(t *testing.T, s blobs.Store) {
	for range 5 {
		name := newName()
		start := make(chan struct{})
		var won atomic.Int32
		var wg sync.WaitGroup
		for g := range int32(8) {
			wg.Go(func() {
				b := bytes.Repeat([]byte{byte(g)}, 300_000)
				<-start
				err := s.Put(t.Context(), name, bytes.NewReader(b), int64(len(b)))
				switch {
				case err == nil && !won.CompareAndSwap(0, g+1):
					t.Error("two puts were told that they won")
				case err != nil && !errors.Is(err, blobs.ErrExists):
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
		winner := won.Load()
		if winner == 0 {
			t.Fatal("no put won")
		}
		if got := get(t, s, name, 0, -1, 300_000); !bytes.Equal(got, bytes.Repeat([]byte{byte(winner - 1)}, 300_000)) {
			t.Error("the object is not the winner's")
		}
	}
}

func testPutSize(t *testing.T, s blobs.Store) {
	for _, x := range []struct{ has, declared int64 }{
		{0, 1}, {1, 0}, {99, 100}, {101, 100}, {1<<20 - 1, 1 << 20}, {1<<20 + 1, 1 << 20}, {3 << 20, 1 << 20}, {0, 1 << 20}, {0, -1}, {10, -1}, {10, math.MinInt64},
	} {
		for how, wrap := range map[string]func(io.Reader) io.Reader{
			"":                          func(r io.Reader) io.Reader { return r },
			", its end with the data":   iotest.DataErrReader,
			", without a seek or a len": func(r io.Reader) io.Reader { return struct{ io.Reader }{r} },
		} {
			name := newName()
			if err := s.Put(t.Context(), name, wrap(bytes.NewReader(noise(int(x.has)))), x.declared); !errors.Is(err, blobs.ErrSize) {
				t.Errorf("%d bytes declared as %d%s: %v, want ErrSize", x.has, x.declared, how, err)
			}
			absent(t, s, name)
		}
	}
	// The name is still free.
	name := newName()
	if err := s.Put(t.Context(), name, bytes.NewReader(nil), 10); !errors.Is(err, blobs.ErrSize) {
		t.Fatal(err)
	}
	put(t, s, name, noise(10))
}

func testPutBroken(t *testing.T, s blobs.Store) {
	broken := errors.New("the line was cut")
	for _, x := range []struct{ at, declared int }{{0, 0}, {0, 1000}, {500, 1000}, {1000, 1000}, {1 << 20, 3 << 20}} {
		for _, failure := range []error{broken, io.ErrUnexpectedEOF} {
			name := newName()
			r := io.MultiReader(bytes.NewReader(noise(x.at)), iotest.ErrReader(failure))
			if err := s.Put(t.Context(), name, r, int64(x.declared)); !errors.Is(err, failure) {
				t.Errorf("the reader fails after %d of %d bytes: %v, want its error", x.at, x.declared, err)
			}
			absent(t, s, name)
			put(t, s, name, noise(x.declared)) // the name is still free
		}
	}
}

func testPutOddReaders(t *testing.T, s blobs.Store) {
	for how, wrap := range map[string]func(io.Reader) io.Reader{
		"byte by byte":       iotest.OneByteReader,
		"half by half":       iotest.HalfReader,
		"its end with data":  iotest.DataErrReader,
		"nothing in between": func(r io.Reader) io.Reader { return &hesitant{r: r} },
	} {
		name, b := newName(), noise(5000)
		if err := s.Put(t.Context(), name, wrap(bytes.NewReader(b)), int64(len(b))); err != nil {
			t.Errorf("%s: %v", how, err)
			continue
		}
		if got := get(t, s, name, 0, -1, int64(len(b))); !bytes.Equal(got, b) {
			t.Errorf("%s: other bytes", how)
		}
	}
}

// hesitant returns no bytes every other time, as io.Reader permits.
type hesitant struct {
	r    io.Reader
	next bool
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.next = !h.next; h.next {
		return 0, nil
	}
	return h.r.Read(p)
}

func testPutCancelled(t *testing.T, s blobs.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	name := newName()
	err := s.Put(ctx, name, bytes.NewReader(noise(100)), 100)
	if !errors.Is(err, blobs.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v, want ErrUnavailable and context.Canceled", err)
	}
	absent(t, s, name)

	// Cancelled by its own reader, which after that would never end.
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	r := &canceller{cancel: cancel, after: 1 << 20}
	err = s.Put(ctx, name, r, math.MaxInt64/2)
	if !errors.Is(err, blobs.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled within: %v, want ErrUnavailable and context.Canceled", err)
	}
	absent(t, s, name)
	put(t, s, name, noise(100)) // the name is still free
}

// canceller gives out zeros for ever, and cancels when it has given out after.
type canceller struct {
	cancel func()
	after  int
}

func (c *canceller) Read(p []byte) (int, error) {
	if c.after -= len(p); c.after <= 0 {
		c.cancel()
	}
	clear(p)
	return len(p), nil
}
