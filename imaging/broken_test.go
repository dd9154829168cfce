package imaging_test

import (
	"bytes"
	"context"
	"image/jpeg"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"photovault/imaging"
	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

// Whatever cannot be opened, or would cost far more than its size warrants, is refused soon and in little
// memory.
func TestBrokenFilesAreRefusedWithinASecond(t *testing.T) {
	m := &meter{}
	p := pool(t, imaging.Config{MemoryBytes: 128 << 20, Logger: m.logger()}, "media-worker")
	m.take()
	all := append(specimen.AllBroken(), specimen.Plainer()...)
	var wall, cpu time.Duration
	var peak int64
	for _, b := range all {
		start := time.Now()
		_, err := p.Process(context.Background(), b.Data)
		d, c := time.Since(start), m.take()
		if codeOf(err) != b.Code || c.cpu > time.Second {
			t.Errorf("%s: %v after %v of computing", b.Name, err, c.cpu)
		}
		wall, cpu, peak = max(wall, d), max(cpu, c.cpu), max(peak, c.peak)
	}
	t.Logf("%d bombs and broken files; slowest refusal %v, of computing %v; a worker had %d MiB resident at most",
		len(all), wall.Round(time.Millisecond), cpu, peak>>20)
}

// slowdown is how much slower this machine computes just now than the one that figures are given for, where
// image/jpeg decodes a megapixel in 15 ms: neighbours that share caches and the units of a core count as
// processor time.
func slowdown(t *testing.T) float64 {
	t.Helper()
	in := specimen.JPEG(specimen.Options{Width: 2000, Height: 1500})
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	for range 4 {
		if _, err := jpeg.Decode(bytes.NewReader(in)); err != nil {
			t.Fatal(err)
		}
	}
	return max(1, float64(used()-before)/float64(4*3*15*time.Millisecond))
}

// No file below a megabyte is to take a worker more than two seconds of computing, or 256 MiB. Both workers
// together are held to twice that, by what a machine that is measured beside it does; PERFORMANCE.md has what each takes.
func TestPlainPicturesCostLittle(t *testing.T) {
	m := &meter{}
	p := pool(t, imaging.Config{WallClock: 2 * time.Minute, Logger: m.logger()}, "media-worker")
	m.take()
	all := specimen.Plain()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if testing.Short() && name != "JPEG, turned and converted" && name != "PNG, interlaced and turned" {
			continue
		}
		slow := slowdown(t)
		_, err := p.Process(context.Background(), all[name])
		c := m.take()
		if slow = (slow + slowdown(t)) / 2; err != nil || c.cpu.Seconds() > 4*slow || c.peak > 256<<20 || len(all[name]) > 1<<20 {
			t.Errorf("%s, %d bytes: %v, %v of computing on a machine %.1f times slower, %d MiB", name, len(all[name]), err, c.cpu, slow, c.peak>>20)
		}
		t.Logf("%-48s %7d bytes: %v of computing in %d workers, %.1f s where nothing else runs, %d MiB resident", name, len(all[name]),
			c.cpu.Round(time.Millisecond), c.workers, c.cpu.Seconds()/slow, c.peak>>20)
	}
}

// A grid costs what its tiles cost to decode, and what it shows: neither may be many for few bytes.
func TestGridsOfOneTileAreRefused(t *testing.T) {
	if err := codec.PrepareHEVC(); err != nil {
		require(t, err.Error())
	}
	m := &meter{}
	p := pool(t, imaging.Config{WallClock: 2 * time.Minute, Logger: m.logger()}, "media-worker")
	m.take()
	for name, c := range map[string]struct {
		in   []byte
		code string
	}{
		"one tile, 12 megapixels":  {specimen.FlatHEIC(8, 6), "accepted"},
		"one tile, 15 megapixels":  {specimen.FlatHEIC(8, 7), "too_complex"},
		"one tile, 79 megapixels":  {specimen.FlatHEIC(19, 16), "too_complex"},
		"a thousand tiny pictures": {specimen.TinyTiles(32, 32), "too_complex"},
	} {
		_, err := p.Process(context.Background(), c.in)
		if codeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
		k := m.take()
		t.Logf("%s, %d bytes: %s, %v of computing, %d MiB", name, len(c.in), c.code, k.cpu.Round(time.Millisecond), k.peak>>20)
	}
}
