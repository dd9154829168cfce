package seal_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"photovault/vault/seal"
)

// limited takes room bytes and then fails; without an error it is silently
// short, as an io.Writer must not be.
type limited struct {
	b    bytes.Buffer
	room int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.room-l.b.Len())
	l.b.Write(p[:n])
	if n < len(p) {
		return n, l.err
	}
	return n, nil
}

func TestWriterReportsItsDestination(t *testing.T) {
	full := errors.New("disk full")
	n := 2*seal.ChunkSize + 100
	for _, room := range []int{0, 10, seal.HeaderSize, seal.HeaderSize + 5, seal.HeaderSize + sealedChunk, seal.HeaderSize + 2*sealedChunk, int(seal.SealedSize(int64(n))) - 1} {
		for want, err := range map[error]error{full: full, io.ErrShortWrite: nil} {
			for _, step := range []int{1000, n} {
				w, failed := seal.NewWriter(&limited{room: room, err: err}, key, context)
				written := 0
				for p := plain(n); failed == nil && len(p) > 0; {
					var m int
					m, failed = w.Write(p[:min(step, len(p))])
					written, p = written+m, p[m:]
				}
				if failed == nil {
					failed = w.Close()
				}
				if !errors.Is(failed, want) {
					t.Errorf("room for %d bytes, steps of %d: %v, want %v", room, step, failed, want)
				}
				if w == nil {
					continue
				}
				if written > max(0, room-seal.HeaderSize)/sealedChunk*seal.ChunkSize+seal.ChunkSize {
					t.Errorf("room for %d bytes, steps of %d: %d are said to be written", room, step, written)
				}
				if _, again := w.Write([]byte{0}); !errors.Is(again, want) {
					t.Errorf("room for %d bytes: the next Write says %v", room, again)
				}
				if again := w.Close(); !errors.Is(again, want) {
					t.Errorf("room for %d bytes: Close says %v", room, again)
				}
			}
		}
	}
}

func TestWriterIsClosedOnce(t *testing.T) {
	var b bytes.Buffer
	w, err := seal.NewWriter(&b, key, context)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain(10)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write([]byte{0}); err == nil || n != 0 {
		t.Error("a write after Close was taken")
	}
	if err := w.Close(); err == nil {
		t.Error("a second Close was taken")
	}
	if err := opens(t, key, context, b.Bytes(), plain(10)); err != nil {
		t.Error(err)
	}
}

func TestWithoutCloseItDoesNotOpen(t *testing.T) {
	for _, n := range []int{0, 10, seal.ChunkSize, 2*seal.ChunkSize + 10} {
		var b bytes.Buffer
		w, err := seal.NewWriter(&b, key, context)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(plain(n)); err != nil {
			t.Fatal(err)
		}
		refused(t, key, context, b.Bytes(), plain(n), "not closed")
	}
}

// The caller may wipe the key as soon as a constructor has returned.
func TestKeysAndContextsAreOnlyBorrowed(t *testing.T) {
	borrow := func() (k, c []byte, wipe func()) {
		k, c = bytes.Clone(key), bytes.Clone(context)
		return k, c, func() {
			if !bytes.Equal(k, key) || !bytes.Equal(c, context) {
				t.Error("a borrowed key or context was changed")
			}
			clear(k)
			clear(c)
		}
	}
	n := 2*seal.ChunkSize + 10
	var b bytes.Buffer
	k, c, wipe := borrow()
	w, err := seal.NewWriter(&b, k, c)
	wipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain(n)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	k, c, wipe = borrow()
	r, err := seal.NewReader(bytes.NewReader(b.Bytes()), k, c)
	wipe()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain(n)) {
		t.Error(err)
	}
	k, c, wipe = borrow()
	at, err := seal.NewReaderAt(bytes.NewReader(b.Bytes()), int64(b.Len()), k, c)
	wipe()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, n)
	if _, err := at.ReadAt(got, 0); err != nil || !bytes.Equal(got, plain(n)) {
		t.Error(err)
	}
}

func TestSealAppends(t *testing.T) {
	out, err := seal.Seal([]byte("before"), key, context, plain(100))
	if err != nil || !bytes.HasPrefix(out, []byte("before")) {
		t.Fatalf("%q, %v", out[:6], err)
	}
	if err := opens(t, key, context, out[6:], plain(100)); err != nil {
		t.Error(err)
	}
}

// Where dst has room, nothing is made elsewhere: a caller who opens a secret
// into memory of its own can wipe all of it.
func TestOpenUsesTheRoomThatItIsGiven(t *testing.T) {
	c := sealed(t, 100)
	room := make([]byte, 0, 100)
	got, err := seal.Open(room, key, context, c)
	if err != nil || &got[0] != &room[:1][0] || !bytes.Equal(room[:100], plain(100)) {
		t.Errorf("the plaintext is elsewhere: %v", err)
	}
	if out, err := seal.Seal(make([]byte, 0, len(c)), key, context, plain(100)); err != nil || cap(out) != len(c) {
		t.Errorf("the container is elsewhere: %v", err)
	}
}

func TestSaltsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		salt := string(sealed(t, 0)[:24])
		var b bytes.Buffer
		if _, err := seal.NewWriter(&b, key, context); err != nil {
			t.Fatal(err)
		}
		streamed := string(b.Bytes()[:24])
		if seen[salt] || seen[streamed] || salt == streamed {
			t.Fatal("a salt came twice")
		}
		seen[salt], seen[streamed] = true, true
	}
}
