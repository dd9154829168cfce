package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"photovault/vault/seal"
)

func TestReaderAtPlaces(t *testing.T) {
	n := 3*seal.ChunkSize + 77
	want, c := plain(n), sealed(t, n)
	r, err := seal.NewReaderAt(bytes.NewReader(c), int64(len(c)), key, context)
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int{0, 1, seal.ChunkSize - 1, seal.ChunkSize, seal.ChunkSize + 1, 2 * seal.ChunkSize, n - 1} {
		for _, size := range []int{0, 1, 100, seal.ChunkSize, 2*seal.ChunkSize + 5} {
			p := make([]byte, size)
			got, err := r.ReadAt(p, int64(off))
			end := min(n, off+size)
			if got != end-off || !bytes.Equal(p[:got], want[off:end]) || (err == nil) != (got == size) || err != nil && err != io.EOF {
				t.Errorf("ReadAt(%d, %d) = %d, %v", off, size, got, err)
			}
		}
	}
	if _, err := r.ReadAt(make([]byte, 1), int64(n)); err != io.EOF {
		t.Errorf("behind the end: %v", err)
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("before the beginning")
	}
	done := make(chan error)
	for i := range 8 {
		go func() {
			p := make([]byte, n)
			_, err := r.ReadAt(p, 0)
			if err == nil && !bytes.Equal(p, want) {
				err = fmt.Errorf("goroutine %d read other bytes", i)
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A length that is lied about is found before a byte is given out.
func TestReaderAtAuthenticatesTheLength(t *testing.T) {
	c := sealed(t, 3*seal.ChunkSize+77)
	for _, lie := range []int{len(c) - 1, len(c) - 77, len(c) - 77 - seal.Overhead, seal.HeaderSize + seal.ChunkSize + 2*seal.Overhead, seal.HeaderSize + seal.Overhead} {
		if _, err := seal.NewReaderAt(bytes.NewReader(c), int64(lie), key, context); !errors.Is(err, seal.ErrAuth) {
			t.Errorf("opened as %d bytes of %d: %v", lie, len(c), err)
		}
	}
	if _, err := seal.NewReaderAt(bytes.NewReader(c), int64(len(c))+100, key, context); !errors.Is(err, seal.ErrAuth) {
		t.Error("opened as longer than it is")
	}
}

func TestReaderAtHostileSizes(t *testing.T) {
	c := sealed(t, 3*seal.ChunkSize+77)
	for _, size := range []int64{math.MinInt64, -1, 0, 1, seal.HeaderSize, seal.HeaderSize + sealedChunk, 1 << 40, seal.SealedSize(seal.MaxPlain),
		seal.SealedSize(seal.MaxPlain) + 1, math.MaxInt64} {
		if _, err := seal.NewReaderAt(bytes.NewReader(c), size, key, context); err != seal.ErrAuth {
			t.Errorf("opened as %d bytes of %d: %v", size, len(c), err)
		}
	}
}

// giant is the largest container there is, of which only the header and two
// chunks exist.
type giant struct {
	header []byte
	chunks map[uint64][]byte
}

func (g *giant) ReadAt(p []byte, off int64) (int, error) {
	if off == 0 {
		return copy(p, g.header), nil
	}
	n, at := (off-seal.HeaderSize)/sealedChunk, (off-seal.HeaderSize)%sealedChunk
	c, ok := g.chunks[uint64(n)]
	if !ok || at != 0 || len(p) != len(c) {
		return 0, fmt.Errorf("%d bytes at %d were asked for", len(p), off)
	}
	return copy(p, c), nil
}

func TestReaderAtOfFourPebibytes(t *testing.T) {
	salt := bytes.Repeat([]byte{3}, 24)
	d := derive(t, key, context, salt)
	aead := gcm(t, d.key)
	const middle, last = 0x12_3456_789a, 1<<38 - 1
	g := &giant{header: append(bytes.Clone(salt), d.commitment...), chunks: map[uint64][]byte{
		middle: aead.Seal(nil, d.nonce(middle), plain(seal.ChunkSize), nil),
		last:   aead.Seal(nil, d.nonce(last), plain(seal.ChunkSize-1), nil),
	}}
	r, err := seal.NewReaderAt(g, seal.SealedSize(seal.MaxPlain), key, context)
	if err != nil {
		t.Fatal(err)
	}
	if r.Size() != 1<<52-1 {
		t.Errorf("Size() = %d", r.Size())
	}
	p := make([]byte, 50)
	if n, err := r.ReadAt(p, middle*seal.ChunkSize+1000); n != 50 || err != nil || !bytes.Equal(p, plain(1050)[1000:]) {
		t.Errorf("in the middle: %d, %v", n, err)
	}
	if n, err := r.ReadAt(p, 1<<52-11); n != 10 || err != io.EOF || !bytes.Equal(p[:n], plain(seal.ChunkSize - 1)[seal.ChunkSize-11:]) {
		t.Errorf("at the end: %d, %v", n, err)
	}
	for _, off := range []int64{1<<52 - 1, 1 << 52, math.MaxInt64} {
		if n, err := r.ReadAt(p, off); n != 0 || err != io.EOF {
			t.Errorf("behind the end, at %d: %d, %v", off, n, err)
		}
	}
}
