package transit

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/vault/api"
)

const (
	filePoll  = 2 * time.Second
	loginWait = 5 * time.Second // longest pause between logins that fail
)

// tokens keeps the calls' client supplied with a token that is good. One
// goroutine logs in, renews and looks up, so that no two logins ever run.
//
// The library's LifetimeWatcher is not used: it gives up at the token's
// maximum age, after which calls fail until a login; it waits ten seconds
// after the first failed renewal, which outlives a short token; and its calls
// cannot be stopped. Here a token that can no longer be extended is replaced
// while it is still good.
type tokens struct {
	calls   *api.Client // carries the token
	own     *api.Client // for this goroutine's calls
	source  source
	timeout time.Duration
	report  func(error)

	suspects chan uint64 // generations that the server has answered 403 to
	stop     context.CancelFunc
	stopped  chan struct{}

	mu         sync.Mutex
	generation uint64 // 0: there was no token yet
	grant      grant
	since      time.Time     // of the generation
	expires    time.Time     // zero: never
	err        error         // of the last login
	event      chan struct{} // closed and replaced at each change of what is above
}

func keep(o Options, calls, own *api.Client) *tokens {
	ctx, stop := context.WithCancel(context.Background())
	t := &tokens{calls: calls, own: own, source: newSource(o, own), timeout: o.Timeout, report: o.Report,
		suspects: make(chan uint64, 1), stop: stop, stopped: make(chan struct{}), event: make(chan struct{})}
	go func() {
		defer close(t.stopped)
		var g grant
		for ctx.Err() == nil {
			var ok bool
			if g, ok = t.login(ctx, g); ok {
				g = t.guard(ctx, g)
			}
		}
	}()
	return t
}

// current returns the generation of the token that the client carries, at once.
func (t *tokens) current(call string) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.generation != 0 && t.grant.token != "" && (t.expires.IsZero() || time.Now().Before(t.expires)) {
		return t.generation, nil
	}
	err := t.err
	if err == nil {
		err = errNoToken
	}
	return 0, &failure{call: call, text: "there is no valid token: " + err.Error()}
}

// await waits for the first token. It gives up at what does not pass by itself.
func (t *tokens) await(ctx context.Context) error {
	for {
		t.mu.Lock()
		generation, err, event := t.generation, t.err, t.event
		t.mu.Unlock()
		if generation != 0 {
			return nil
		}
		if errors.Is(err, ErrConfiguration) {
			return err
		}
		select {
		case <-ctx.Done():
			t.mu.Lock()
			err = t.err // of a login that has failed just now
			t.mu.Unlock()
			if err != nil {
				return err
			}
			return cancelled("log in", ctx)
		case <-event:
		}
	}
}

// suspect reports that the server has answered 403 to a generation. It waits
// until the token was looked at, and says whether there is another one now.
func (t *tokens) suspect(ctx context.Context, generation uint64) (replaced bool) {
	t.mu.Lock()
	event, now := t.event, t.generation
	t.mu.Unlock()
	if now != generation {
		return true
	}
	select {
	case t.suspects <- generation:
	default: // it is being looked at
	}
	select {
	case <-event:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.generation != generation
}

// change does what f does to t, and wakes who waits.
func (t *tokens) change(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
	close(t.event)
	t.event = make(chan struct{})
}

// login tries until there is a token, or ctx ends. Meanwhile calls go on with
// the old one while it lasts, and where it can still be renewed, that does as
// well: a secret id may be good for one login only.
func (t *tokens) login(ctx context.Context, old grant) (grant, bool) {
	pause := newBackOff(100*time.Millisecond, loginWait)
	for {
		began := time.Now()
		g, err := t.try(ctx)
		if err != nil && ctx.Err() == nil {
			t.report(err)
			if left, renewErr := t.renew(ctx, old); renewErr == nil {
				g, err = old, nil
				g.ttl = left
			}
		}
		if ctx.Err() != nil {
			return grant{}, false
		}
		if err == nil {
			t.change(func() { t.publish(g, began) })
			return g, true
		}
		t.change(func() { t.err = err })
		select {
		case <-ctx.Done():
			return grant{}, false
		case <-time.After(pause.NextBackOff()):
		}
	}
}

func (t *tokens) try(ctx context.Context) (grant, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	return t.source.login(ctx)
}

// publish is called with the lock held. The life of a token counts from before
// it was asked for.
func (t *tokens) publish(g grant, since time.Time) {
	if g.token != t.grant.token || t.generation == 0 {
		t.calls.SetToken(g.token)
		t.generation++
		t.since = since
	}
	t.grant, t.err, t.expires = g, nil, time.Time{}
	if g.ttl > 0 {
		t.expires = since.Add(g.ttl)
	}
}

// guard renews a token as long as that extends it. It returns it when there
// should be a login: the token is ending, or gone (then it returns none), or
// the credential was replaced in its file.
func (t *tokens) guard(ctx context.Context, g grant) grant {
	full, ending := g.ttl, !g.renewable
	next := time.NewTimer(0)
	defer next.Stop()
	schedule(next, g.ttl)
	poll := time.NewTicker(filePoll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return g
		case <-poll.C:
			if t.source.changed() {
				return g
			}
		case generation := <-t.suspects:
			if t.dead(ctx, generation) {
				return grant{}
			}
		case <-next.C:
			if ending {
				return g
			}
			began := time.Now()
			left, err := t.renew(ctx, g)
			if err != nil {
				// The server says 500 of a token at its maximum age, so that
				// trouble and the end look alike.
				return g
			}
			g.ttl = left
			t.change(func() { t.publish(g, began) })
			ending = left < full*9/10 // it nears its maximum age: the next step is a login
			schedule(next, left)
		}
	}
}

var errEnded = errors.New("the token cannot be renewed")

// renew extends a token, and says by how much.
func (t *tokens) renew(ctx context.Context, g grant) (time.Duration, error) {
	if !g.renewable {
		return 0, errEnded
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	left, err := renew(ctx, t.own, g)
	if err == nil && left == 0 {
		return 0, errEnded
	}
	return left, err
}

// dead finds out whether a 403 was about the token, or about what it may do.
func (t *tokens) dead(ctx context.Context, generation uint64) bool {
	t.mu.Lock()
	now, token, fresh := t.generation, t.grant.token, time.Since(t.since) < time.Second
	t.mu.Unlock()
	if generation != now {
		return false
	}
	if fresh { // it is about what it may do: a login for every call would help nobody
		t.change(func() {})
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	_, err := lookup(ctx, t.own, token)
	if !errors.Is(err, ErrConfiguration) {
		t.change(func() {}) // the token is good, or nobody knows
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.grant, t.err = grant{}, err // calls fail at once until the login
	return true
}

// close ends the goroutine and revokes the token, if it is our own and the
// server can be reached: else it ends by itself.
func (t *tokens) close() {
	t.stop()
	<-t.stopped
	t.mu.Lock()
	g := t.grant
	t.grant, t.err = grant{}, errClosed
	t.mu.Unlock()
	t.calls.ClearToken()
	if !g.own || g.token == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(t.timeout, 2*time.Second))
	defer cancel()
	t.own.SetToken(g.token)
	defer t.own.ClearToken()
	_ = t.own.Auth().Token().RevokeSelfWithContext(ctx, "") // best effort
}

var errClosed = errors.New("closed")

// schedule sets the timer to two thirds of what is left, a little less by
// chance so that replicas do not ask together; for a token without end, never.
func schedule(timer *time.Timer, left time.Duration) {
	if left == 0 {
		timer.Stop()
		return
	}
	share := 0.60 + 0.07*rand.Float64()
	timer.Reset(time.Duration(float64(left) * share))
}

func newBackOff(initial, most time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier, b.RandomizationFactor = initial, most, 2, 0.5
	b.Reset()
	return b
}
