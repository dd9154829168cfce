package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/catalog"
)

// replica is one process of the service. What it holds in memory, the catalog's
// included, dies with it.
type replica struct {
	*vault.Service
	w      *world
	slot   int
	name   string
	dead   atomic.Bool
	stop   context.CancelFunc
	db     *catalog.DB
	served chan struct{} // closed when Run has returned
}

// actorKey is the context's key of who acts.
type actorKey struct{}

// short settings, so that much happens in little virtual time.
const (
	sweepAge   = 60 * time.Second
	uploadLife = 4 * time.Minute
)

// start begins a replica in the slot, once it is this replica's turn.
func (w *world) start(slot int, after time.Duration) {
	w.started[slot]++
	r := &replica{w: w, slot: slot, name: fmt.Sprintf("r%d.%d", slot, w.started[slot]), served: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), actorKey{}, r.name))
	r.stop = cancel
	w.background.Go(func() {
		defer close(r.served)
		if w.park(&call{actor: r.name, what: "start", from: time.Now().Add(after)}).fault == gone {
			return
		}
		if err := r.open(ctx); err != nil {
			w.finding("P7", "%s does not start: %v", r.name, err)
			return
		}
		for {
			err := r.Prepare(ctx)
			if r.dead.Load() {
				return
			}
			if err == nil {
				break
			}
			if errors.Is(err, audit.ErrTampered) {
				w.finding("P5", "%s refuses to start: %v", r.name, err)
			}
			if w.park(&call{actor: r.name, what: "prepare again", replica: r, from: time.Now().Add(time.Second)}).fault == gone {
				return
			}
		}
		w.mu.Lock()
		w.up[slot] = r
		w.mu.Unlock()
		if err := r.Run(ctx); err != nil && !r.dead.Load() {
			w.note(r.name, "ended: %s", vault.Code(err))
		}
	})
}

func (r *replica) open(ctx context.Context) (err error) {
	w := r.w
	if r.db, err = catalog.OpenSQLite(ctx, filepath.Join(w.folder, "catalog.db"), w.kek, catalog.Options{Practice: w.practice}); err != nil {
		return err
	}
	w.opened = append(w.opened, r.db)
	r.Service, err = vault.New(vault.Config{Practice: w.practice, Catalogs: &catalogs{Catalogs: w.lie(r.db), r: r}, Keys: &keyService{w.kek, r},
		Blobs: &bucket{w.store, r}, Media: &media{r: r}, Checkpoints: &outside{r}, Logger: slog.New(slog.DiscardHandler),
		SweepAge: sweepAge, UploadLife: uploadLife, Ingests: 1, UploadBuffers: 8, CheckpointAt: 3 * time.Second})
	return err
}

// crash ends the replica as kill -9 does: nothing it does from here on has an
// effect, and nobody hears of it. Another one starts in its place.
func (r *replica) crash(pick uint64) {
	if !r.end() {
		return
	}
	r.w.note(r.name, "is dead")
	r.w.start(r.slot, delay(pick))
}

// end makes the replica dead; it reports whether it was alive.
func (r *replica) end() bool {
	if r.dead.Swap(true) {
		return false
	}
	r.w.mu.Lock()
	if r.w.up[r.slot] == r {
		r.w.up[r.slot] = nil
	}
	r.w.mu.Unlock()
	r.stop()
	return true
}

// drain ends the replica as a rolling restart does.
func (r *replica) drain(ctx context.Context, after time.Duration) {
	w := r.w
	w.mu.Lock()
	if w.up[r.slot] == r {
		w.up[r.slot] = nil // no new requests
	}
	w.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	r.Drain(limited)
	cancel()
	r.stop()
	<-r.served
	if r.end() {
		w.note(r.name, "has ended")
		w.start(r.slot, after)
	}
}

// do is a call of a store by a replica: it waits for its turn and has done to
// it what the scheduler decides.
func do[T any](ctx context.Context, r *replica, what string, faults []fault, unavailable error, f func(context.Context) (T, error)) (T, error) {
	out, _, err := doing(ctx, r, what, faults, unavailable, f)
	return out, err
}

// doing also returns the verdict.
func doing[T any](ctx context.Context, r *replica, what string, faults []fault, unavailable error, f func(context.Context) (T, error)) (out T, v verdict, err error) {
	var nothing T
	if r.dead.Load() {
		return nothing, v, errGone
	}
	if err := ctx.Err(); err != nil {
		return nothing, v, fmt.Errorf("%w: %w", unavailable, err)
	}
	actor, _ := ctx.Value(actorKey{}).(string)
	if actor == "" {
		actor = r.name + " after"
	}
	v = r.w.park(&call{actor: actor, what: r.name + " " + what, replica: r, ctx: ctx, faults: faults})
	switch v.fault {
	case gone:
		return nothing, v, errGone
	case failed:
		return nothing, v, fmt.Errorf("%w: %w", unavailable, errInjected)
	case crashed:
		r.crash(v.pick)
		return nothing, v, errGone
	case late:
		r.w.later(actor, r.name+" "+what, v.pick, func() { _, _ = f(context.WithoutCancel(ctx)) })
		return nothing, v, fmt.Errorf("%w: %w", unavailable, errInjected)
	}
	out, err = f(ctx)
	if err != nil {
		r.w.note(actor, "%s: %s", what, vault.Code(err))
	}
	switch v.fault {
	case unknown:
		return nothing, v, fmt.Errorf("%w: %w", unavailable, errInjected)
	case crashAfter:
		r.crash(v.pick)
		return nothing, v, errGone
	case answered:
		after := r.w.park(&call{actor: actor, what: r.name + " " + what + ", answer", replica: r, ctx: ctx, from: time.Now().Add(delay(v.pick))})
		if after.fault == gone {
			return nothing, v, errGone
		}
		if ctxErr := ctx.Err(); ctxErr != nil {
			return nothing, v, fmt.Errorf("%w: %w", unavailable, ctxErr)
		}
	}
	return out, v, err
}

// void is the result of what has none.
type void struct{}

func doErr(ctx context.Context, r *replica, what string, faults []fault, unavailable error, f func(context.Context) error) error {
	_, err := do(ctx, r, what, faults, unavailable, func(ctx context.Context) (void, error) { return void{}, f(ctx) })
	return err
}

// later does what was on its way when its caller gave up.
func (w *world) later(actor, what string, pick uint64, f func()) {
	w.background.Go(func() {
		if w.park(&call{actor: actor + " late", what: what, from: time.Now().Add(delay(pick >> 3))}).fault != gone {
			f()
		}
	})
}
