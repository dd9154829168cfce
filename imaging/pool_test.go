package imaging_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"photovault/imaging"
	"photovault/imaging/specimen"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func pool(t testing.TB, cfg imaging.Config, kind string) *imaging.Pool {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("media workers are fenced on Linux only")
	}
	if cfg.Command == nil {
		cfg.Command = []string{"/proc/self/exe", kind}
	}
	if cfg.Logger == nil {
		cfg.Logger = quiet
	}
	if cfg.WallClock == 0 {
		cfg.WallClock = 2 * time.Minute // a busy machine is no failure
	}
	p, err := imaging.NewPool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func codeOf(err error) string {
	var r *imaging.Refusal
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &r):
		return string(r.Code)
	}
	return err.Error()
}

func TestEveryFenceHolds(t *testing.T) {
	f := pool(t, imaging.Config{}, "media-worker").Fences()
	if m := f.Missing(); m != nil {
		t.Errorf("missing: %v", m)
	}
	t.Logf("\n%s", f)
}

func TestProbeNoticesMissingFences(t *testing.T) {
	f := pool(t, imaging.Config{}, "unfenced-worker").Fences()
	for _, x := range f {
		// A process of another user or a container may be kept from some of these already; files,
		// sockets and programs are open to everybody.
		switch x.Name {
		case "opening files", "sockets", "running programs", "new processes", "tracing", "signalling other processes",
			"reading other processes", "executable memory":
			if x.Holds {
				t.Errorf("%s: said to hold without a fence", x.Name)
			}
		}
	}
	if len(f.Missing()) == 0 {
		t.Error("nothing is missing")
	}
}

func TestProcessGivesRenditionsAndFindings(t *testing.T) {
	p := pool(t, imaging.Config{}, "media-worker")
	o := specimen.Full(1800, 1200, 1)
	in := specimen.JPEG(o)
	r, err := p.Process(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		name string
		w, h int
	}{{imaging.Original, 1800, 1200}, {imaging.Web, 1600, 1067}, {imaging.Thumb, 320, 213}} {
		got := r.Renditions[i]
		if got.Name != want.name || got.Width != want.w || got.Height != want.h || got.ContentType != "image/jpeg" {
			t.Errorf("rendition %d is %s %d×%d %s", i, got.Name, got.Width, got.Height, got.ContentType)
		}
		if got.SHA256 != sha256.Sum256(got.Data) {
			t.Errorf("%s: hash is not that of the data", got.Name)
		}
		if found := specimen.Find(got.Data, o.Canary); found != nil {
			t.Errorf("%s holds the canary as %v", got.Name, found)
		}
	}
	f := r.Findings
	if f.InputSHA256 != sha256.Sum256(in) || !f.HadGPS || f.Pixels.Delivered != f.Pixels.Decoded || f.WorkerMaxRSS == 0 {
		t.Errorf("findings %+v", f)
	}
}

func TestWorkerFaultsStayWithTheirPhoto(t *testing.T) {
	within := func(wall time.Duration) *imaging.Pool {
		return pool(t, imaging.Config{WallClock: wall, MemoryBytes: 192 << 20, UsualBytes: 96 << 20,
			Limits: imaging.Limits{MaxInputBytes: 1 << 20}}, "faulty-worker")
	}
	patient, hasty := within(time.Minute), within(2*time.Second)
	good := specimen.JPEG(specimen.Options{Width: 64, Height: 48})
	for fault, want := range map[string]imaging.Code{
		"crash": imaging.WorkerFailed, "exit": imaging.WorkerFailed, "hang": imaging.Timeout, "spin": imaging.Timeout,
		"memory": imaging.OutOfMemory, "garbage": imaging.WorkerFailed, "endless": imaging.WorkerFailed,
		"huge": imaging.WorkerFailed, "trailing": imaging.WorkerFailed, "few": imaging.WorkerFailed,
		"name": imaging.WorkerFailed, "code": imaging.WorkerFailed,
		"kind": imaging.WorkerFailed, "time": imaging.WorkerFailed, "bytes": imaging.WorkerFailed,
		"profile": imaging.WorkerFailed, "detail": imaging.Truncated,
		"leak": imaging.UnsafeOutput, "trailer": imaging.UnsafeOutput, "notjpeg": imaging.UnsafeOutput,
		"size": imaging.UnsafeOutput, "swap": imaging.UnsafeOutput,
	} {
		t.Run(fault, func(t *testing.T) {
			bad := specimen.JPEG(specimen.Options{Width: 64, Height: 48, Comment: true, Canary: "fault:" + fault + " "})
			p := patient
			if want == imaging.Timeout {
				p = hasty
			}
			r, err := p.Process(context.Background(), bad)
			if codeOf(err) != string(want) || r != nil {
				t.Errorf("got %v, want %s", err, want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the worker's words are passed on: %v", err)
			}
			// A busy machine may be too slow for the hasty pool's limit, which then says just that.
			for attempt := 1; ; attempt++ {
				_, err := p.Process(context.Background(), good)
				if p == hasty && codeOf(err) == string(imaging.Timeout) && attempt < 10 {
					continue
				}
				if err != nil {
					t.Errorf("the next photo: %v", err)
				}
				break
			}
		})
	}
}

func TestManyAtOnceAllSucceed(t *testing.T) {
	p := pool(t, imaging.Config{MemoryBytes: 256 << 20}, "media-worker")
	in := specimen.JPEG(specimen.Full(800, 600, 2))
	var wg sync.WaitGroup
	outs := make([][]byte, 32)
	for i := range outs {
		wg.Go(func() {
			r, err := p.Process(context.Background(), in)
			if err != nil {
				t.Errorf("photo %d: %v", i, err)
				return
			}
			outs[i] = r.Renditions[1].Data
		})
	}
	wg.Wait()
	for i := range outs {
		if !bytes.Equal(outs[i], outs[0]) {
			t.Errorf("photo %d differs", i)
		}
	}
}

func TestTroubleOfTheMachineIsNotThePhotosFault(t *testing.T) {
	good := specimen.JPEG(specimen.Options{})
	p := pool(t, imaging.Config{MemoryBytes: 128 << 20}, "faulty-worker")
	ctx, cancel := context.WithCancel(context.Background())
	cause := errors.New("the client went away")
	hang := specimen.JPEG(specimen.Options{Comment: true, Canary: "fault:hang "})
	busy := make(chan error)
	held, release := context.WithCancelCause(context.Background())
	go func() {
		_, err := p.Process(held, hang)
		busy <- err
	}()
	cancel()
	var r *imaging.Refusal
	if _, err := p.Process(ctx, good); !errors.Is(err, context.Canceled) || errors.As(err, &r) {
		t.Errorf("cancelled: %v", err)
	}
	release(cause)
	if err := <-busy; !errors.Is(err, cause) {
		t.Errorf("cancelled while at work: %v", err)
	}
	if _, err := p.Process(context.Background(), good); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	p.Close()
	if _, err := p.Process(context.Background(), good); !errors.Is(err, imaging.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	for _, argv := range [][]string{{"/nonexistent"}, {"/proc/self/exe", "silent-worker"}, {"/bin/true"}} {
		if _, err := imaging.NewPool(imaging.Config{Command: argv, Logger: quiet}); !errors.Is(err, imaging.ErrMachine) {
			t.Errorf("%v: %v", argv, err)
		}
	}
}

func TestAWorkerThatDiedWaitingIsReplaced(t *testing.T) {
	p := pool(t, imaging.Config{}, "media-worker")
	good := specimen.JPEG(specimen.Options{Width: 64, Height: 48})
	for range 5 {
		for _, pid := range children(t) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if _, err := p.Process(context.Background(), good); err != nil && !errors.Is(err, imaging.ErrMachine) {
			t.Errorf("blamed on the photo: %v", err)
		}
	}
	if _, err := p.Process(context.Background(), good); err != nil {
		t.Error(err)
	}
}

// children returns the processes that this one has started and not yet reaped.
func children(t *testing.T) (pids []int) {
	t.Helper()
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, l := range lists {
		b, _ := os.ReadFile(l)
		for _, f := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func TestLimitsAreKept(t *testing.T) {
	p := pool(t, imaging.Config{Limits: imaging.Limits{MaxInputBytes: 100 << 10, MaxPixels: 1e6, MaxSide: 1200}}, "media-worker")
	for _, c := range []struct {
		name, code string
		o          specimen.Options
	}{
		{"fits", "accepted", specimen.Options{Width: 500, Height: 400}},
		{"bytes", "too_large", specimen.Options{Width: 999, Height: 999, Quality: 100}},
		{"pixels", "too_many_pixels", specimen.Options{Width: 1100, Height: 1000, Quality: 5}},
		{"side", "too_many_pixels", specimen.Options{Width: 1201, Height: 10}},
	} {
		if _, err := p.Process(context.Background(), specimen.JPEG(c.o)); codeOf(err) != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The header tells what a photo will need: the worker's memory limit itself is never what refuses it.
func TestWhatDoesNotFitIsRefusedOnItsHeader(t *testing.T) {
	p := pool(t, imaging.Config{MemoryBytes: 48 << 20}, "media-worker")
	seen := map[string]int{}
	for mp := 1; mp <= 13; mp += 2 {
		for _, orient := range []int{1, 6} {
			w := 1150 * int(math.Sqrt(float64(mp))*100) / 100
			in := specimen.JPEG(specimen.Options{Width: w, Height: mp * 1e6 / w, Orientation: orient, Quality: 95})
			r, err := p.Process(context.Background(), in)
			if c := codeOf(err); c != "accepted" && c != string(imaging.TooManyPixels) {
				t.Errorf("%d megapixels, orientation %d: %v", mp, orient, err)
			}
			if err == nil && r.Findings.WorkerMaxRSS > 48<<20 {
				t.Errorf("%d megapixels, orientation %d: %d MiB", mp, orient, r.Findings.WorkerMaxRSS>>20)
			}
			seen[codeOf(err)]++
		}
	}
	if len(seen) != 2 {
		t.Errorf("want both outcomes, got %v", seen)
	}
}

func TestTwelveMegapixelsTakeLittleMemory(t *testing.T) {
	p := pool(t, imaging.Config{}, "media-worker")
	r, err := p.Process(context.Background(), specimen.JPEG(specimen.Options{Width: 4032, Height: 3024}))
	if err != nil || r.Findings.WorkerMaxRSS > 80<<20 {
		t.Errorf("%v, %d MiB", err, r.Findings.WorkerMaxRSS>>20)
	}
}

// PNG and WebP decode to pixels of four bytes: they take more than a JPEG, and what was reckoned holds.
func TestTwelveMegapixelsOfPNGFitWhatWasReckoned(t *testing.T) {
	p := pool(t, imaging.Config{WallClock: 2 * time.Minute}, "media-worker")
	for name, o := range map[string]specimen.PNGOptions{"kept": {}, "turned": {Chunks: specimen.EXIFChunk(6)}} {
		o.Width, o.Height = 4032, 3024
		r, err := p.Process(context.Background(), specimen.PNG(o))
		if err != nil || r.Findings.WorkerMaxRSS > 224<<20 {
			t.Fatalf("%s: %v, %+v", name, err, r)
		}
		t.Logf("12 MP of PNG, %s: %d MiB", name, r.Findings.WorkerMaxRSS>>20)
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	r := &imaging.Refusal{Code: imaging.Truncated, Detail: "no end of image"}
	if got := r.Error(); !strings.Contains(got, "truncated") || !strings.Contains(got, "no end of image") {
		t.Error(got)
	}
	for code, want := range map[imaging.Code]bool{imaging.Corrupt: false, imaging.Timeout: true, imaging.WorkerFailed: true} {
		if (&imaging.Refusal{Code: code}).MayRetry() != want {
			t.Errorf("%s: want %v", code, want)
		}
	}
}
