package api_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"photovault/imaging/specimen"
	"photovault/vault"
	"photovault/vault/seal"
)

// BenchmarkFsck authenticates every byte of some photos; the floor opens as
// many bytes of a container in memory.
func BenchmarkFsck(b *testing.B) {
	s := newStack(b)
	patient := s.consented()
	for n := range 6 {
		s.ready(patient, func() []byte {
			return specimen.JPEG(specimen.Options{Width: 3000, Height: 2000, Quality: 95, Seed: uint64(n)})
		})
	}
	var size int64
	b.Run("photovault", func(b *testing.B) {
		for b.Loop() {
			report, err := (&vault.Fsck{Catalogs: s.catalog, Keys: s.keys, Blobs: s.blobs, Checkpoints: s.outside, Practice: s.practice,
				ReadData: true, Settle: time.Millisecond}).Run(context.Background())
			s.must(err)
			if len(report.Findings) > 0 || report.Bytes == 0 {
				b.Fatalf("%v", report)
			}
			size = report.Bytes
		}
		b.SetBytes(size)
	})
	b.Run("floor", func(b *testing.B) {
		key, context := bytes.Repeat([]byte{7}, 32), []byte("floor")
		sealed, err := seal.Seal(nil, key, context, make([]byte, size))
		s.must(err)
		b.SetBytes(size)
		for b.Loop() {
			r, err := seal.NewReader(bytes.NewReader(sealed), key, context)
			s.must(err)
			_, err = io.Copy(io.Discard, r)
			s.must(err)
		}
	})
}
