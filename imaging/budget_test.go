package imaging_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"photovault/imaging"
	"photovault/imaging/specimen"
)

// What is too large for the worker that waits gets a larger one, as long as all together may have it.
func TestAPhotoGetsTheMemoryItNeeds(t *testing.T) {
	large := specimen.JPEG(specimen.Options{Width: 3000, Height: 2400})
	for _, c := range []struct {
		name string
		in   []byte
		all  int64
		code string
	}{
		{"fits the worker that waits", specimen.JPEG(specimen.Options{Width: 300, Height: 200}), 40 << 20, "accepted"},
		{"needs a larger worker", large, 128 << 20, "accepted"},
		{"needs a larger worker once more to be turned", specimen.Decorate(large, specimen.Options{Orientation: 6}), 128 << 20, "accepted"},
		{"more than all together", large, 48 << 20, "too_many_pixels"},
	} {
		p := pool(t, imaging.Config{MemoryBytes: c.all, UsualBytes: 40 << 20}, "media-worker")
		if _, err := p.Process(context.Background(), c.in); codeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
		p.Close()
	}
}

// Large and small photos at once: the limits of the workers at work never add up to more than the
// budget, and the one that waits.
func TestWorkersTogetherStayWithinTheBudget(t *testing.T) {
	const all, usual = 160 << 20, 40 << 20
	p := pool(t, imaging.Config{MemoryBytes: all, UsualBytes: usual}, "media-worker")
	large := specimen.JPEG(specimen.Options{Width: 3000, Height: 2400})
	small := specimen.JPEG(specimen.Options{Width: 300, Height: 200})
	stop, most := make(chan struct{}), make(chan int64)
	go func() {
		var high int64
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				most <- high
				return
			case <-tick.C:
				high = max(high, granted(t))
			}
		}
	}()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			in := small
			if i%2 == 0 {
				in = large
			}
			if _, err := p.Process(context.Background(), in); err != nil {
				t.Errorf("photo %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	close(stop)
	if high := <-most; high > all+usual || high < 2*usual {
		t.Errorf("workers together may allocate %d MiB, want at most %d", high>>20, (all+usual)>>20)
	}
}

// granted sums what this process's fenced children may allocate.
func granted(t *testing.T) (sum int64) {
	const index = 32 << 20 // above each worker's memory, see sandbox.Enter
	for _, pid := range children(t) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		if err != nil {
			continue // ended meanwhile
		}
		for line := range strings.Lines(string(b)) {
			var n int64
			if rest, ok := strings.CutPrefix(line, "Max data size"); ok {
				if _, err := fmt.Sscan(rest, &n); err == nil { // else "unlimited": not fenced in yet
					sum += n - index
				}
			}
		}
	}
	return sum
}

// A worker that asks for more and more does not get it.
func TestAWorkerThatAlwaysNeedsMoreIsRefused(t *testing.T) {
	p := pool(t, imaging.Config{MemoryBytes: 128 << 20, UsualBytes: 32 << 20}, "faulty-worker")
	for _, fault := range []string{"needs-more", "needs-all", "needs-less"} {
		bad := specimen.JPEG(specimen.Options{Width: 64, Height: 48, Comment: true, Canary: "fault:" + fault + " "})
		if _, err := p.Process(context.Background(), bad); codeOf(err) != string(imaging.TooManyPixels) {
			t.Errorf("%s: %v", fault, err)
		}
	}
}
