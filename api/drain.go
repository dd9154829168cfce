package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"photovault/vault"
)

// A server ends in steps, so that whoever stands before it can follow: it is
// unready and answers each request with Connection: close (Drain); it listens
// no more, and uploads are stopped where they are, with an honest answer;
// running requests end; those that do not are cut (Serve).

// ErrCut: requests were still running when their time was over. What they had
// acknowledged stays; their clients see a broken connection.
var ErrCut = errors.New("api: requests were cut when the server ended")

// errClosing: the server stopped an upload at a durable point.
var errClosing = fmt.Errorf("api: the server is closing: %w", vault.ErrUnavailable)

// errLeaving: readiness while the server drains.
var errLeaving = &vault.NotReadyError{Dependencies: []vault.Dependency{{Name: "service", Err: errClosing}}}

// cutWithin is how long requests that were cut may take to note their outcome.
const cutWithin = 3 * time.Second

// ending is how far the server has come with that.
type ending struct {
	leaving, closing context.Context // done when it is
	leave, close     context.CancelFunc

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func newEnding() *ending {
	e := &ending{conns: map[net.Conn]struct{}{}}
	e.leaving, e.leave = context.WithCancel(context.Background())
	e.closing, e.close = context.WithCancel(context.Background())
	return e
}

// Drain makes the server unready and lets each connection end with its next
// answer. It goes on accepting, for those who have not heard of it yet.
func (s *Server) Drain() { s.ending.leave() }

// track knows the open connections, to cut those that outlast their time.
func (e *ending) track(c net.Conn, state fasthttp.ConnState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch state {
	case fasthttp.StateNew:
		e.conns[c] = struct{}{}
	case fasthttp.StateClosed, fasthttp.StateHijacked:
		delete(e.conns, c)
	}
}

func (e *ending) cut() (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		reset(c)
		n++
	}
	return n
}

// end lets running requests finish for up to grace, and cuts the others.
// Errors: ErrCut.
func (s *Server) end(grace time.Duration) error {
	s.ending.leave()
	s.ending.close()
	err := s.app.ShutdownWithTimeout(grace)
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	n := s.ending.cut()
	for over := time.Now().Add(cutWithin); s.app.Server().GetOpenConnectionsCount() > 0 && time.Now().Before(over); {
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%w: %d connections after %v", ErrCut, n, grace)
}
