package codec_test

import (
	"testing"
	"time"

	"photovault/imaging/codec"
	"photovault/imaging/internal/wire"
	"photovault/imaging/specimen"
)

// Whatever comes in is refused with a code, or gives renditions that a second look finds nothing in.
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
	small := wire.Limits{MaxPixels: 1e6, MaxSide: 4000, MemoryBytes: 64 << 20}
	f.Fuzz(func(t *testing.T, in []byte) {
		start := time.Now()
		a, err := codec.Sanitise(in, small)
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("took %v", d)
		}
		if err != nil {
			if c := codeOf(err); c == "worker_failed" {
				t.Errorf("failed instead of refusing: %s", c)
			}
			return
		}
		if !a.Findings.Plausible(int64(len(in))) {
			t.Errorf("findings %+v", a.Findings)
		}
		for _, r := range a.Renditions {
			seen, err := codec.Scan(r.Data)
			if err != nil || seen.Width != r.Width || seen.Height != r.Height {
				t.Errorf("%s: %+v, %v", r.Name, seen, err)
			}
		}
		if again := sanitise(t, a.Renditions[0].Data); len(again.Findings.Removed) != 0 {
			t.Errorf("something was left to remove: %v", again.Findings.Removed)
		}
	})
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
		start := time.Now()
		facts := codec.ReadEXIF(in)
		if d := time.Since(start); d > time.Second {
			t.Errorf("took %v", d)
		}
		if facts.Orientation < 0 || facts.Orientation > 8 || len(facts.CaptureTime) != 0 && len(facts.CaptureTime) != 19 {
			t.Errorf("facts %+v", facts)
		}
	})
}
