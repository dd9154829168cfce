package codec_test

import (
	"bytes"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	resize "github.com/disintegration/imaging"

	"photovault/imaging/codec"
	"photovault/imaging/internal/wire"
	"photovault/imaging/specimen"
)

// subjects are 12 megapixel photos: a real one where there is one, and a generated one.
func subjects(b *testing.B, run func(b *testing.B, in []byte)) {
	dir := os.Getenv("PHOTOVAULT_PHOTOS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "photos")
	}
	if in, err := os.ReadFile(filepath.Join(dir, "galaxy-s7-gps-12mp.jpg")); err == nil {
		b.Run("galaxy-s7", func(b *testing.B) { run(b, in) })
	}
	in := specimen.JPEG(specimen.Full(4032, 3024, 1))
	b.Run("generated", func(b *testing.B) { run(b, in) })
}

// measure reports processor time as well, which says something on a busy machine, too.
func measure(b *testing.B, in []byte, f func() error) {
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	before := cpuTime()
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

// The floor: what anybody pays who decodes the photo.
func BenchmarkFloorDecode(b *testing.B) {
	subjects(b, func(b *testing.B, in []byte) {
		measure(b, in, func() error { _, err := jpeg.Decode(bytes.NewReader(in)); return err })
	})
}

// The floor of strip: copying the file.
func BenchmarkFloorCopy(b *testing.B) {
	subjects(b, func(b *testing.B, in []byte) {
		measure(b, in, func() error { sink = append(make([]byte, 0, len(in)), in...); return nil })
	})
}

var sink []byte

func BenchmarkStrip(b *testing.B) {
	subjects(b, func(b *testing.B, in []byte) {
		measure(b, in, func() (err error) { sink, err = codec.Strip(in, codec.NoLimits); return err })
	})
}

func BenchmarkWalk(b *testing.B) {
	subjects(b, func(b *testing.B, in []byte) {
		measure(b, in, func() error { return codec.Walk(in) })
	})
}

// What the second worker does with the original: walk, compare, decode, hash.
func BenchmarkScan(b *testing.B) {
	subjects(b, func(b *testing.B, in []byte) {
		clean := sanitise(b, in).Renditions[0].Data
		measure(b, in, func() error { _, err := codec.Scan(clean); return err })
	})
}

func BenchmarkPixelHash(b *testing.B) {
	subjects(b, func(b *testing.B, in []byte) {
		m := decode(b, in)
		measure(b, in, func() error { codec.HashPixels(m); return nil })
	})
}

func BenchmarkWeb(b *testing.B) {
	subjects(b, func(b *testing.B, in []byte) {
		m := decode(b, in)
		measure(b, in, func() error { _, err := codec.EncodeSmall(codec.Shrink(m), 85); return err })
	})
}

// The floor of web: the library's own call on the same picture.
func BenchmarkFloorLanczos(b *testing.B) {
	subjects(b, func(b *testing.B, in []byte) {
		m := decode(b, in)
		measure(b, in, func() error { _ = resize.Resize(m, 1600, 1200, resize.Lanczos); return nil })
	})
}

func BenchmarkThumb(b *testing.B) {
	subjects(b, func(b *testing.B, in []byte) {
		web := codec.Shrink(decode(b, in))
		measure(b, in, func() error { _, err := codec.EncodeSmall(codec.Thumbnail(web), 80); return err })
	})
}

// Coding anew, for photos that must be turned or converted, beside the library's encoder, which writes
// half the chroma samples in each direction.
func BenchmarkEncode444(b *testing.B) {
	subjects(b, func(b *testing.B, in []byte) {
		m := decode(b, in)
		measure(b, in, func() error { sink = codec.Encode(m, 95); return nil })
	})
}

func BenchmarkPeerEncode420(b *testing.B) {
	subjects(b, func(b *testing.B, in []byte) {
		m := decode(b, in)
		measure(b, in, func() error {
			var buf bytes.Buffer
			return jpeg.Encode(&buf, m, &jpeg.Options{Quality: 95})
		})
	})
}

func BenchmarkSanitise(b *testing.B) {
	lim := wire.Limits{MaxPixels: 80e6, MaxSide: 65500, MemoryBytes: 1 << 30}
	subjects(b, func(b *testing.B, in []byte) {
		for name, o := range map[string]specimen.Options{"kept": {}, "turned": {Orientation: 6}, "P3": {ICC: specimen.DisplayP3()}} {
			photo := in
			if name != "kept" {
				clean, err := codec.Strip(in, lim)
				if err != nil {
					b.Fatal(err)
				}
				photo = specimen.Decorate(clean, o)
			}
			b.Run(name, func(b *testing.B) {
				measure(b, photo, func() error { _, err := codec.Sanitise(photo, lim); return err })
			})
		}
	})
}

// BenchmarkSanitisePNG and BenchmarkSanitiseWebP report processor time: with two threads of garbage
// collection beside it, and other work on the machine, wall time says little.
func BenchmarkSanitisePNG(b *testing.B) {
	for name, o := range map[string]specimen.PNGOptions{"kept": {}, "turned": {Chunks: specimen.EXIFChunk(6)},
		"16 bits": {Kind: 2, Depth: 16}} {
		o.Width, o.Height = 4032, 3024
		in := specimen.PNG(o)
		b.Run(name, func(b *testing.B) { sanitiseFormat(b, in) })
	}
}

func BenchmarkSanitiseWebP(b *testing.B) {
	cwebp, err := exec.LookPath("cwebp")
	if err != nil {
		require(b, "cwebp is not installed")
	}
	file := filepath.Join(b.TempDir(), "in.jpg")
	if err := os.WriteFile(file, specimen.JPEG(specimen.Options{Width: 4032, Height: 3024}), 0o600); err != nil {
		b.Fatal(err)
	}
	for name, args := range map[string][]string{"lossy": {"-q", "85", "-m", "0"}, "lossless": {"-lossless", "-z", "0"}} {
		in, err := exec.Command(cwebp, append(args, "-quiet", file, "-o", "-")...).Output()
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) { sanitiseFormat(b, in) })
	}
}

func sanitiseFormat(b *testing.B, in []byte) {
	roomy := limits
	roomy.MemoryBytes = 768 << 20
	b.ReportAllocs()
	before := cpuTime()
	for b.Loop() {
		a, err := codec.Sanitise(in, roomy)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(a.Renditions[0].Data))/float64(len(in)), "out/in")
	}
	b.ReportMetric(float64((cpuTime()-before).Milliseconds())/float64(b.N), "cpu-ms/op")
}

// What the floor is measured against: walking and decoding in one.
func BenchmarkDecode(b *testing.B) {
	subjects(b, func(b *testing.B, in []byte) {
		measure(b, in, func() error { _, err := codec.Open(in); return err })
	})
}
