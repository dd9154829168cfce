package seal_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"testing"
	"testing/iotest"

	"photovault/vault/seal"
)

func TestSizesAndSteps(t *testing.T) {
	const chunk = seal.ChunkSize
	for _, n := range []int{0, 1, 15, chunk - 1, chunk, chunk + 1, 2*chunk - 1, 2 * chunk, 2*chunk + 1, 3*chunk - 1, 3 * chunk, 3*chunk + 1} {
		salt := bytes.Repeat([]byte{byte(n)}, 24)
		whole, err := seal.SealWith(nil, key, context, plain(n), salt)
		if err != nil {
			t.Fatal(err)
		}
		if err := opens(t, key, context, whole, plain(n)); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		if size, err := seal.PlaintextSize(int64(len(whole))); err != nil || size != int64(n) || seal.SealedSize(size) != int64(len(whole)) {
			t.Errorf("PlaintextSize(%d) = %d, %v, and SealedSize of it %d", len(whole), size, err, seal.SealedSize(size))
		}
		for _, step := range []int{1, 1000, chunk - 1, chunk, chunk + 1, 2 * chunk, 1 << 20} {
			if step == 1 && n > chunk+1 {
				continue
			}
			t.Run(fmt.Sprintf("%d bytes in steps of %d", n, step), func(t *testing.T) {
				var b bytes.Buffer
				w, err := seal.NewWriterWith(&b, key, context, salt)
				if err != nil {
					t.Fatal(err)
				}
				for p := plain(n); len(p) > 0; {
					k := min(step, len(p))
					if m, err := w.Write(p[:k]); err != nil || m != k {
						t.Fatalf("Write of %d bytes: %d, %v", k, m, err)
					}
					p = p[k:]
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(b.Bytes(), whole) {
					t.Fatal("Writer and Seal make different containers")
				}
				r, err := seal.NewReader(bytes.NewReader(whole), key, context)
				if err != nil {
					t.Fatal(err)
				}
				var got []byte
				for p := make([]byte, step); ; {
					m, err := r.Read(p)
					got = append(got, p[:m]...)
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if !bytes.Equal(got, plain(n)) {
					t.Error("read back otherwise")
				}
			})
		}
		for name, source := range map[string]io.Reader{
			"byte by byte": iotest.OneByteReader(bytes.NewReader(whole)),
			"by halves":    iotest.HalfReader(bytes.NewReader(whole)),
			"with the end": iotest.DataErrReader(bytes.NewReader(whole)),
		} {
			r, err := seal.NewReader(source, key, context)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain(n)) {
				t.Errorf("%d bytes from a source %s: %v", n, name, err)
			}
		}
	}
}

func TestSizeArithmetic(t *testing.T) {
	for sealedSize := range int64(4 * seal.ChunkSize) {
		n, err := seal.PlaintextSize(sealedSize)
		if err == nil && seal.SealedSize(n) != sealedSize {
			t.Fatalf("PlaintextSize(%d) = %d, but SealedSize(%d) = %d", sealedSize, n, n, seal.SealedSize(n))
		}
	}
	largest := seal.SealedSize(seal.MaxPlain)
	if want := int64(seal.HeaderSize) + seal.MaxPlain + seal.Overhead<<38; largest != want || seal.MaxPlain != 1<<52-1 {
		t.Errorf("the largest container has %d bytes, want %d", largest, want)
	}
	if n, err := seal.PlaintextSize(largest); err != nil || n != seal.MaxPlain {
		t.Errorf("PlaintextSize(%d) = %d, %v", largest, n, err)
	}
	const first = seal.HeaderSize + sealedChunk
	for _, bad := range []int64{
		math.MinInt64, -1, 0, seal.HeaderSize, seal.HeaderSize + seal.Overhead - 1, first, first + seal.Overhead - 1,
		largest + 1, largest + sealedChunk, math.MaxInt64 - 1, math.MaxInt64,
	} {
		if n, err := seal.PlaintextSize(bad); err != seal.ErrAuth {
			t.Errorf("PlaintextSize(%d) = %d, %v", bad, n, err)
		}
	}
	for _, bad := range []int64{math.MinInt64, -1, seal.MaxPlain + 1, math.MaxInt64 - 56, math.MaxInt64} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("SealedSize(%d) did not panic", bad)
				}
			}()
			seal.SealedSize(bad)
		}()
	}
}

// The counter ends at 2³⁸: neither side goes on past it.
func TestNoChunkBehindTheLast(t *testing.T) {
	salt := make([]byte, 24)
	d := derive(t, key, context, salt)
	aead := gcm(t, d.key)
	var b bytes.Buffer
	w, err := seal.NewWriterWith(&b, key, context, salt)
	if err != nil {
		t.Fatal(err)
	}
	w.SkipTo(1<<38 - 1)
	if _, err := w.Write(plain(seal.ChunkSize)); err != nil {
		t.Fatal(err)
	}
	last := b.Bytes()[seal.HeaderSize:]
	if got, err := aead.Open(nil, d.nonce(1<<38-1), last, nil); err != nil || !bytes.Equal(got, plain(seal.ChunkSize)) {
		t.Errorf("chunk 2³⁸-1 is sealed otherwise: %v", err)
	}
	if err := w.Close(); err == nil {
		t.Error("chunk 2³⁸ was sealed")
	}
	if b.Len() != seal.HeaderSize+sealedChunk {
		t.Errorf("%d bytes were written", b.Len())
	}

	next := aead.Seal(bytes.Clone(b.Bytes()), d.nonce(1<<38), []byte("one more"), nil)
	r, err := seal.NewReader(bytes.NewReader(next), key, context)
	if err != nil {
		t.Fatal(err)
	}
	r.SkipTo(1<<38 - 1)
	if got, err := io.ReadAll(r); err != seal.ErrAuth || !bytes.Equal(got, plain(seal.ChunkSize)) {
		t.Errorf("chunk 2³⁸ was opened: %d bytes, %v", len(got), err)
	}
}

func TestChunksAllocateNothing(t *testing.T) {
	w, err := seal.NewWriter(io.Discard, key, context)
	if err != nil {
		t.Fatal(err)
	}
	small, large := plain(1000), plain(3*seal.ChunkSize+5)
	if n := testing.AllocsPerRun(50, func() {
		w.Write(small)
		w.Write(large)
	}); n != 0 {
		t.Errorf("Writer: %v allocations for three chunks", n)
	}
	c := sealed(t, 400*seal.ChunkSize)
	r, err := seal.NewReader(bytes.NewReader(c), key, context)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(50, func() {
		for _, p := range [][]byte{small, large} {
			if _, err := io.ReadFull(r, p); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("Reader: %v allocations for three chunks", n)
	}
	at, err := seal.NewReaderAt(bytes.NewReader(c), int64(len(c)), key, context)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(50, func() {
		if _, err := at.ReadAt(large, 100); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Errorf("ReaderAt: %v allocations for four chunks", n)
	}
}
