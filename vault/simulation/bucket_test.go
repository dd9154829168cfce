package simulation_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"photovault/vault/blobs"
	"photovault/vault/id"
)

// bucket is a replica's way to the object store.
type bucket struct {
	blobs.Store
	r *replica
}

// enemy is whoever owns the object store: it keeps what was ever put, knows
// what belongs to what, and answers as it likes.
type enemy struct {
	mu     sync.Mutex
	stored map[id.Object]thing
	order  []id.Object             // as they were put
	spell  map[id.Object]bewitched // what replicas get instead, until it is lifted
}

// thing is an object that was put once.
type thing struct {
	owner string // name of its photo or upload
	bytes []byte // nil: too large to be kept
}

type bewitched struct {
	fault fault
	pick  uint64
}

const keepsUpTo = 256 << 10

func (e *enemy) keep(o id.Object, owner string, b []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(b) > keepsUpTo {
		b = nil
	}
	e.stored[o] = thing{owner, bytes.Clone(b)}
	e.order = append(e.order, o)
}

// bewitch makes every replica get something else for the n-th object from now on.
func (e *enemy) bewitch(n uint64, b bewitched) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.order) == 0 {
		return ""
	}
	o := e.order[n%uint64(len(e.order))]
	e.spell[o] = b
	return e.stored[o].owner
}

func (e *enemy) lift() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.spell)
}

func (e *enemy) on(o id.Object) (bewitched, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, ok := e.spell[o]
	return b, ok
}

// forge returns what is answered in place of an object.
func (e *enemy) forge(o id.Object, b []byte, f fault, pick uint64) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var others []id.Object
	for _, other := range e.order {
		if t := e.stored[other]; other != o && t.bytes != nil && (f == swapped || t.owner == e.stored[o].owner) {
			others = append(others, other)
		}
	}
	switch {
	case f == missing:
		return nil, blobs.ErrNotFound
	case f == cut && len(b) > 0:
		return b[:pick%uint64(len(b))], nil
	case (f == swapped || f == older) && len(others) > 0:
		return e.stored[others[pick%uint64(len(others))]].bytes, nil
	case len(b) > 0: // a bit flipped; also where there is nothing to swap with
		b = bytes.Clone(b)
		b[pick%uint64(len(b))] ^= 1 << (pick >> 40 % 8)
	}
	return b, nil
}

func (b *bucket) Put(ctx context.Context, name blobs.Name, r io.Reader, size int64) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	w := b.r.w
	owner := w.ownerOf(name.Object)
	return doErr(ctx, b.r, "Put "+string(name.Area)+" of "+owner, onWrite, blobs.ErrUnavailable, func(ctx context.Context) error {
		err := b.Store.Put(ctx, name, bytes.NewReader(data), size)
		if err == nil {
			w.enemy.keep(name.Object, owner, data)
		}
		return err
	})
}

func (b *bucket) Get(ctx context.Context, name blobs.Name, off, n int64) (io.ReadCloser, int64, error) {
	var (
		size    int64
		forgery = bewitched{}
	)
	w := b.r.w
	what := "Get " + string(name.Area) + " of " + w.ownerOf(name.Object)
	body, v, err := doing(ctx, b.r, what, onGet, blobs.ErrUnavailable, func(ctx context.Context) (body io.ReadCloser, err error) {
		body, size, err = b.Store.Get(ctx, name, off, n)
		return body, err
	})
	if err != nil {
		return nil, 0, err
	}
	if slices.Contains([]fault{flipped, cut, swapped, older, missing}, v.fault) {
		forgery = bewitched(v)
	} else if spell, ok := w.enemy.on(name.Object); ok {
		w.note(b.r.name, "%s: %v by a spell", what, spell.fault)
		forgery = spell
	}
	if forgery.fault == none {
		return &transfer{body, ctx, b.r, what, 0}, size, nil
	}
	_ = body.Close()
	w.tampered()
	return b.forged(ctx, name, off, n, forgery)
}

func (b *bucket) forged(ctx context.Context, name blobs.Name, off, n int64, by bewitched) (io.ReadCloser, int64, error) {
	whole, _, err := b.Store.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(whole)
	_ = whole.Close()
	if err != nil {
		return nil, 0, err
	}
	told := int64(len(data))
	if data, err = b.r.w.enemy.forge(name.Object, data, by.fault, by.pick); err != nil {
		return nil, 0, err
	}
	if by.pick>>50%2 == 0 { // half of the lies admit the size
		told = int64(len(data))
	}
	if off > told || n > told-off {
		return nil, 0, fmt.Errorf("%w: %d bytes", blobs.ErrSize, told)
	}
	data = data[min(off, int64(len(data))):]
	if n >= 0 {
		data = data[:min(n, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(data)), told, nil
}

// transfer is an object on its way; a long one takes its time.
type transfer struct {
	io.ReadCloser
	ctx  context.Context
	r    *replica
	what string
	n    int
}

// stretch is how many bytes of a body come at once.
const stretch = 1 << 20

func (b *transfer) Read(p []byte) (int, error) {
	if b.r.dead.Load() {
		return 0, errGone
	}
	if b.n >= stretch {
		b.n = 0
		_, err := do(b.ctx, b.r, b.what+", body", onRead, blobs.ErrUnavailable, func(context.Context) (void, error) { return void{}, nil })
		if err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.n += n
	return n, err
}

func (b *bucket) Delete(ctx context.Context, name blobs.Name) error {
	// Which of several goes first, their ids decide: the trace must not tell.
	return doErr(ctx, b.r, "Delete", onWrite, blobs.ErrUnavailable, func(ctx context.Context) error { return b.Store.Delete(ctx, name) })
}
