// Package imaging has photos sanitised by media workers: processes that are fenced in, get one photo,
// answer with its renditions and are gone. The service itself never parses a photo.
//
// A photo passes two workers. The first rewrites it from an allow-list and makes the renditions; its
// output is treated as hostile, so a second, fresh one decodes and checks every rendition before
// Process returns them.
package imaging

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"photovault/imaging/internal/sandbox"
	"photovault/imaging/internal/wire"
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
	// Workers is how many photos are worked on at once (default 2); more callers wait their turn.
	Workers int
	// MemoryBytes is what one worker may allocate (default 128 MiB, at least 32 MiB).
	MemoryBytes int64
	// WallClock bounds each of a photo's two workers (default 20 s).
	WallClock time.Duration
	Limits    Limits
	Logger    *slog.Logger // default slog.Default
}

func (c *Config) defaults() {
	if len(c.Command) == 0 {
		c.Command = []string{"/proc/self/exe", "media-worker"}
	}
	if c.Workers <= 0 {
		c.Workers = 2
	}
	if c.MemoryBytes <= 0 {
		c.MemoryBytes = 128 << 20
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
	slots  chan struct{}
	ready  chan started // unbuffered: one worker waits, started ahead
	quit   chan struct{}
	done   chan struct{}
	close  sync.Once
	fences Fences
}

// started is a worker that waits, or the reason why there is none.
type started struct {
	w   *worker
	err error
}

// NewPool starts a worker, has it try its fences, and returns the pool. It fails when no worker can be
// started or the one that was cannot do its work; fences that are missing do not make it fail: see
// Fences.
func NewPool(cfg Config) (*Pool, error) {
	cfg.defaults()
	if cfg.MemoryBytes < 32<<20 {
		return nil, errors.New("imaging: a worker needs at least 32 MiB")
	}
	p := &Pool{cfg: cfg, slots: make(chan struct{}, cfg.Workers), ready: make(chan started),
		quit: make(chan struct{}), done: make(chan struct{})}
	go p.startAhead()
	if err := p.selfTest(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Fences reports which fences hold, as the worker of the self-test found them.
func (p *Pool) Fences() Fences { return append(Fences(nil), p.fences...) }

// Close ends the waiting worker and returns when no other is running. Callers that still need a worker
// get ErrClosed.
func (p *Pool) Close() {
	p.close.Do(func() { close(p.quit) })
	<-p.done
}

// startAhead keeps one worker waiting. It stays on one thread, because a worker ends with the thread
// that started it.
func (p *Pool) startAhead() {
	runtime.LockOSThread()
	defer close(p.done)
	cpu := int64(p.cfg.WallClock/time.Second+1) * int64(runtime.NumCPU())
	args := sandbox.Config{MemoryBytes: p.cfg.MemoryBytes, CPUSeconds: cpu}.Args()
	argv := append(append([]string(nil), p.cfg.Command...), args...)
	for {
		w, err := startWorker(argv, time.Now().Add(p.cfg.WallClock))
		if err != nil {
			p.cfg.Logger.Error("imaging: cannot start a media worker", "err", err)
		}
		select {
		case p.ready <- started{w, err}:
		case <-p.quit:
			if w != nil {
				w.end()
			}
			// The thread must outlive the workers it started; those are bounded by the wall clock.
			for range cap(p.slots) {
				p.slots <- struct{}{}
			}
			return
		}
	}
}

// take gives a waiting worker, or says why there is none.
func (p *Pool) take(ctx context.Context) (*worker, error) {
	select {
	case <-p.quit:
		return nil, ErrClosed
	default:
	}
	for {
		select {
		case s := <-p.ready:
			if s.err == nil && exited(s.w.cmd.Process.Pid) {
				s.w.end() // died while it waited: not the photo's doing
				continue
			}
			return s.w, s.err
		case <-p.quit:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// run has one worker carry out one request. One that was killed from outside, as by an operator or the
// kernel short of memory, says nothing about the photo: another is asked, once.
func (p *Pool) run(ctx context.Context, mode wire.Mode, peak *int64, blobs ...[]byte) (wire.Answer, error) {
	a, killed, err := p.runOnce(ctx, mode, peak, blobs)
	if killed {
		a, _, err = p.runOnce(ctx, mode, peak, blobs)
	}
	return a, err
}

func (p *Pool) runOnce(ctx context.Context, mode wire.Mode, peak *int64, blobs [][]byte) (a wire.Answer, killed bool, err error) {
	w, err := p.take(ctx)
	if err != nil {
		return wire.Answer{}, false, err
	}
	limited, cancel := context.WithTimeout(ctx, p.cfg.WallClock)
	defer cancel()
	q := wire.Request{Mode: mode, Blobs: blobs, Limits: wire.Limits{
		MaxPixels: p.cfg.Limits.MaxPixels, MaxSide: p.cfg.Limits.MaxSide, MemoryBytes: p.cfg.MemoryBytes}}
	a, err = w.ask(limited, q, p.maxAnswer())
	*peak = max(*peak, w.peak)
	switch {
	case err != nil && ctx.Err() != nil:
		return wire.Answer{}, false, context.Cause(ctx)
	case err != nil:
		r := w.verdict(limited.Err() != nil)
		p.cfg.Logger.Warn("imaging: media worker failed", "code", r.Code, "state", w.state.String(), "err", err)
		return wire.Answer{}, r.Code == WorkerFailed && w.killed(), r
	case a.Code != "":
		return wire.Answer{}, false, refusal(a.Code)
	}
	return a, false, nil
}

// maxAnswer bounds the renditions of one photo together. A photo that is coded anew may grow.
func (p *Pool) maxAnswer() int64 { return 2*p.cfg.Limits.MaxInputBytes + 8<<20 }

// Process sanitises one photo. It waits for a free worker as long as ctx allows. The input is only
// read, and may be overwritten once Process has returned.
//
// The error is a *Refusal when the photo is the reason; ErrMachine, ErrClosed or the cause of ctx
// when it is not, and the photo should be tried again later.
func (p *Pool) Process(ctx context.Context, input []byte) (*Result, error) {
	if int64(len(input)) > p.cfg.Limits.MaxInputBytes {
		return nil, &Refusal{TooLarge, fmt.Sprintf("more than %d bytes", p.cfg.Limits.MaxInputBytes)}
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-p.quit:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	var peak int64
	a, err := p.run(ctx, wire.Sanitise, &peak, input)
	if err != nil {
		return nil, err
	}
	if !a.Findings.Plausible(int64(len(input))) {
		return nil, &Refusal{WorkerFailed, "the media worker's findings cannot be"}
	}
	if err := checkRenditions(a.Renditions); err != nil {
		return nil, err
	}
	blobs := make([][]byte, len(a.Renditions))
	for i, r := range a.Renditions {
		blobs[i] = r.Data
	}
	seen, err := p.run(ctx, wire.Scan, &peak, blobs...)
	if err != nil {
		return nil, err
	}
	if err := agree(&a, seen.Seen); err != nil {
		return nil, err
	}
	f := a.Findings
	f.Pixels.Delivered = seen.Seen[0].Pixels
	f.InputSHA256 = sha256.Sum256(input)
	f.WorkerMaxRSS = peak
	for i := range a.Renditions {
		a.Renditions[i].SHA256 = sha256.Sum256(a.Renditions[i].Data)
	}
	return &Result{Renditions: a.Renditions, Findings: f}, nil
}

// checkRenditions demands the three renditions by name, in order, with sizes that can be.
func checkRenditions(rs []Rendition) error {
	names := []string{Original, Web, Thumb}
	sides := []int{0, 1600, 320}
	if len(rs) != len(names) {
		return &Refusal{WorkerFailed, "wrong number of renditions"}
	}
	for i, r := range rs {
		long := max(r.Width, r.Height)
		if r.Name != names[i] || min(r.Width, r.Height) < 1 || sides[i] > 0 && long > sides[i] {
			return &Refusal{WorkerFailed, "renditions are not those asked for"}
		}
		if !slices.Contains(wire.ContentTypes, r.ContentType) || r.Name != Original && r.ContentType != "image/jpeg" {
			return &Refusal{WorkerFailed, "a rendition is of a type that is not put out"}
		}
	}
	return nil
}

// agree compares what the first worker claims with what the second saw.
func agree(a *wire.Answer, seen []wire.Seen) error {
	if len(seen) != len(a.Renditions) {
		return &Refusal{WorkerFailed, "wrong number of scans"}
	}
	for i, s := range seen {
		r := a.Renditions[i]
		if s.Width != r.Width || s.Height != r.Height || s.ContentType != r.ContentType {
			return &Refusal{UnsafeOutput, "a rendition is not what it was said to be"}
		}
	}
	if a.Findings.CodedDataKept && a.Findings.Pixels.Decoded != seen[0].Pixels {
		return &Refusal{UnsafeOutput, "the original does not show the pixels of the upload"}
	}
	if seen[0].ContentType == "image/png" && a.Findings.Pixels.Encoded != seen[0].Pixels {
		return &Refusal{UnsafeOutput, "the original does not show the pixels it was made of"}
	}
	return nil
}
