package transit

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/vault/api"
	"github.com/sony/gobreaker/v2"
)

const (
	attempts    = 3 // of one call
	firstPause  = 30 * time.Millisecond
	longPause   = 500 * time.Millisecond
	tripAfter   = 5           // failures in a row until the breaker opens
	breakerOpen = time.Second // until it lets one attempt through to see
	batchTimes  = 4           // the time limit of a batch, in those of a call
)

// client calls one engine as one identity.
type client struct {
	o       Options
	http    *http.Transport
	api     *api.Client
	tokens  *tokens
	breaker *gobreaker.CircuitBreaker[struct{}]
}

// dial returns a client that has logged in. Errors: ErrConfiguration, keys.ErrUnavailable.
func dial(ctx context.Context, o Options) (*client, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	over, err := transport(o)
	if err != nil {
		return nil, err
	}
	calls, err := connect(o, over)
	if err != nil {
		return nil, err
	}
	own, err := connect(o, over)
	if err != nil {
		return nil, err
	}
	c := &client{o: o, http: over, api: calls, breaker: newBreaker()}
	c.tokens = keep(o, calls, own)
	ctx, cancel := context.WithTimeout(ctx, o.Budget)
	defer cancel()
	if err := c.tokens.await(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// dialKey is dial, with a look at the transit key. What the server does not
// let this token see is a slip of configuration here.
func dialKey(ctx context.Context, o Options) (*client, *transitKey, error) {
	c, err := dial(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	k, err := c.readKey(ctx)
	if err == nil {
		return c, k, nil
	}
	c.close()
	var f *failure
	if errors.As(err, &f) && f.status >= 400 && !f.transient {
		return nil, nil, Faults{f.text}
	}
	return nil, nil, err
}

func (c *client) close() {
	c.tokens.close()
	c.http.CloseIdleConnections()
}

// newBreaker opens after failures in a row that say the server is in trouble.
// Refusals and slips of configuration are answers. A caller who went away
// says nothing about the server.
func newBreaker() *gobreaker.CircuitBreaker[struct{}] {
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        "transit",
		MaxRequests: 1,
		Timeout:     breakerOpen,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= tripAfter },
		IsExcluded: func(err error) bool {
			var f *failure
			return errors.As(err, &f) && f.cause != nil
		},
		IsSuccessful: func(err error) bool {
			var f *failure
			return !errors.As(err, &f) || !f.transient
		},
	})
}

// request is one call of the engine.
type request struct {
	call    string // how errors name it
	path    string // below /v1/
	body    []byte // nil: GET
	limit   int    // bytes of an answer
	timeout time.Duration
	once    bool                      // another attempt might do it twice
	read    func(answer []byte) error // nil: the answer does not matter; it is overwritten afterwards
}

// do calls the engine, again if need be. Its errors are *failure.
func (c *client) do(ctx context.Context, r request) error {
	if ctx.Err() != nil {
		return cancelled(r.call, ctx)
	}
	if r.timeout == 0 {
		r.timeout = c.o.Timeout
	}
	tries := uint(attempts)
	if r.once {
		tries = 1
	}
	within, cancel := context.WithTimeout(ctx, c.o.Budget)
	defer cancel()
	var last error
	_, _ = backoff.Retry(within, func() (struct{}, error) {
		last = c.guarded(ctx, within, r)
		var f *failure
		if last == nil || errors.As(last, &f) && (f.transient || f.again) {
			return struct{}{}, last
		}
		return struct{}{}, backoff.Permanent(last)
	}, backoff.WithMaxTries(tries), backoff.WithMaxElapsedTime(c.o.Budget), backoff.WithBackOff(newBackOff(firstPause, longPause)))
	if last != nil && ctx.Err() != nil { // the caller went away between two attempts
		return cancelled(r.call, ctx)
	}
	return last
}

// guarded is one attempt, if there is a token and the breaker lets it through.
func (c *client) guarded(ctx, within context.Context, r request) error {
	generation, err := c.tokens.current(r.call)
	if err != nil {
		return err
	}
	_, err = c.breaker.Execute(func() (struct{}, error) { return struct{}{}, c.attempt(ctx, within, r) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return &failure{call: r.call, text: "the server has failed several times in a row; it is tried again every second"}
	}
	var f *failure
	if errors.As(err, &f) && f.status == http.StatusForbidden {
		wait, cancel := context.WithTimeout(within, r.timeout)
		defer cancel()
		f.again = c.tokens.suspect(wait, generation)
	}
	return err
}

// attempt is one exchange; within is ctx with the budget.
func (c *client) attempt(ctx, within context.Context, r request) error {
	began := time.Now()
	limited, cancel := context.WithTimeout(within, r.timeout)
	defer cancel()
	err := c.exchange(limited, r)
	// A caller's own short limit says nothing about the server, a long one does.
	if err != nil && (errors.Is(ctx.Err(), context.Canceled) || ctx.Err() != nil && time.Since(began) < r.timeout/2) {
		return cancelled(r.call, ctx)
	}
	return err
}

func (c *client) exchange(ctx context.Context, r request) error {
	answer, err := c.send(ctx, r)
	if answer != nil {
		defer answer.Body.Close()
	}
	if err != nil {
		return explain(r.call, r.path, err)
	}
	if answer.StatusCode >= 300 {
		return &failure{call: r.call, status: answer.StatusCode,
			text: "the server sends the call elsewhere: give the address of the active node, or of the balancer before it"}
	}
	if r.read == nil {
		return nil
	}
	body, err := readAll(answer.Body, r.limit)
	defer clear(body)
	switch {
	case errors.Is(err, errLong):
		return &failure{call: r.call, text: "the answer is too long"}
	case err != nil:
		return explain(r.call, r.path, err)
	}
	if err := r.read(body); err != nil {
		return &failure{call: r.call, text: "the answer cannot be read: " + err.Error(), transient: true}
	}
	return nil
}

var errLong = errors.New("too long")

// readAll reads an answer of limit bytes at most. One that holds a key, and
// has a low limit, is read into one buffer: none that grew is left behind.
func readAll(from io.Reader, limit int) ([]byte, error) {
	b := make([]byte, 0, min(limit, maxKeyAnswer)+1)
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := from.Read(b[len(b):min(cap(b), limit+1)])
		b = b[:len(b)+n]
		switch {
		case len(b) > limit:
			return b, errLong
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return b, err
		}
	}
}

func (c *client) send(ctx context.Context, r request) (*api.Response, error) {
	if r.body == nil {
		return c.api.Logical().ReadRawWithContext(ctx, r.path)
	}
	return c.api.Logical().WriteRawWithContext(ctx, r.path, r.body)
}

// path is that of the transit key at one of the engine's endpoints.
func (c *client) path(endpoint string) string { return c.o.Mount + "/" + endpoint + "/" + c.o.Key }

// data reads an answer's data into v, a pointer. An answer without any leaves v as it is.
func data(answer []byte, v any) error {
	outer := struct {
		Data any `json:"data"`
	}{v}
	if err := json.Unmarshal(answer, &outer); err != nil { // its text may show some of the answer
		return errors.New("not the engine's JSON")
	}
	return nil
}
