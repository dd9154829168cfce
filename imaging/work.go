package imaging

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"photovault/imaging/internal/wire"
)

// work is what one photo takes of the pool while it is worked on.
type work struct {
	pool  *Pool
	bytes int64 // of the budget
	hevc  bool  // it is coded as HEVC
	peak  int64 // the most memory that one of its workers had resident
}

// begin waits until a worker of the usual size fits.
func (p *Pool) begin(ctx context.Context) (*work, error) {
	w := &work{pool: p}
	return w, w.grow(ctx, p.cfg.UsualBytes)
}

// grow waits until a larger worker fits. What the photo held is given back first, so that two that
// wait for one another's memory cannot be.
func (w *work) grow(ctx context.Context, bytes int64) error {
	w.end()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(w.pool.open, func() { cancel(ErrClosed) })()
	if w.pool.budget.Acquire(ctx, bytes) != nil {
		return context.Cause(ctx)
	}
	w.bytes = bytes
	return nil
}

// end gives back what the photo held.
func (w *work) end() {
	w.pool.budget.Release(w.bytes)
	w.bytes = 0
}

// maxGrowth is how often a photo may ask for a larger worker: on its header, and once more for what
// shows behind it.
const maxGrowth = 3

// run has a worker carry out one request, and a larger one, or one that decodes HEVC, when the photo needs
// it and all workers together may have that much.
func (w *work) run(ctx context.Context, q wire.Request) (wire.Answer, error) {
	bytes := w.pool.cfg.UsualBytes
	if w.hevc {
		// What the first worker needed the second will: making one ready only to be told so takes longest.
		bytes = w.bytes
	}
	for grown := 0; ; grown++ {
		a, err := w.retried(ctx, q, bytes)
		if err != nil || a.Code == "" {
			return a, err
		}
		other := a.HEVC && !w.hevc
		if a.Need <= bytes && !other || a.Need > w.pool.cfg.MemoryBytes || grown == maxGrowth {
			return wire.Answer{}, refusal(a.Code)
		}
		w.hevc = w.hevc || a.HEVC
		// Some more than was reckoned, for what the collector has not found yet.
		if a.Need > bytes {
			bytes = min(a.Need+a.Need/4, w.pool.cfg.MemoryBytes)
		}
		if bytes > w.bytes {
			if err := w.grow(ctx, bytes); err != nil {
				return wire.Answer{}, err
			}
		}
	}
}

// retried has one worker carry out one request. One that was killed from outside, as by an operator or
// the kernel short of memory, says nothing about the photo: another is asked, once.
func (w *work) retried(ctx context.Context, q wire.Request, bytes int64) (wire.Answer, error) {
	a, killed, err := w.once(ctx, q, bytes)
	if killed {
		a, _, err = w.once(ctx, q, bytes)
	}
	return a, err
}

func (w *work) once(ctx context.Context, q wire.Request, bytes int64) (a wire.Answer, killed bool, err error) {
	p := w.pool
	one, err := p.take(ctx, bytes, w.hevc)
	if err != nil {
		return wire.Answer{}, false, err
	}
	limited, cancel := context.WithTimeout(ctx, p.cfg.WallClock)
	defer cancel()
	q.Limits = wire.Limits{MaxPixels: p.cfg.Limits.MaxPixels, MaxSide: p.cfg.Limits.MaxSide, MemoryBytes: bytes}
	a, err = one.ask(limited, q, p.maxAnswer())
	w.peak = max(w.peak, one.peak)
	p.cfg.Logger.Debug("imaging: media worker ended", "cpu", one.cpu(), "resident", one.peak, "answered", err == nil)
	switch {
	case err != nil && ctx.Err() != nil:
		return wire.Answer{}, false, context.Cause(ctx)
	case err != nil:
		r := one.verdict(limited.Err() != nil)
		p.cfg.Logger.Warn("imaging: media worker failed", "code", r.Code, "state", one.state.String(), "err", err)
		return wire.Answer{}, r.Code == WorkerFailed && one.killed(), r
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
	w, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer w.end()
	a, err := w.run(ctx, wire.Request{Mode: wire.Sanitise, Blobs: [][]byte{input}})
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
	seen, err := w.run(ctx, wire.Request{Mode: wire.Scan, Blobs: blobs})
	if err != nil {
		return nil, err
	}
	if err := agree(&a, seen.Seen); err != nil {
		return nil, err
	}
	f := a.Findings
	f.Pixels.Delivered = seen.Seen[0].Pixels
	f.InputSHA256 = sha256.Sum256(input)
	f.WorkerMaxRSS = w.peak
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
