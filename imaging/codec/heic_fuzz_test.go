package codec_test

import (
	"bytes"
	"image/jpeg"
	"os/exec"
	"testing"
	"time"

	"photovault/imaging/codec"
	"photovault/imaging/internal/wire"
	"photovault/imaging/specimen"
)

func heicSeeds(f *testing.F) {
	for _, picture := range heicPictures {
		f.Add(specimen.HEIC(specimen.HEICOptions{Coded: picture}))
	}
	for _, o := range layouts("grid") {
		f.Add(specimen.HEIC(o))
	}
	f.Add(specimen.HEIC(specimen.HEICOptions{Clap: []int32{80, 1, 60, 1, 0, 1, 0, 1}, Turn: 1, Mirror: 1}))
	f.Add(specimen.HEIC(specimen.HEICOptions{Clap: []int32{158, 1, 118, 1, -1, 1, -1, 1}, Window: &[4]int{0, 0, 0, 0}}))
	f.Add(specimen.HEIC(specimen.HEICOptions{Tail33: true, Idat: true}))
}

// The parser and the writer, without decoding: whatever comes in is refused with a code, or what is written
// is accepted, holds nothing more to remove, and is written the same way again.
func FuzzRebuildHEIC(f *testing.F) {
	heicSeeds(f)
	small := wire.Limits{MaxPixels: 1e6, MaxSide: 4000, MemoryBytes: 1 << 40}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := cpuTime()
		once, removed, err := codec.RebuildHEIC(in, small)
		if d := cpuTime() - before; d > 2*time.Second && len(in) < 1<<20 {
			t.Errorf("took %v", d)
		}
		if err != nil {
			if c := codeOf(err); c == "worker_failed" {
				t.Errorf("failed instead of refusing: %s", c)
			}
			return
		}
		if !(&wire.Findings{Format: "heic", SourceProfile: "none", Width: 1, Height: 1, Removed: removed}).Plausible(int64(len(in))) {
			t.Errorf("%v removed of %d bytes", removed, len(in))
		}
		twice, removed, err := codec.RebuildHEIC(once, small)
		if err != nil || len(removed) != 0 || !bytes.Equal(once, twice) {
			t.Errorf("rebuilding twice differs: %v, %v", removed, err)
		}
	})
}

// The same with decoding, which is slower by far. What is delivered opens in programs that are not ours,
// where they are there; and sanitising it again changes nothing.
func FuzzSanitiseHEIC(f *testing.F) {
	hevc(f)
	heicSeeds(f)
	convert, _ := exec.LookPath("heif-convert")
	small := wire.Limits{MaxPixels: 1e6, MaxSide: 4000, MemoryBytes: 256 << 20}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := cpuTime()
		a, err := codec.Sanitise(in, small)
		if d := cpuTime() - before; d > 2*time.Second && len(in) < 1<<20 {
			t.Errorf("took %v", d)
		}
		if err != nil {
			if c := codeOf(err); c == "worker_failed" {
				t.Errorf("failed instead of refusing: %v", err)
			}
			return
		}
		again, err := codec.Sanitise(a.Renditions[0].Data, small)
		if err != nil || len(again.Findings.Removed) != 0 || !bytes.Equal(again.Renditions[0].Data, a.Renditions[0].Data) {
			t.Errorf("sanitising twice differs: %v", err)
		}
		for _, r := range a.Renditions {
			seen, err := codec.Scan(r.Data)
			if err != nil || seen.Width != r.Width || seen.Height != r.Height {
				t.Errorf("%s: %+v, %v", r.Name, seen, err)
			}
			if r.ContentType == "image/jpeg" {
				if m, err := jpeg.Decode(bytes.NewReader(r.Data)); err != nil || m.Bounds().Dx() != r.Width || m.Bounds().Dy() != r.Height {
					t.Errorf("%s does not decode: %v", r.Name, err)
				}
			} else if convert != "" {
				native(t, r.Data, "in.heic", "out.y4m", func(from, to string) []string { return []string{convert, from, to} })
			}
			if r.Name == "original" && a.Findings.CodedDataKept && seen.Pixels != a.Findings.Pixels.Decoded {
				t.Error("other pixels come out")
			}
		}
	})
}
