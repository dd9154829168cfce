package codec_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

func TestNothingPlantedSurvives(t *testing.T) {
	for orient := range 9 {
		for _, gray := range []bool{false, true} {
			o := specimen.Full(401, 299, uint64(orient))
			o.Orientation, o.Gray = orient, gray
			if gray {
				o.ICC = nil
			}
			t.Run(fmt.Sprintf("orientation %d, gray %v", orient, gray), func(t *testing.T) {
				in := specimen.JPEG(o)
				if got, want := len(specimen.Find(in, o.Canary)), len(specimen.Forms(o.Canary)); got != want {
					t.Fatalf("the specimen holds %d forms of its canary, want %d", got, want)
				}
				for _, r := range sanitise(t, in).Renditions {
					if found := specimen.Find(r.Data, o.Canary); found != nil {
						t.Errorf("%s holds the canary as %v", r.Name, found)
					}
					if _, err := codec.Scan(r.Data); err != nil {
						t.Errorf("%s: %v", r.Name, err)
					}
				}
			})
		}
	}
}

func TestFindingsNameWhatWasThere(t *testing.T) {
	in := specimen.JPEG(specimen.Full(200, 100, 1))
	f := sanitise(t, in).Findings
	kinds := map[string]bool{}
	var sum int64
	for _, r := range f.Removed {
		kinds[r.Kind] = true
		sum += r.Bytes
	}
	for _, want := range []string{"EXIF", "XMP", "Photoshop/IPTC", "comment", "ICC profile", "MPF", "JFXX thumbnail",
		"APP3", "APP11", "unused tables", "between segments", "after image data", "trailer"} {
		if !kinds[want] {
			t.Errorf("nothing said about %s: %v", want, f.Removed)
		}
	}
	plain := specimen.JPEG(specimen.Options{Width: 200, Height: 100, Seed: 1})
	if added := int64(len(in) - len(plain)); sum < added-100 || sum > added {
		t.Errorf("%d bytes said to be removed of %d that were added", sum, added)
	}
	if !f.HadGPS || f.CaptureTime != "2026:03:14 09:26:53" || f.Orientation != 1 || f.EXIFUnreadable {
		t.Errorf("findings %+v", f)
	}
	if !f.CodedDataKept || f.OrientationBaked || f.ColourConverted || f.SourceProfile != "sRGB" {
		t.Errorf("findings %+v", f)
	}
}

func TestSanitisingTwiceEqualsOnce(t *testing.T) {
	in := specimen.JPEG(specimen.Full(320, 240, 3))
	once := sanitise(t, in)
	twice := sanitise(t, once.Renditions[0].Data)
	if !bytes.Equal(once.Renditions[0].Data, twice.Renditions[0].Data) {
		t.Error("the original changes when it is sanitised again")
	}
	if len(twice.Findings.Removed) != 0 {
		t.Errorf("something was left to remove: %v", twice.Findings.Removed)
	}
	again := sanitise(t, in)
	if diff := cmp.Diff(once, again); diff != "" {
		t.Errorf("the same photo gives different bytes:\n%s", diff)
	}
}

func TestKeptDataIsKeptBitForBit(t *testing.T) {
	plain := specimen.JPEG(specimen.Options{Width: 333, Height: 222, Seed: 9})
	o := specimen.Full(333, 222, 9)
	got := sanitise(t, specimen.Decorate(plain, o)).Renditions[0].Data
	scan := plain[bytes.Index(plain, []byte{0xFF, 0xDA}):]
	if !bytes.HasSuffix(got, scan) {
		t.Error("the scan is not that of the upload")
	}
}

func TestScanRefusesWhateverIsNotCanonical(t *testing.T) {
	clean := sanitise(t, specimen.JPEG(specimen.Options{Width: 64, Height: 64})).Renditions[0].Data
	if _, err := codec.Scan(clean); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]specimen.Options{
		"comment": {Comment: true}, "EXIF": {Orientation: 1}, "XMP": {XMP: true}, "trailer": {Trailer: true},
		"tail": {Tail: true}, "fill": {Fill: true}, "tables": {Tables: true}, "ICC": {ICC: specimen.SRGB()},
		"second JFIF": {JFXX: true}, "IPTC": {IPTC: true}, "unknown": {Unknown: true},
	} {
		if _, err := codec.Scan(specimen.Decorate(clean, o)); codeOf(err) != codec.CodeUnsafe {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := codec.Scan(clean[:len(clean)-40]); codeOf(err) != codec.CodeUnsafe {
		t.Errorf("cut: %v", err)
	}
}
