package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"photovault/vault/blobs"
)

// sourceOf reads the first part of r. It returns *memory when that is all
// there is, and else *exact. Errors: blobs.ErrSize, blobs.ErrUnavailable when
// ctx ends, r's own.
func sourceOf(ctx context.Context, r io.Reader, size int64) (any, error) {
	if b, ok := r.(*bytes.Reader); ok {
		if int64(b.Len()) != size {
			return nil, fmt.Errorf("%w: %d bytes, %d declared", blobs.ErrSize, b.Len(), size)
		}
		return &memory{at: b, off: b.Size() - size, size: size}, nil
	}
	e := &exact{ctx: ctx, r: r, size: size, left: size}
	part := make([]byte, min(size, held))
	if _, err := io.ReadFull(e, part); err != nil && err != io.EOF {
		return nil, e.reason(err)
	}
	if e.left > 0 {
		e.ahead, e.sent = part, sha256.New()
		return e, nil
	}
	if err := e.end(); err != nil {
		return nil, err
	}
	return &memory{at: bytes.NewReader(part), size: size}, nil
}

// memory is an object that is in memory.
type memory struct {
	at        io.ReaderAt
	off, size int64
}

func (m *memory) reader() io.Reader { return io.NewSectionReader(m.at, m.off, m.size) }

func (m *memory) sum() (sum [sha256.Size]byte) {
	h := sha256.New()
	_, _ = io.Copy(h, m.reader()) // memory does not fail
	h.Sum(sum[:0])
	return sum
}

// exact reads size bytes of r and not one less or more: it gives out the last
// only when r has come to its end, so that no server ever has a whole object
// of a source of another length.
type exact struct {
	ctx   context.Context // of Put: the caller's
	r     io.Reader
	size  int64
	left  int64     // to be read from r
	ahead []byte    // read from r and not given out yet
	sent  hash.Hash // of what was given out; nil for the first part
	err   error     // why it failed; nil while it has not
	idle  int
}

const (
	maxIdle = 100       // how often a reader may give nothing (as bufio has it)
	step    = 256 << 10 // bytes read at a time; ctx is looked at between
)

// Read gives out what was read ahead, then the rest. Before the first part is
// handed over nothing is read ahead.
func (e *exact) Read(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	if len(e.ahead) > 0 {
		n := copy(p, e.ahead)
		e.ahead = e.ahead[n:]
		e.sent.Write(p[:n])
		return n, nil
	}
	if e.left == 0 {
		return 0, io.EOF
	}
	if err := live(e.ctx); err != nil {
		return 0, e.fail(err)
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left, step)])
	e.left -= int64(n)
	if e.idle++; n > 0 {
		e.idle = 0
	}
	switch {
	case err == io.EOF && e.left > 0:
		return n, e.fail(fmt.Errorf("%w: %d of the %d bytes declared", blobs.ErrSize, e.size-e.left, e.size))
	case err != nil && err != io.EOF:
		return n, e.fail(fmt.Errorf("s3: source: %w", err))
	case e.idle == maxIdle:
		return n, e.fail(fmt.Errorf("s3: source: %w", io.ErrNoProgress))
	case e.left == 0 && err == nil && e.sent != nil:
		if err := e.end(); err != nil {
			return 0, err // withhold the last bytes
		}
	}
	if e.sent != nil {
		e.sent.Write(p[:n])
	}
	return n, nil
}

// sum is the SHA-256 of what was given out.
func (e *exact) sum() (sum [sha256.Size]byte) {
	e.sent.Sum(sum[:0])
	return sum
}

// end finds out that r has no more bytes.
func (e *exact) end() error {
	var one [1]byte
	for range maxIdle {
		if err := live(e.ctx); err != nil {
			return e.fail(err)
		}
		n, err := e.r.Read(one[:])
		switch {
		case n > 0:
			return e.fail(fmt.Errorf("%w: more than the %d bytes declared", blobs.ErrSize, e.size))
		case err == io.EOF:
			return nil
		case err != nil:
			return e.fail(fmt.Errorf("s3: source: %w", err))
		}
	}
	return e.fail(fmt.Errorf("s3: source: %w", io.ErrNoProgress))
}

func (e *exact) fail(err error) error {
	e.err = err
	return err
}

// reason is why reading ended: its own error, whatever io.ReadFull made of it.
func (e *exact) reason(err error) error {
	if e.err != nil {
		return e.err
	}
	return err
}

// guard lets the transport read a source only until the call returns: it may
// be at it still when the answer has come or the call has failed.
type guard struct {
	mu   sync.Mutex
	r    io.Reader
	over bool
}

var errOver = errors.New("s3: the call is over")

func (g *guard) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return 0, errOver
	}
	return g.r.Read(p)
}

// stop waits for a read that is under way; there is none after it.
func (g *guard) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
}
