package sealer_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"photovault/vault/envelope"
	"photovault/vault/id"
)

// A photo of 40 MiB takes no more memory than one of 8: what is read, sealed
// and given out at a time, and 17 bytes for each 16 KiB.
func TestALargePhotoIsSealedInConstantMemory(t *testing.T) {
	const mib = 1 << 20
	a := newApp(t)
	c := newClinic(t, time.Now().Add(time.Hour))
	type file struct {
		From   string `json:"from"`
		Stream string `json:"stream"`
		Slices string `json:"slices"`
	}
	var files []file
	sizes := []int{mib, 8 * mib, 40 * mib} // the first warms the engine up
	for _, n := range sizes {
		at := filepath.Join(t.TempDir(), strconv.Itoa(n))
		must(t, os.WriteFile(at, patterned(n), 0o600))
		files = append(files, file{at, at + ".stream", at + ".slices"})
	}
	type peak struct{ Live, RSS int64 }
	results := run[[]struct {
		Size           int64
		Capture        id.Capture
		Stream, Slices peak
	}](a, object{"enrolment": c.enrolment(), "files": files}, "memory.mjs", "--expose-gc")

	for i, r := range results {
		t.Logf("%d MiB: at most %.1f MiB live and %.1f MiB resident more as a stream, %.1f and %.1f in slices", sizes[i]/mib,
			float64(r.Stream.Live)/mib, float64(r.Stream.RSS)/mib, float64(r.Slices.Live)/mib, float64(r.Slices.RSS)/mib)
		streamed, err := os.ReadFile(files[i].Stream)
		must(t, err)
		sliced, err := os.ReadFile(files[i].Slices)
		must(t, err)
		if !bytes.Equal(streamed, sliced) || r.Size != envelope.SealedSize(envelope.Default, int64(sizes[i])) {
			t.Errorf("%d MiB: a stream of %d bytes, slices of %d, size %d", sizes[i]/mib, len(streamed), len(sliced), r.Size)
		}
		if plain, err := c.open(streamed, r.Capture); err != nil || !bytes.Equal(plain, patterned(sizes[i])) {
			t.Errorf("%d MiB: %d bytes, %v", sizes[i]/mib, len(plain), err)
		}
		for name, p := range map[string]peak{"stream": r.Stream, "slices": r.Slices} {
			if p.Live > 16*mib {
				t.Errorf("%d MiB as %s: %d bytes live, want at most 16 MiB", sizes[i]/mib, name, p.Live)
			}
			if p.RSS > 32*mib {
				t.Errorf("%d MiB as %s: grew by %d bytes, want at most 32 MiB", sizes[i]/mib, name, p.RSS)
			}
		}
	}
	if len(results) != len(sizes) {
		t.Fatalf("%d results", len(results))
	}
	if small, large := results[1].Stream.Live, results[2].Stream.Live; large > small+8*mib {
		t.Errorf("%d bytes live for 8 MiB and %d for 40", small, large)
	}
}
