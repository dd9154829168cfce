package seal_test

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"time"

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

// paired runs container and floor in turn, so that what else the machine does
// hits both alike, and reports the floor's median time over the container's.
func paired(b *testing.B, container, floor func()) {
	var times [2][]time.Duration
	for b.Loop() {
		for i, run := range []func(){container, floor} {
			start := time.Now()
			run()
			times[i] = append(times[i], time.Since(start))
		}
	}
	for _, t := range times {
		slices.Sort(t)
	}
	median := func(t []time.Duration) float64 { return float64(t[len(t)/2]) }
	b.ReportMetric(median(times[1])/median(times[0]), "of-floor")
}

// compare runs both alone, for their throughput, and paired, for the ratio.
func compare(b *testing.B, container, floor func()) {
	alone := func(run func()) func(*testing.B) {
		return func(b *testing.B) {
			b.SetBytes(benchSize)
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		}
	}
	b.Run("container", alone(container))
	b.Run("floor", alone(floor))
	b.Run("paired", func(b *testing.B) { paired(b, container, floor) })
}

// The floor is the same AES-256-GCM over the same chunks, into the same
// memory, and nothing else.
func BenchmarkSeal(b *testing.B) {
	in := plain(benchSize)
	out := &fixedBuffer{b: make([]byte, seal.SealedSize(benchSize))}
	aead, nonce := gcm(b, key), make([]byte, 12)
	buffer := make([]byte, 0, sealedChunk)
	compare(b, func() {
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
	}, func() {
		out.n = 0
		for i := 0; i <= benchSize; i += seal.ChunkSize {
			nonce[11]++
			buffer = aead.Seal(buffer[:0], nonce, in[i:min(benchSize, i+seal.ChunkSize)], nil)
			if _, err := out.Write(buffer); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	c := sealed(b, benchSize)
	buffer := make([]byte, seal.ChunkSize)
	compare(b, func() {
		r, err := seal.NewReader(bytes.NewReader(c), key, context)
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := r.Read(buffer); err == io.EOF {
				return
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}, openFloor(b))
}

// openFloor opens as many bytes that lie sealed in memory and are read, as the
// container is, through a buffer of one chunk.
func openFloor(b *testing.B) func() {
	aead, nonce := gcm(b, key), make([]byte, 12)
	var all []byte
	for i := 0; i < benchSize; i += seal.ChunkSize {
		all = aead.Seal(all, nonce, plain(seal.ChunkSize), nil)
	}
	in, buffer := make([]byte, sealedChunk), make([]byte, seal.ChunkSize)
	return func() {
		for rest := all; len(rest) > 0; rest = rest[len(in):] {
			copy(in, rest)
			if _, err := aead.Open(buffer[:0], nonce, in, nil); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// Random places: whole photos out of a container that lies open, and 4 KiB at
// a time, which costs the chunk around it.
func BenchmarkReadAt(b *testing.B) {
	c := sealed(b, benchSize)
	r, err := seal.NewReaderAt(bytes.NewReader(c), int64(len(c)), key, context)
	if err != nil {
		b.Fatal(err)
	}
	whole := make([]byte, benchSize)
	compare(b, func() {
		if _, err := r.ReadAt(whole, 0); err != nil {
			b.Fatal(err)
		}
	}, openFloor(b))
	b.Run("4KiB", func(b *testing.B) {
		p := make([]byte, 4<<10)
		b.SetBytes(int64(len(p)))
		b.ReportAllocs()
		off := int64(0)
		for b.Loop() {
			if _, err := r.ReadAt(p, off); err != nil {
				b.Fatal(err)
			}
			off = (off + 1_234_567) % (benchSize - int64(len(p)))
		}
	})
}

// A row: what one container costs beside its bytes. The floor is AES-256-GCM
// with a key that is already there.
func BenchmarkRow(b *testing.B) {
	row := plain(300)
	c := sealed(b, len(row))
	out := make([]byte, 0, 1024)
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := seal.Seal(out, key, context, row); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := seal.Open(out, key, context, c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor", func(b *testing.B) {
		aead, nonce := gcm(b, key), make([]byte, 12)
		b.ReportAllocs()
		for b.Loop() {
			aead.Seal(out, nonce, row, nil)
		}
	})
}
