package seal_test

import (
	"bytes"
	"io"
	"testing"

	"photovault/vault/seal"
)

const benchSize = 5 << 20

type fixedBuffer struct {
	b []byte
	n int
}

func (f *fixedBuffer) Write(p []byte) (int, error) {
	f.n += copy(f.b[f.n:], p)
	return len(p), nil
}

// The floor is the same AES-256-GCM over the same chunks, into the same
// memory, and nothing else.
func BenchmarkSeal(b *testing.B) {
	in := plain(benchSize)
	out := &fixedBuffer{b: make([]byte, seal.SealedSize(benchSize))}
	b.Run("container", func(b *testing.B) {
		b.SetBytes(benchSize)
		b.ReportAllocs()
		for b.Loop() {
			out.n = 0
			w, err := seal.NewWriter(out, key, context)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := w.Write(in); err != nil {
				b.Fatal(err)
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor", func(b *testing.B) {
		aead := seal.BareAEAD(key)
		sealedChunk := make([]byte, 0, seal.ChunkSize+seal.Overhead)
		var nonce [12]byte
		b.SetBytes(benchSize)
		b.ReportAllocs()
		for b.Loop() {
			out.n = 0
			for i := 0; i <= benchSize; i += seal.ChunkSize {
				nonce[11]++
				sealedChunk = aead.Seal(sealedChunk[:0], nonce[:], in[i:min(benchSize, i+seal.ChunkSize)], nil)
				if _, err := out.Write(sealedChunk); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	c := sealed(b, benchSize)
	buffer := make([]byte, seal.ChunkSize)
	b.Run("container", func(b *testing.B) {
		b.SetBytes(benchSize)
		b.ReportAllocs()
		for b.Loop() {
			r, err := seal.NewReader(bytes.NewReader(c), key, context)
			if err != nil {
				b.Fatal(err)
			}
			for {
				if _, err := r.Read(buffer); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("floor", func(b *testing.B) {
		// The same number of bytes lies sealed in memory and is read, as the
		// container is, through a buffer of one chunk.
		aead := seal.BareAEAD(key)
		nonce := make([]byte, 12)
		var all []byte
		for i := 0; i < benchSize; i += seal.ChunkSize {
			all = aead.Seal(all, nonce, plain(seal.ChunkSize), nil)
		}
		in := make([]byte, seal.ChunkSize+seal.Overhead)
		b.SetBytes(benchSize)
		b.ReportAllocs()
		for b.Loop() {
			for rest := all; len(rest) > 0; rest = rest[len(in):] {
				copy(in, rest)
				if _, err := aead.Open(buffer[:0], nonce, in, nil); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
