package codec_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"photovault/imaging/codec"
	"photovault/imaging/internal/wire"
)

var limits = wire.Limits{MaxPixels: 80e6, MaxSide: 65500, MemoryBytes: 128 << 20}

func sanitise(t testing.TB, in []byte) wire.Answer {
	t.Helper()
	a, err := codec.Sanitise(in, limits)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return a
}

// code returns the code a photo is refused with, or "accepted".
func code(in []byte) string {
	_, err := codec.Sanitise(in, limits)
	return codeOf(err)
}

func codeOf(err error) string {
	var r *codec.Refusal
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &r):
		return r.Code
	}
	return "failed: " + err.Error()
}

func decode(t testing.TB, b []byte) image.Image {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("image/jpeg: %v", err)
	}
	return m
}

// samples returns the canonical samples of a picture, read pixel by pixel through image.Image and
// turned by its own table: an oracle for hashes and orientation.
func samples(m image.Image, orient int) (model byte, w, h int, rows [][3][]byte) {
	b := m.Bounds()
	w, h = b.Dx(), b.Dy()
	sw, sh := w, h
	if orient >= 5 {
		w, h = h, w
	}
	for y := range h {
		var row [3][]byte
		for x := range w {
			// Where the pixel shown at x,y lies in the file (TIFF 6.0 tag 274).
			var sx, sy int
			switch orient {
			case 2:
				sx, sy = sw-1-x, y
			case 3:
				sx, sy = sw-1-x, sh-1-y
			case 4:
				sx, sy = x, sh-1-y
			case 5:
				sx, sy = y, x
			case 6:
				sx, sy = y, sh-1-x
			case 7:
				sx, sy = sw-1-y, sh-1-x
			case 8:
				sx, sy = sw-1-y, x
			default:
				sx, sy = x, y
			}
			switch m := m.(type) {
			case *image.Gray:
				model = 1
				row[0] = append(row[0], m.GrayAt(sx, sy).Y)
			case *image.YCbCr:
				model = 3
				c := m.YCbCrAt(sx, sy)
				row[0], row[1], row[2] = append(row[0], c.Y), append(row[1], c.Cb), append(row[2], c.Cr)
			case *image.RGBA:
				model = 4
				c := m.RGBAAt(sx, sy)
				row[0], row[1], row[2] = append(row[0], c.R), append(row[1], c.G), append(row[2], c.B)
			}
		}
		rows = append(rows, row)
	}
	return model, w, h, rows
}

func oracleHash(m image.Image, orient int) [32]byte {
	model, w, h, rows := samples(m, orient)
	b := append([]byte("photovault pixels v1"), model)
	b = binary.BigEndian.AppendUint32(b, uint32(w))
	b = binary.BigEndian.AppendUint32(b, uint32(h))
	for _, r := range rows {
		for _, c := range r {
			b = append(b, c...)
		}
	}
	return sha256.Sum256(b)
}

// psnr compares two pictures of one size in RGB, in decibels.
func psnr(t testing.TB, a, b image.Image) float64 {
	t.Helper()
	if a.Bounds().Size() != b.Bounds().Size() {
		t.Fatalf("sizes differ: %v, %v", a.Bounds().Size(), b.Bounds().Size())
	}
	var sum float64
	var n int
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			p := color.NRGBAModel.Convert(a.At(a.Bounds().Min.X+x, a.Bounds().Min.Y+y)).(color.NRGBA)
			q := color.NRGBAModel.Convert(b.At(b.Bounds().Min.X+x, b.Bounds().Min.Y+y)).(color.NRGBA)
			for _, d := range []int{int(p.R) - int(q.R), int(p.G) - int(q.G), int(p.B) - int(q.B)} {
				sum += float64(d * d)
				n++
			}
		}
	}
	if sum == 0 {
		return 99
	}
	return 10 * math.Log10(255*255*float64(n)/sum)
}

// testdata returns the files of testdata that match.
func testdata(t testing.TB, glob string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", glob))
	if err != nil || len(names) == 0 {
		t.Fatalf("no testdata %s: %v", glob, err)
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

// rowsOf returns the inflated image data of a PNG.
func rowsOf(t testing.TB, b []byte) []byte {
	t.Helper()
	var data []byte
	for at := 8; at+12 <= len(b); {
		n := int(binary.BigEndian.Uint32(b[at:]))
		if string(b[at+4:at+8]) == "IDAT" {
			data = append(data, b[at+8:at+8+n]...)
		}
		at += 12 + n
	}
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// require skips for want of something outside the module, or fails where everything must be tested.
func require(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("PHOTOVAULT_REQUIRE") == "all" {
		t.Fatal(what)
	}
	t.Skip(what)
}
