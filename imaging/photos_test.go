package imaging_test

import (
	"bytes"
	"context"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/image/webp"

	"photovault/imaging"
	"photovault/imaging/specimen"
)

// photos returns real photos by name, from $PHOTOVAULT_PHOTOS or ../shared/photos beside the module.
func photos(t testing.TB, glob string) map[string][]byte {
	t.Helper()
	dir := os.Getenv("PHOTOVAULT_PHOTOS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "photos")
	}
	names, _ := filepath.Glob(filepath.Join(dir, glob))
	if len(names) == 0 {
		require(t, "no photos "+glob+" in "+dir+"; set PHOTOVAULT_PHOTOS")
	}
	out := map[string][]byte{}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(n)] = b
	}
	return out
}

// require skips for want of something outside the module, or fails where everything must be tested.
func require(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("PHOTOVAULT_REQUIRE") == "all" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func TestRealPhotosPass(t *testing.T) {
	all := photos(t, "*.jpg")
	p := pool(t, imaging.Config{}, "media-worker")
	for name, in := range all {
		t.Run(name, func(t *testing.T) {
			r, err := p.Process(context.Background(), in)
			if err != nil {
				t.Fatal(err)
			}
			f := r.Findings
			if gps := strings.Contains(name, "-gps"); gps && !f.HadGPS && name != "flir-gps.jpg" {
				t.Error("GPS not noticed")
			}
			if f.EXIFUnreadable || f.CaptureTime == "" && name != "flir-gps.jpg" {
				t.Errorf("EXIF not read: %+v", f)
			}
			if turned := strings.Contains(name, "rotated"); turned != f.OrientationBaked || turned == f.CodedDataKept {
				t.Errorf("findings %+v", f)
			}
			if f.CodedDataKept {
				scan := lastScan(r.Renditions[0].Data)
				if !bytes.Contains(in, scan) {
					t.Error("coded data is not that of the upload")
				}
				again, err := p.Process(context.Background(), r.Renditions[0].Data)
				if err != nil || !bytes.Equal(again.Renditions[0].Data, r.Renditions[0].Data) {
					t.Errorf("sanitising twice differs: %v", err)
				}
			}
		})
	}
}

func TestRealPNGsPass(t *testing.T) {
	p := pool(t, imaging.Config{}, "media-worker")
	for name, in := range photos(t, "png-*.png") {
		r, err := p.Process(context.Background(), in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		was, err := png.Decode(bytes.NewReader(in))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		is, err := png.Decode(bytes.NewReader(r.Renditions[0].Data))
		if err != nil || !reflect.DeepEqual(is, was) {
			t.Errorf("%s: the pixels differ: %v", name, err)
		}
		if f := r.Findings; !f.CodedDataKept || f.Pixels.Delivered != f.Pixels.Decoded || len(f.Removed) == 0 {
			t.Errorf("%s: findings %+v", name, f)
		}
	}
}

func TestRealWebPsPass(t *testing.T) {
	p := pool(t, imaging.Config{}, "media-worker")
	for name, in := range photos(t, "*.webp") {
		r, err := p.Process(context.Background(), in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		was, err := webp.Decode(bytes.NewReader(in))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		is, err := webp.Decode(bytes.NewReader(r.Renditions[0].Data))
		if err != nil || !reflect.DeepEqual(is, was) {
			t.Errorf("%s: the pixels differ: %v", name, err)
		}
		if f := r.Findings; !f.CodedDataKept || f.Pixels.Delivered != f.Pixels.Decoded || strings.Contains(name, "-gps") && !f.HadGPS {
			t.Errorf("%s: findings %+v", name, f)
		}
	}
}

// lastScan is everything behind the header of a sequential image's scan.
func lastScan(b []byte) []byte {
	at := bytes.LastIndex(b, []byte{0xFF, 0xDA})
	return b[at : len(b)-2]
}

func TestFilesThatAreNoPhotosAreRefusedQuickly(t *testing.T) {
	all := photos(t, filepath.Join("broken", "*"))
	m := &meter{}
	p := pool(t, imaging.Config{Logger: m.logger()}, "media-worker")
	if _, err := p.Process(context.Background(), photos(t, "bomb-4gpx.png")["bomb-4gpx.png"]); codeOf(err) != string(imaging.TooManyPixels) {
		t.Errorf("bomb: %v", err)
	}
	m.take()
	for name, in := range all {
		_, err := p.Process(context.Background(), in)
		// Some begin as HEIC does, and are refused for what they are.
		c := codeOf(err)
		if d := m.take().cpu; !strings.HasPrefix(c, "unsupported_") && c != "corrupt" && c != "truncated" || d > time.Second {
			t.Errorf("%s: %v after %v", name, err, d)
		}
	}
}

func TestDamagedRealPhotosAreRefusedOrClean(t *testing.T) {
	meter := &meter{}
	p := pool(t, imaging.Config{Logger: meter.logger()}, "media-worker")
	for _, name := range []string{"htc-gps.jpg", "fuji-gps-xmp-small.jpg", "iphonexr-tiny-gps.jpg"} {
		in := photos(t, name)[name]
		for i, cut := range specimen.Cuts(in, 10) {
			if _, err := p.Process(context.Background(), cut); codeOf(err) != string(imaging.Truncated) {
				t.Errorf("%s cut at %d: %v", name, len(cut), err)
			}
			_ = i
		}
		for i, m := range specimen.Mutants(in, 20, 8) {
			meter.take()
			_, err := p.Process(context.Background(), m)
			if c, d := codeOf(err), meter.take().cpu; c == string(imaging.WorkerFailed) || c == string(imaging.UnsafeOutput) || d > time.Second {
				t.Errorf("%s mutant %d: %v after %v", name, i, err, d)
			}
		}
	}
}
