package imaging_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"photovault/imaging"
	"photovault/imaging/codec"
	"photovault/imaging/internal/wire"
	"photovault/imaging/specimen"
)

// large returns a 12 megapixel photo: the real one where there is one.
func large(b *testing.B) []byte {
	dir := os.Getenv("PHOTOVAULT_PHOTOS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "photos")
	}
	if in, err := os.ReadFile(filepath.Join(dir, "galaxy-s7-gps-12mp.jpg")); err == nil {
		return in
	}
	return specimen.JPEG(specimen.Full(4032, 3024, 1))
}

func process(b *testing.B, p *imaging.Pool, in []byte) {
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	var peak int64
	for b.Loop() {
		r, err := p.Process(context.Background(), in)
		if err != nil {
			b.Fatal(err)
		}
		peak = max(peak, r.Findings.WorkerMaxRSS)
	}
	b.ReportMetric(float64(peak)/(1<<20), "worker-MiB")
}

// Twelve megapixels through both workers, and the floor: the same work in one process without fences.
func BenchmarkProcess12MP(b *testing.B) {
	in := large(b)
	b.Run("two workers", func(b *testing.B) {
		process(b, pool(b, imaging.Config{}, "media-worker"), in)
	})
	b.Run("floor in process", func(b *testing.B) { inProcess(b, in) })
}

// A tiny photo: what is left is starting, fencing in and ending two processes.
func BenchmarkWorkerOverhead(b *testing.B) {
	in := specimen.JPEG(specimen.Options{Width: 8, Height: 8})
	b.Run("two workers", func(b *testing.B) {
		process(b, pool(b, imaging.Config{}, "media-worker"), in)
	})
	b.Run("floor in process", func(b *testing.B) { inProcess(b, in) })
	b.Run("floor two bare processes", func(b *testing.B) {
		for b.Loop() {
			for range 2 {
				if err := exec.Command("/bin/true").Run(); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func inProcess(b *testing.B, in []byte) {
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	lim := wire.Limits{MaxPixels: 80e6, MaxSide: 65500, MemoryBytes: 1 << 30}
	for b.Loop() {
		a := codec.Answer(wire.Request{Mode: wire.Sanitise, Limits: lim, Blobs: [][]byte{in}})
		if a.Code != "" {
			b.Fatal(a.Code)
		}
		var blobs [][]byte
		for _, r := range a.Renditions {
			blobs = append(blobs, r.Data)
		}
		if a := codec.Answer(wire.Request{Mode: wire.Scan, Limits: lim, Blobs: blobs}); a.Code != "" {
			b.Fatal(a.Code)
		}
	}
}

// The peer: exiftool removes what it knows of, makes no renditions and decodes nothing.
func BenchmarkPeerExiftool(b *testing.B) {
	exiftool, err := exec.LookPath("exiftool")
	if err != nil {
		b.Skip("exiftool is not installed")
	}
	in := large(b)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		cmd := exec.Command(exiftool, "-q", "-all=", "-o", "-", "-")
		cmd.Stdin = bytes.NewReader(in)
		if out, err := cmd.Output(); err != nil || len(out) == 0 {
			b.Fatal(err)
		}
	}
}

// Thirty-two uploads of 12 megapixels at once, each with its own copy of the bytes: the memory of this
// process and of all its workers together, sampled every 2 ms.
func BenchmarkThirtyTwoAtOnce(b *testing.B) {
	in := large(b)
	p := pool(b, imaging.Config{}, "media-worker")
	var peak, self atomic.Int64
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				own, children := resident()
				peak.Store(max(peak.Load(), own+children))
				self.Store(max(self.Load(), own))
			}
		}
	}()
	for b.Loop() {
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if _, err := p.Process(context.Background(), bytes.Clone(in)); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	close(stop)
	b.ReportMetric(float64(peak.Load())/(1<<20), "peak-MiB")
	b.ReportMetric(float64(self.Load())/(1<<20), "service-MiB")
}

// resident returns the resident memory of this process and of its children in bytes.
func resident() (own, children int64) {
	pids, _ := filepath.Glob("/proc/[0-9]*/statm")
	for _, path := range pids {
		var pid, parent int
		var pages, total int64
		_, _ = fmt.Sscanf(path, "/proc/%d/statm", &pid)
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		// The name in parentheses may hold anything; what follows the last one is fixed.
		var state string
		_, _ = fmt.Sscan(string(stat[bytes.LastIndexByte(stat, ')')+1:]), &state, &parent)
		if pid != os.Getpid() && parent != os.Getpid() {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, _ = fmt.Sscan(string(b), &total, &pages)
		if pid == os.Getpid() {
			own = pages * int64(os.Getpagesize())
		} else {
			children += pages * int64(os.Getpagesize())
		}
	}
	return own, children
}
