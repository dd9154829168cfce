package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

// call is one request on its way through a handler. It never leaves api.
type call struct {
	*fiber.Ctx
	server *Server
	ctx    context.Context
	who    consent.Principal
	source string
	body   *progress
}

// service is where the one call of a handler goes.
func (c *call) service() *vault.Service { return c.server.Service }

// limitBody refuses a body that is declared too long before a byte of it is
// read, and bounds one whose length is not declared: with streamed bodies
// nothing else does.
func (c *call) limitBody(limit int64) error {
	n := int64(c.Request().Header.ContentLength())
	var refused error
	switch {
	case n == chunked && limit > 0:
		n = limit + 1 // one byte too many tells
	case n == chunked, n > limit:
		refused = vault.ErrTooLarge
	}
	stream := c.Context().RequestBodyStream()
	if stream == nil {
		stream = bytes.NewReader(c.Request().Body())
	}
	c.body = &progress{left: max(0, n), stall: c.server.Stall, window: c.server.Stall, r: stream, conn: c.Context().Conn(), ctx: c.ctx}
	return refused
}

// chunked is what fasthttp calls the length of a body that declares none.
const chunked = -1

// drain leaves nothing of a rejected body to be taken for the next request. A
// client that goes on sending would not see the answer if the connection just
// went, so what is on its way is read, within bounds; what is not, or is more,
// takes the connection with it.
func (c *call) drain() {
	if c.body == nil || c.body.left == 0 {
		return
	}
	c.body.stall = drainStall
	if c.body.closed() {
		c.body.closing, c.body.until = nil, time.Now().Add(time.Second)
		c.body.stopped.Store(false)
	}
	_, err := io.CopyN(io.Discard, c.body, min(c.body.left, maxDrain))
	if c.body.left > 0 || err != nil && !errors.Is(err, io.EOF) {
		c.Context().SetConnectionClose()
	}
}

const (
	maxDrain   = 8 << 20 // bytes
	drainStall = 250 * time.Millisecond
)

// windowBytes must come in each window that is spent waiting for a body.
const windowBytes = 64 << 10

// progress reads a body up to its length and moves the connection's read
// deadline as bytes arrive, so that a slow body may take long, but a stalled
// one, or one that trickles, may not. Only time spent waiting for it counts.
type progress struct {
	r     io.Reader
	left  int64
	stall time.Duration // how long to wait for the next bytes
	conn  net.Conn
	ctx   context.Context

	window time.Duration // for windowBytes
	waited time.Duration // in this window
	came   int64         // in this window

	stopped atomic.Bool     // by Interrupt
	closing context.Context // when it ends, no more is read; nil: never
	until   time.Time       // to read no longer than that; zero: any time
}

// endWith lets the body end when closing does, also while a read waits. What
// it returns is called when the body was read.
func (p *progress) endWith(closing context.Context) (release func() bool) {
	p.closing = closing
	return context.AfterFunc(closing, func() {
		if p.conn != nil {
			_ = p.conn.SetReadDeadline(time.Now()) // a connection that is gone waits for nothing
		}
	})
}

func (p *progress) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	began := time.Now()
	if p.conn != nil {
		end := began.Add(min(p.stall, p.window-p.waited))
		if !p.until.IsZero() && p.until.Before(end) {
			end = p.until
		}
		if err := p.conn.SetReadDeadline(end); err != nil {
			return 0, err
		}
	}
	if p.closed() { // after the deadline was set, which would outlive endWith's
		return 0, p.why()
	}
	n, err := p.r.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	p.waited, p.came = p.waited+time.Since(began), p.came+int64(n)
	if p.came >= windowBytes {
		p.waited, p.came = 0, 0
	}
	if err != nil && err != io.EOF && p.closed() {
		err = p.why()
	}
	if err == io.EOF {
		p.left = 0
	}
	return n, err
}

// Interrupt ends the body, also while a read waits (vault.Interrupter).
func (p *progress) Interrupt() {
	p.stopped.Store(true)
	if p.conn != nil {
		_ = p.conn.SetReadDeadline(time.Now()) // a connection that is gone waits for nothing
	}
}

func (p *progress) closed() bool {
	return p.stopped.Load() || p.closing != nil && p.closing.Err() != nil
}

// why it is closed.
func (p *progress) why() error {
	if p.closing != nil && p.closing.Err() != nil {
		return errClosing
	}
	return errInterrupted
}

var errInterrupted = errors.New("api: another request took over")

// decode reads a JSON body strictly: one value, known fields only.
func (c *call) decode(into any) error {
	raw, err := io.ReadAll(c.body)
	if err != nil {
		c.Context().SetConnectionClose()
		if errors.Is(err, context.DeadlineExceeded) { // the request's own: who is asking took all of its time to find out
			return fmt.Errorf("%w: %w", vault.ErrUnavailable, err)
		}
		return fmt.Errorf("%w: body: %w", errBadRequest, err)
	}
	if len(raw) > maxJSON {
		c.Context().SetConnectionClose()
		return vault.ErrTooLarge
	}
	if !utf8.Valid(raw) { // each bad byte would become three good ones
		return &badJSON{errors.New("not UTF-8")}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return &badJSON{err}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &badJSON{errors.New("more than one value")}
	}
	return plainKeys(raw)
}

// plainKeys refuses JSON, known to be well formed, that two readers could take
// in two ways (RFC 8259 §4): a key that stands twice in its object, or one that
// encoding/json takes for a field because it looks past case.
func plainKeys(raw []byte) error {
	type open struct {
		keys  map[string]bool // nil: an array
		value bool            // a key was read; its value follows
	}
	d, stack := json.NewDecoder(bytes.NewReader(raw)), []open{{}}
	d.UseNumber() // of any size
	for {
		t, err := d.Token()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return &badJSON{err}
		}
		in := &stack[len(stack)-1]
		key, text := t.(string)
		switch {
		case t == json.Delim('}'), t == json.Delim(']'):
			stack = stack[:len(stack)-1]
			continue
		case text && in.keys != nil && !in.value:
			if in.keys[key] || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
				return &badJSON{errors.New("a key that is not plain")}
			}
			in.keys[key], in.value = true, true
			continue
		}
		in.value = false
		switch t {
		case json.Delim('{'):
			stack = append(stack, open{keys: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, open{})
		}
	}
}

// pathID reads an id from the path. One that is malformed cannot exist.
func pathID[T ~string](c *call, name string) (T, error) {
	v, err := id.Parse[T](c.Params(name))
	if err != nil {
		return "", vault.ErrNotFound
	}
	return v, nil
}

// reply encodes an answer.
func (c *call) reply(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, "application/json")
	return c.Status(status).Send(b)
}
