package codec_test

import (
	"bytes"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"photovault/imaging/codec"
	"photovault/imaging/internal/wire"
	"photovault/imaging/specimen"
)

// program returns the path of an outside program.
func program(t testing.TB, name, from string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		require(t, fmt.Sprintf("%s is not installed (%s)", name, from))
	}
	return path
}

// native runs a program from a file with the given content to one whose content it returns.
func native(t testing.TB, in []byte, from, to string, command func(from, to string) []string) []byte {
	t.Helper()
	dir := t.TempDir()
	from, to = filepath.Join(dir, from), filepath.Join(dir, to)
	if err := os.WriteFile(from, in, 0o600); err != nil {
		t.Fatal(err)
	}
	args := command(from, to)
	if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", args[0], err, out)
	}
	b, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// heicPhotos are specimens in all ways to turn them, and real photos where there are some.
func heicPhotos(t testing.TB) map[string][]byte {
	all := map[string][]byte{"cut": specimen.HEIC(specimen.HEICOptions{Clap: []int32{158, 1, 118, 1, -1, 1, -1, 1}})}
	for turn := range 4 {
		for mirror := range 3 {
			o := specimen.FullHEIC([]string{"420", "grid", "limited-709"}[(turn+mirror)%3], 1)
			o.Turn, o.Mirror = turn, mirror
			all[fmt.Sprintf("turn %d, mirror %d", turn, mirror)] = specimen.HEIC(o)
		}
	}
	names, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "photos", "*.heic"))
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(n)] = b
	}
	return all
}

// roomy is what a photo of a phone needs.
var roomy = func() wire.Limits { l := limits; l.MemoryBytes = 512 << 20; return l }()

// A program that is not ours shows the same picture from the upload and from what is delivered.
func TestAnotherProgramSeesTheSamePicture(t *testing.T) {
	hevc(t)
	convert := program(t, "heif-convert", "libheif-examples")
	same, all := 0, heicPhotos(t)
	for name, in := range all {
		show := func(in []byte) []byte {
			return native(t, in, "in.heic", "out.y4m", func(from, to string) []string { return []string{convert, from, to} })
		}
		a, err := codec.Sanitise(in, roomy)
		if err != nil {
			t.Fatalf("%s: refused: %v", name, err)
		}
		out := a.Renditions[0]
		was, is := show(in), show(out.Data)
		if size := fmt.Sprintf("YUV4MPEG2 W%d H%d ", out.Width, out.Height); !bytes.HasPrefix(is, []byte(size)) {
			t.Errorf("%s: %q, want %s", name, is[:20], size)
		}
		if !bytes.Equal(was, is) {
			t.Errorf("%s: another picture", name)
		} else {
			same++
		}
	}
	t.Logf("%d of %d identical", same, len(all))
}

// The samples that are hashed are those of a native decoder: luma as coded, chroma brought to full
// resolution by the linear filter that libheif uses (3 to 1 in each direction, rounded once). At the edge
// of a tile, which is mended (see mendEdges), it may be off by two.
func TestSamplesAreThoseOfTheNativeDecoder(t *testing.T) {
	hevc(t)
	dec265 := program(t, "libde265-dec265", "libde265-examples")
	for name, in := range heicPhotos(t) {
		streams, w, h := codec.Streams(in)
		tiles := codec.DecodeTiles(in)
		for i := range streams {
			if i > 5 && i%8 != 0 {
				continue
			}
			yuv := native(t, streams[i], "in.h265", "out.yuv", func(from, to string) []string { return []string{dec265, "-q", "-o", to, from} })
			if len(yuv) != w*h*3/2 {
				t.Fatalf("%s: %d bytes for %d×%d", name, len(yuv), w, h)
			}
			got := tiles[i].(*image.YCbCr)
			if !bytes.Equal(got.Y, yuv[:w*h]) {
				t.Errorf("%s, tile %d: other luma", name, i)
			}
			cb, cr := yuv[w*h:w*h*5/4], yuv[w*h*5/4:]
			for _, plane := range [][2][]byte{{got.Cb, linear(cb, w, h)}, {got.Cr, linear(cr, w, h)}} {
				for k, v := range plane[1] {
					d := max(plane[0][k], v) - min(plane[0][k], v)
					x, y := k%w, k/w
					edge := x == 0 || y == 0 || x == w-1 || y == h-1
					if d > 2 || d > 0 && !edge {
						t.Fatalf("%s, tile %d: chroma at %d,%d is %d off", name, i, x, y, d)
					}
				}
			}
		}
	}
}

// linear brings a plane of half width and height to w×h.
func linear(p []byte, w, h int) []byte {
	out := make([]byte, w*h)
	cw, ch := w/2, h/2
	for y := range h {
		for x := range w {
			// The two nearest columns and rows; at the edge there is only one.
			x0, y0 := x/2, y/2
			x1, y1 := x0-1+x%2*2, y0-1+y%2*2
			wx, wy := 1, 1
			if x1 < 0 || x1 >= cw {
				x1, wx = x0, 0
			}
			if y1 < 0 || y1 >= ch {
				y1, wy = y0, 0
			}
			sum, weight := 0, 0
			for _, s := range [4][3]int{{x0, y0, (4 - wx - (1-wx)*3) * (4 - wy - (1-wy)*3)}, {x1, y0, wx * (4 - wy - (1-wy)*3)},
				{x0, y1, wy * (4 - wx - (1-wx)*3)}, {x1, y1, wx * wy}} {
				sum += s[2] * int(p[s[1]*cw+s[0]])
				weight += s[2]
			}
			out[y*w+x] = byte((sum + weight/2) / weight)
		}
	}
	return out
}
