package codec_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

// block returns the TIFF block of a specimen's EXIF segment.
func block(o specimen.Options) []byte {
	b := specimen.JPEG(o)
	at := bytes.Index(b, []byte("Exif\x00\x00"))
	if at < 0 {
		return nil
	}
	return b[at+6 : at-4+2+int(b[at-2])<<8+int(b[at-1])]
}

func TestEXIFGivesTheReceiptItsFacts(t *testing.T) {
	for _, c := range []struct {
		name string
		o    specimen.Options
		want codec.EXIFFacts
	}{
		{"none", specimen.Options{}, codec.EXIFFacts{}},
		{"all", specimen.Full(64, 64, 1), codec.EXIFFacts{CaptureTime: "2026:03:14 09:26:53", Orientation: 1, HadGPS: true}},
		{"position alone", specimen.Options{GPS: true}, codec.EXIFFacts{HadGPS: true}},
		{"Adobe RGB", specimen.Options{AdobeRGB: true}, codec.EXIFFacts{AdobeRGB: true}},
		{"orientation", specimen.Options{Orientation: 8}, codec.EXIFFacts{Orientation: 8}},
		{"orientation out of range", specimen.Options{Orientation: 9}, codec.EXIFFacts{}},
		{"a time that is text", specimen.Options{CaptureTime: "Erika Mustermann !!"}, codec.EXIFFacts{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, codec.ReadEXIF(block(c.o))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHostileEXIFNeverFailsThePhoto(t *testing.T) {
	plain := specimen.JPEG(specimen.Options{Width: 32, Height: 32})
	for name, tiff := range specimen.HostileEXIF() {
		t.Run(name, func(t *testing.T) {
			before := cpuTime()
			f := sanitise(t, specimen.WithEXIF(plain, tiff)).Findings
			if !f.EXIFUnreadable || cpuTime()-before > time.Second {
				t.Errorf("findings %+v after %v", f, cpuTime()-before)
			}
		})
	}
}

func TestOrientationOfAnUnreadableBlockIsHonoured(t *testing.T) {
	b := append([]byte(nil), block(specimen.Options{Orientation: 6, CaptureTime: "2026:03:14 09:26:53"})...)
	b[8+2+12+3] = 99 // the type of the entry behind orientation
	f := sanitise(t, specimen.WithEXIF(specimen.JPEG(specimen.Options{Width: 40, Height: 20}), b)).Findings
	if !f.EXIFUnreadable || f.Orientation != 6 || !f.OrientationBaked {
		t.Errorf("findings %+v", f)
	}
}

// One entry that cannot be read must not turn a photo on its side, wherever it stands.
func TestOneOddEntryOfEXIFCostsOnlyItself(t *testing.T) {
	want := codec.EXIFFacts{CaptureTime: "2026:03:14 09:26:53", Orientation: 6, HadGPS: true, Unreadable: true}
	plain := specimen.JPEG(specimen.Options{Width: 40, Height: 24})
	for name, tiff := range specimen.OddEXIF() {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want, codec.ReadEXIF(tiff)); diff != "" {
				t.Error(diff)
			}
			a := sanitise(t, specimen.WithEXIF(plain, tiff))
			for _, r := range a.Renditions {
				if r.Width != 24 || r.Height != 40 {
					t.Errorf("%s is %d×%d pixels", r.Name, r.Width, r.Height)
				}
			}
		})
	}
	b := block(specimen.Options{Orientation: 6})
	if f := codec.ReadEXIF(b[:len(b)-4]); f.Orientation != 6 || !f.Unreadable {
		t.Errorf("a directory that ends with its entries: %+v", f)
	}
	if f := codec.ReadEXIF(append(b, make([]byte, 1<<20)...)); f.Orientation != 6 || !f.Unreadable {
		t.Errorf("a block of more than a megabyte: %+v", f)
	}
}

// JPEG's identifier ahead of a block is none of the other formats' business, and some writers leave it there.
func TestEXIFWithTheIdentifierOfJPEG(t *testing.T) {
	chunk := specimen.EXIFChunk(6)
	named := specimen.Chunk(nil, "eXIf", append([]byte("Exif\x00\x00"), chunk[8:len(chunk)-4]...))
	plain := sanitise(t, specimen.PNG(specimen.PNGOptions{Chunks: chunk}))
	got := sanitise(t, specimen.PNG(specimen.PNGOptions{Chunks: named}))
	if got.Findings.Orientation != 6 || got.Findings.EXIFUnreadable || !bytes.Equal(got.Renditions[0].Data, plain.Renditions[0].Data) {
		t.Errorf("findings %+v", got.Findings)
	}
}
