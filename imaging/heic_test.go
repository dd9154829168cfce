package imaging_test

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"photovault/imaging"
	"photovault/imaging/codec"
	"photovault/imaging/internal/wire"
	"photovault/imaging/specimen"
)

// hevcPool is a pool of workers that can decode HEIC; without one the test has nothing to try.
func hevcPool(t testing.TB, cfg imaging.Config) *imaging.Pool {
	t.Helper()
	if err := codec.PrepareHEVC(); err != nil {
		require(t, err.Error())
	}
	return pool(t, cfg, "media-worker")
}

func TestRealHEICsPass(t *testing.T) {
	m := &meter{}
	p := hevcPool(t, imaging.Config{WallClock: 2 * time.Minute, Logger: m.logger()})
	m.take()
	for name, in := range photos(t, "*.heic") {
		r, err := p.Process(context.Background(), in)
		took := m.take()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f := r.Findings
		if !f.HadGPS || f.CaptureTime == "" || f.EXIFUnreadable || !f.CodedDataKept || f.Pixels.Delivered != f.Pixels.Decoded ||
			f.Format != "heic" || r.Renditions[0].ContentType != "image/heic" || r.Renditions[1].ContentType != "image/jpeg" {
			t.Errorf("%s: %+v", name, f)
		}
		again, err := p.Process(context.Background(), r.Renditions[0].Data)
		if err != nil || !bytes.Equal(again.Renditions[0].Data, r.Renditions[0].Data) || len(again.Findings.Removed) != 0 {
			t.Errorf("%s: sanitising twice differs: %v", name, err)
		}
		m.take()
		t.Logf("%s: %v of computing in %d workers, %d MiB resident at most", name, took.cpu.Round(time.Millisecond), took.workers, took.peak>>20)
	}
}

func TestHEICAmongOthers(t *testing.T) {
	p := hevcPool(t, imaging.Config{WallClock: 2 * time.Minute})
	o := specimen.FullHEIC("grid", 1)
	for i, in := range [][]byte{specimen.HEIC(o), specimen.JPEG(specimen.Full(64, 64, 1)), specimen.HEIC(o)} {
		r, err := p.Process(context.Background(), in)
		if err != nil {
			t.Fatalf("photo %d: %v", i, err)
		}
		for _, x := range r.Renditions {
			if found := specimen.Find(x.Data, o.Canary); found != nil {
				t.Errorf("photo %d, %s: the canary is there as %v", i, x.Name, found)
			}
		}
	}
}

// A worker that has made ready to decode HEVC can map no executable memory any more, nor anything else
// that others cannot.
func TestWorkersForHEICHaveTheSameFences(t *testing.T) {
	if err := codec.PrepareHEVC(); err != nil {
		require(t, err.Error())
	}
	plain := probe(t)
	if got := probe(t, wire.WithHEVC); got != plain || got&wire.ExecMapDenied == 0 || got&wire.Seccomp == 0 {
		t.Errorf("fences %b, of others %b", got, plain)
	}
}

// probe starts a worker and returns which of its fences hold.
func probe(t *testing.T, extra ...string) wire.Fences {
	t.Helper()
	args := append(append([]string{"media-worker"}, extra...), strconv.Itoa(128<<20), "60")
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Env = []string{}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hello, err := wire.ReadHello(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := wire.WriteRequest(in, wire.Request{Mode: wire.Probe}); err != nil {
		t.Fatal(err)
	}
	a, err := wire.ReadAnswer(out, 0)
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return hello.Fences | a.Held
}
