package vault

import (
	"context"
	"sync"
	"time"

	"photovault/vault/id"
)

// takeWithin is how long a request waits for the one that it ends.
const takeWithin = 5 * time.Second

// turns gives each upload to one request of this process at a time. The newer
// request wins: a client that comes again has lost the older connection, which
// may stall for long before the server knows. Across processes the catalog's
// compare-and-set on the offset decides.
type turns struct {
	mu   sync.Mutex
	held map[id.Upload]*turn
}

// turn is one request's hold of an upload. Its context ends when another
// request wants the upload; the cause says what the older one is told.
type turn struct {
	context.Context
	cancel context.CancelCauseFunc
	of     *turns
	upload id.Upload
	done   chan struct{}

	row *Upload // with of.mu; nil until it was read
}

// tryTake takes an upload that nobody holds, or returns nil.
func (t *turns) tryTake(ctx context.Context, u id.Upload) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held[u] != nil {
		return nil
	}
	if t.held == nil {
		t.held = map[id.Upload]*turn{}
	}
	n := &turn{of: t, upload: u, done: make(chan struct{})}
	n.Context, n.cancel = context.WithCancelCause(ctx)
	t.held[u] = n
	return n
}

// take ends whoever holds the upload, telling it why, and takes it. Only the
// upload's owner may get here. Errors: ErrLocked when the older one does not end.
func (t *turns) take(ctx context.Context, u id.Upload, why error) (*turn, error) {
	limit := time.NewTimer(takeWithin)
	defer limit.Stop()
	for {
		if n := t.tryTake(ctx, u); n != nil {
			return n, nil
		}
		t.mu.Lock()
		old := t.held[u]
		t.mu.Unlock()
		if old == nil {
			continue
		}
		old.cancel(why)
		select {
		case <-old.done:
		case <-limit.C:
			return nil, ErrLocked
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// end gives the upload back.
func (n *turn) end() {
	n.of.mu.Lock()
	delete(n.of.held, n.upload)
	n.of.mu.Unlock()
	n.cancel(nil)
	close(n.done)
}

// knows notes what the upload is, for endOlder.
func (n *turn) knows(u *Upload) {
	n.of.mu.Lock()
	defer n.of.mu.Unlock()
	n.row = u
}

// endOlder stops what is being sent to uploads that u has ended.
func (t *turns) endOlder(u *Upload) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.held {
		if n.row != nil && n.row.Photo == u.Photo && n.row.ID != u.ID && !(u.Partial && n.row.Partial) {
			n.cancel(ErrGone)
		}
	}
}
