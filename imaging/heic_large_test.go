package imaging_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"photovault/imaging"
	"photovault/imaging/specimen"
)

// encodedHEIC has a program that is not ours code a picture as one HEVC picture, without tiles.
func encodedHEIC(t testing.TB, m image.Image) []byte {
	t.Helper()
	encoder, err := exec.LookPath("heif-enc")
	if err != nil {
		require(t, "heif-enc is not installed (libheif-examples)")
	}
	in, out := filepath.Join(t.TempDir(), "in.png"), filepath.Join(t.TempDir(), "out.heic")
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-q", "60", "-p", "preset=ultrafast", "-p", "chroma=420", "-o", out, in}
	if said, err := exec.CommandContext(t.Context(), encoder, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	file, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Telephones write tiles. A picture that is coded whole takes more memory, all of which is counted before it
// is opened: it passes, or is refused as too large, and never meets a limit on the way.
func TestLargeHEICsPass(t *testing.T) {
	m := &meter{}
	p := hevcPool(t, imaging.Config{WallClock: 5 * time.Minute, Logger: m.logger()})
	m.take()
	show := func(name string, in []byte) {
		r, err := p.Process(context.Background(), in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if f := r.Findings; !f.CodedDataKept || f.Pixels.Delivered != f.Pixels.Decoded {
			t.Errorf("%s: %+v", name, f)
		}
		c := m.take()
		t.Logf("%s, %d bytes: %v of computing in %d workers, %d MiB resident at most", name, len(in), c.cpu.Round(time.Millisecond), c.workers, c.peak>>20)
	}
	whole := encodedHEIC(t, specimen.Picture(4032, 3024, 1, false))
	show("12 megapixels, one picture", whole)
	little := hevcPool(t, imaging.Config{MemoryBytes: 200 << 20})
	if _, err := little.Process(context.Background(), whole); codeOf(err) != string(imaging.TooManyPixels) {
		t.Errorf("12 megapixels, one picture, in 200 MiB: %v", err)
	}
	if testing.Short() {
		return
	}
	var tiles [][]byte
	for i := range 16 * 12 {
		if i < 4 {
			tiles = append(tiles, specimen.Coded(encodedHEIC(t, specimen.Picture(512, 512, uint64(i), false))))
			continue
		}
		tiles = append(tiles, tiles[i%4])
	}
	show("50 megapixels in 192 tiles", specimen.GridHEIC(tiles, 512, 16, 12))
	_, err := p.Process(context.Background(), encodedHEIC(t, specimen.Picture(8064, 6048, 1, false)))
	if codeOf(err) != string(imaging.TooManyPixels) {
		t.Errorf("48 megapixels, one picture: %v", err)
	}
}
