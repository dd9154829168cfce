// Package imaging has photos sanitised by media workers: processes that are fenced in, get one photo,
// answer with its renditions and are gone. The service itself never parses a photo.
//
// A photo passes two workers. The first rewrites it from an allow-list and makes the renditions; its
// output is treated as hostile, so a second, fresh one decodes and checks every rendition before
// Process returns them.
package imaging

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/semaphore"

	"photovault/imaging/internal/sandbox"
)

// Limits bound one photo.
type Limits struct {
	MaxInputBytes int64 // default 64 MiB
	MaxPixels     int64 // width × height, default 80 million; the worker's memory may admit fewer
	MaxSide       int64 // pixels, default 65500
}

// Config of a Pool. Zero values mean the defaults.
type Config struct {
	// Command is the argv of a worker, by default this very binary with the argument media-worker.
	// The pool appends what codec.WorkerMain wants as its args.
	Command []string
	// MemoryBytes is what all workers may allocate together (default 768 MiB). Photos whose workers do not
	// fit beside those at work wait their turn; one that needs more than this alone is refused.
	MemoryBytes int64
	// UsualBytes is what the worker that waits, started ahead, may allocate (default 128 MiB, at least
	// 32 MiB): enough for most photos. One that needs more says so and gets a larger worker.
	UsualBytes int64
	// WallClock bounds each of a photo's two workers (default 20 s).
	WallClock time.Duration
	Limits    Limits
	Logger    *slog.Logger // default slog.Default
}

func (c *Config) defaults() {
	if len(c.Command) == 0 {
		c.Command = []string{"/proc/self/exe", "media-worker"}
	}
	if c.MemoryBytes <= 0 {
		c.MemoryBytes = 768 << 20
	}
	if c.UsualBytes <= 0 {
		c.UsualBytes = min(128<<20, c.MemoryBytes)
	}
	if c.WallClock <= 0 {
		c.WallClock = 20 * time.Second
	}
	if c.Limits.MaxInputBytes <= 0 {
		c.Limits.MaxInputBytes = 64 << 20
	}
	if c.Limits.MaxPixels <= 0 {
		c.Limits.MaxPixels = 80e6
	}
	if c.Limits.MaxSide <= 0 {
		c.Limits.MaxSide = 65500
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

// Pool supervises workers. It is safe for concurrent use.
type Pool struct {
	cfg    Config
	budget *semaphore.Weighted
	ready  chan started    // unbuffered: one worker waits, started ahead
	orders chan order      // for workers of another size
	hevc   chan order      // for workers that decode HEVC
	open   context.Context // until Close
	shut   context.CancelFunc
	done   chan struct{}
	quiet  chan struct{} // closed when the thread that starts the ones for HEVC has ended
	fences Fences
}

// started is a worker that waits, or the reason why there is none.
type started struct {
	w   *worker
	err error
}

// order asks for a worker that may allocate so much; the answer fits into reply.
type order struct {
	bytes int64
	reply chan started
}

// NewPool starts a worker, has it try its fences, and returns the pool. It fails when no worker can be
// started or the one that was cannot do its work; fences that are missing do not make it fail: see
// Fences.
func NewPool(cfg Config) (*Pool, error) {
	cfg.defaults()
	if cfg.UsualBytes < 32<<20 || cfg.MemoryBytes < cfg.UsualBytes {
		return nil, errors.New("imaging: a worker needs at least 32 MiB, and all together no less than one")
	}
	p := &Pool{cfg: cfg, budget: semaphore.NewWeighted(cfg.MemoryBytes), ready: make(chan started), orders: make(chan order),
		hevc: make(chan order), done: make(chan struct{}), quiet: make(chan struct{})}
	if err := closeOnExec(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMachine, err)
	}
	p.open, p.shut = context.WithCancel(context.Background())
	go p.startAhead()
	go p.startHEVC()
	if err := p.selfTest(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Fences reports which fences hold, as the worker of the self-test found them.
func (p *Pool) Fences() Fences { return append(Fences(nil), p.fences...) }

// AtOnce is how many photos of the usual size are best worked on at once: as many as there are
// processors, and as fit into the memory.
func (p *Pool) AtOnce() int {
	return min(runtime.GOMAXPROCS(0), int(p.cfg.MemoryBytes/p.cfg.UsualBytes))
}

// Close ends the waiting worker and returns when no other is running. Callers that still need a worker
// get ErrClosed.
func (p *Pool) Close() {
	p.shut()
	<-p.done
	<-p.quiet
}

// startAhead keeps one worker waiting, and starts those of another size when they are asked for. It
// stays on one thread, because a worker ends with the thread that started it.
func (p *Pool) startAhead() {
	runtime.LockOSThread()
	defer close(p.done)
	next := p.start(p.cfg.UsualBytes, nil)
	for {
		select {
		case p.ready <- next:
			next = p.start(p.cfg.UsualBytes, nil)
		case o := <-p.orders:
			o.reply <- p.start(o.bytes, nil)
		case <-p.open.Done():
			if next.w != nil {
				next.w.end()
			}
			// The thread must outlive the workers it started; those are bounded by the wall clock.
			_ = p.budget.Acquire(context.Background(), p.cfg.MemoryBytes) // cannot fail: it fits and never ends
			return
		}
	}
}

// start starts a worker; extra are arguments of one that can do more than the usual.
func (p *Pool) start(bytes int64, extra []string) started {
	cpu := int64(p.cfg.WallClock/time.Second+1) * int64(runtime.NumCPU())
	args := sandbox.Config{MemoryBytes: bytes, CPUSeconds: cpu}.Args()
	w, err := startWorker(slices.Concat(p.cfg.Command, extra, args), time.Now().Add(p.cfg.WallClock))
	if err != nil {
		p.cfg.Logger.Error("imaging: cannot start a media worker", "err", err)
	}
	return started{w, err}
}

// take gives a worker that may allocate so much, or says why there is none.
func (p *Pool) take(ctx context.Context, bytes int64, hevc bool) (*worker, error) {
	select {
	case <-p.open.Done():
		return nil, ErrClosed
	default:
	}
	if hevc || bytes != p.cfg.UsualBytes {
		o := order{bytes, make(chan started, 1)}
		orders := p.orders
		if hevc {
			orders = p.hevc
		}
		select {
		case orders <- o:
			s := <-o.reply // which is bounded by the wall clock
			return s.w, s.err
		case <-p.open.Done():
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	for {
		select {
		case s := <-p.ready:
			if s.err == nil && exited(s.w.cmd.Process.Pid) {
				s.w.end() // died while it waited: not the photo's doing
				continue
			}
			return s.w, s.err
		case <-p.open.Done():
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
