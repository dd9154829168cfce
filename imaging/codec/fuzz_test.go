package codec_test

import (
	"bytes"
	"image"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"photovault/imaging/codec"
	"photovault/imaging/internal/wire"
	"photovault/imaging/specimen"
)

// fuzzLimits keep executions short; what larger pictures cost is measured elsewhere.
var fuzzLimits = wire.Limits{MaxPixels: 4e6, MaxSide: 65500, MemoryBytes: 256 << 20}

// fuzzSanitise demands that whatever comes in is refused with a code, or gives renditions that a second
// look finds nothing in and a decoder of others opens; in 2 s of processor time and 256 MiB; and that
// sanitising twice equals once.
func fuzzSanitise(f *testing.F) {
	debug.SetMemoryLimit(fuzzLimits.MemoryBytes)
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 1<<20 {
			return
		}
		before := cpuTime()
		a, err := codec.Sanitise(in, fuzzLimits)
		if d := cpuTime() - before; d > 2*time.Second {
			t.Errorf("took %v", d)
		}
		var m runtime.MemStats
		if runtime.ReadMemStats(&m); m.Sys-m.HeapReleased > uint64(fuzzLimits.MemoryBytes) {
			t.Errorf("%d MiB in use", (m.Sys-m.HeapReleased)>>20)
		}
		if err != nil {
			if c := codeOf(err); c == "worker_failed" {
				t.Errorf("failed instead of refusing: %v", err)
			}
			return
		}
		if !a.Findings.Plausible(int64(len(in))) {
			t.Errorf("findings %+v", a.Findings)
		}
		for _, r := range a.Renditions {
			seen, err := codec.Scan(r.Data)
			if err != nil || seen.Width != r.Width || seen.Height != r.Height || seen.ContentType != r.ContentType {
				t.Errorf("%s: %+v, %v", r.Name, seen, err)
			}
			// image/jpeg itself reads no restart markers in progressive images; Scan decodes those by
			// way of a sequential twin.
			if bytes.Contains(r.Data, []byte{0xff, 0xc2}) && bytes.Contains(r.Data, []byte{0xff, 0xdd}) {
				continue
			}
			if m, _, err := image.Decode(bytes.NewReader(r.Data)); err != nil || m.Bounds().Dx() != r.Width || m.Bounds().Dy() != r.Height {
				t.Errorf("%s does not decode: %v", r.Name, err)
			}
		}
		again := sanitise(t, a.Renditions[0].Data)
		if len(again.Findings.Removed) != 0 || !bytes.Equal(again.Renditions[0].Data, a.Renditions[0].Data) {
			t.Errorf("something was left to remove: %v", again.Findings.Removed)
		}
	})
}

// cpuTime is what this process has used: wall time would measure its neighbours.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func FuzzSanitiseJPEG(f *testing.F) {
	f.Add(specimen.JPEG(specimen.Full(40, 30, 1)))
	for orient := range 9 {
		f.Add(specimen.JPEG(specimen.Options{Width: 17, Height: 9, Orientation: orient, Gray: orient%2 == 0}))
	}
	for _, icc := range [][]byte{specimen.SRGB(), specimen.DisplayP3(), specimen.LUT()} {
		f.Add(specimen.JPEG(specimen.Options{Width: 16, Height: 16, ICC: icc}))
	}
	for _, b := range append(specimen.Bombs(), specimen.Malformed()...) {
		f.Add(b.Data)
	}
	for _, b := range testdata(f, "*.jpg") {
		f.Add(b)
	}
	fuzzSanitise(f)
}

func FuzzSanitisePNG(f *testing.F) {
	for _, o := range pngKinds() {
		o.Width, o.Height = 13, 9
		f.Add(specimen.PNG(o))
	}
	for orient := range 9 {
		f.Add(specimen.PNG(specimen.PNGOptions{Width: 17, Height: 9, Chunks: specimen.Chunk(nil, "eXIf", block(specimen.Options{Orientation: orient}))}))
	}
	for _, icc := range [][]byte{specimen.SRGB(), specimen.DisplayP3(), specimen.AdobeRGB()} {
		f.Add(specimen.PNG(specimen.PNGOptions{Width: 17, Height: 9, Chunks: specimen.ICCP("x", icc)}))
	}
	for _, b := range specimen.BrokenPNG() {
		if len(b.Data) < 8<<10 {
			f.Add(b.Data)
		}
	}
	fuzzSanitise(f)
}

func FuzzSanitiseWebP(f *testing.F) {
	for name, b := range specimen.WebPs() {
		f.Add(b)
		if name == "lossy.webp" {
			for orient := range 9 {
				f.Add(specimen.Extended(b, 121, 83, specimen.WebPEXIF, nil, specimen.RIFFChunk(nil, "EXIF", block(specimen.Options{Orientation: orient}))))
			}
			for _, icc := range [][]byte{specimen.SRGB(), specimen.DisplayP3(), specimen.AdobeRGB()} {
				f.Add(specimen.Extended(b, 121, 83, specimen.WebPICC, specimen.RIFFChunk(nil, "ICCP", icc), nil))
			}
		}
	}
	for _, b := range specimen.BrokenWebP() {
		f.Add(b.Data)
	}
	fuzzSanitise(f)
}

// The guard never lets goexif see what makes it run away, and never fails.
func FuzzExifGuard(f *testing.F) {
	f.Add(block(specimen.Full(16, 16, 1)))
	f.Add(block(specimen.Options{AdobeRGB: true, GPS: true, Orientation: 3}))
	for _, b := range specimen.HostileEXIF() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 65527 {
			return // does not fit a segment
		}
		before := cpuTime()
		facts := codec.ReadEXIF(in)
		if d := cpuTime() - before; d > time.Second {
			t.Errorf("took %v", d)
		}
		if facts.Orientation < 0 || facts.Orientation > 8 || len(facts.CaptureTime) != 0 && len(facts.CaptureTime) != 19 {
			t.Errorf("facts %+v", facts)
		}
	})
}
