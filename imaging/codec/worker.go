package codec

import (
	"errors"
	"io"

	"photovault/imaging/internal/sandbox"
	"photovault/imaging/internal/wire"
)

// maxRequest bounds what a worker reads; its memory limit bounds what it can hold.
const maxRequest = 1 << 30

// WorkerMain is the whole life of a media worker: it fences itself in, greets, answers one request
// and returns the exit status. args are those that the pool appends to its command. in and out must
// be pipes, and the process must have been started for nothing else: the fences cannot be undone.
func WorkerMain(in io.Reader, out io.Writer, args []string) int {
	hevc := len(args) > 0 && args[0] == wire.WithHEVC
	if hevc {
		args = args[1:]
	}
	c, err := sandbox.ParseArgs(args)
	if err != nil {
		return 2
	}
	if hevc && PrepareHEVC() != nil {
		return 1
	}
	held := sandbox.Enter(c)
	if wire.WriteHello(out, wire.Hello{Fences: held}) != nil {
		return 1
	}
	q, err := wire.ReadRequest(in, maxRequest)
	if err != nil {
		return 1 // the pool went away, or never needed this worker
	}
	var a wire.Answer
	if q.Mode == wire.Probe {
		a.Held = sandbox.Probe(c)
	} else {
		a = respond(q)
	}
	if wire.WriteAnswer(out, a) != nil {
		return 1
	}
	// The pool looks at this process once more before it lets go of it.
	_, _ = io.Copy(io.Discard, in)
	return 0
}

// Answer carries out one request without a process around it. The renditions are whole.
func Answer(q wire.Request) wire.Answer {
	a := respond(q)
	for i, p := range a.Pieces {
		if a.Renditions[i].Data == nil {
			a.Renditions[i].Data = pieces(p).join()
		}
	}
	a.Pieces = nil
	return a
}

func respond(q wire.Request) wire.Answer {
	a, err := answer(q)
	var r *Refusal
	switch {
	case errors.As(err, &r):
		return wire.Answer{Code: r.Code, Detail: r.Detail, Need: r.Need, HEVC: r.HEVC}
	case err != nil:
		return wire.Answer{Code: "worker_failed", Detail: err.Error()}
	}
	return a
}

func answer(q wire.Request) (wire.Answer, error) {
	switch q.Mode {
	case wire.Sanitise:
		if len(q.Blobs) != 1 {
			return wire.Answer{}, wire.ErrFrame
		}
		return sanitise(q.Blobs[0], q.Limits)
	case wire.Mask:
		if len(q.Blobs) != 1 || len(q.Regions) == 0 {
			return wire.Answer{}, wire.ErrFrame
		}
		return mask(q.Blobs[0], q.Regions, q.Limits)
	case wire.Shrink:
		if len(q.Blobs) != 1 {
			return wire.Answer{}, wire.ErrFrame
		}
		return shrinkFinished(q.Blobs[0], q.Limits)
	case wire.Compare:
		if len(q.Blobs) != 2 || len(q.Regions) != 2 {
			return wire.Answer{}, wire.ErrFrame
		}
		return compare(q.Blobs, q.Regions, q.Limits)
	case wire.Scan:
		var a wire.Answer
		for _, b := range q.Blobs {
			seen, err := inspect(b, q.Limits)
			if err != nil {
				return wire.Answer{}, err
			}
			a.Seen = append(a.Seen, seen)
		}
		return a, nil
	}
	return wire.Answer{}, wire.ErrFrame
}
