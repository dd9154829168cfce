package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
)

// outcome is what a run showed.
type outcome struct {
	seed     uint64
	steps    int
	virtual  time.Duration
	injected map[fault]int
	trace    string // digest of every step
	findings []string
	tail     []string

	photos, ready, deleted, deliveries, whole, crashes int
}

// run simulates one seed. lying may put a catalog that lies in the honest
// one's place.
func run(t *testing.T, from *template, seed uint64, steps int, lying func(*world, vault.Catalogs) vault.Catalogs) (out outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, from, seed)
		defer w.close()
		if lying != nil {
			w.lying = func(honest vault.Catalogs) vault.Catalogs { return lying(w, honest) }
		}
		for slot := range replicas {
			w.start(slot, 0)
		}
		w.admit()
		for w.step() < steps && !w.found() {
			w.advance(t.Context())
		}
		if !w.found() {
			w.rest(t.Context())
		}
		w.end()
		for _, r := range w.up {
			if r != nil {
				r.end()
			}
		}
		w.clients.Wait()
		w.background.Wait()
		out = w.outcome()
	})
	return out
}

// admit lets the clients in.
func (w *world) admit() {
	for i := range 3 {
		w.client(fmt.Sprintf("tablet%d", i+1), uint64(i), tablet)
	}
	w.client("provider", 10, func(a *actor) { reader(a, "provider", consent.ForCare) })
	w.client("nurse", 18, func(a *actor) { reader(a, "provider", consent.ForCare) })
	w.client("marketing", 11, func(a *actor) { reader(a, "marketing", consent.ForMarketing) })
	w.client("agency", 12, func(a *actor) { reader(a, "agency", consent.ForMarketing) })
	w.client("desk", 13, desk)
	w.client("officer", 14, officer)
	w.client("admin", 15, administrator)
	w.client("operator", 16, operator)
	if w.rate > 0 && w.rng.IntN(2) == 0 {
		w.client("owner", 17, owner)
	}
}

// telling are the calls after which the stores look different to an observer.
var telling = []string{" AddUpload", " AddSegments", " Concatenate", " EndUpload", " CommitPhoto", " RejectPhoto", " DeletePhoto", " TakeDead", " Delete"}

// advance makes a step and looks at what it led to.
func (w *world) advance(ctx context.Context) {
	c := w.next()
	if c != nil && slices.ContainsFunc(telling, func(s string) bool { return strings.Contains(c.what, s) }) {
		w.observe(ctx)
	}
}

// patience is how long what was received may take to be ready once all faults
// have ceased: a job is tried again after five minutes at most.
const patience = 20 * time.Minute

// rest ends all faults and holds what is left against what was promised.
func (w *world) rest(ctx context.Context) {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	w.heal()
	w.enemy.lift()
	left := make(chan struct{})
	go func() { w.clients.Wait(); close(left) }()
	healed := time.Now()
	for !w.found() {
		select {
		case <-left:
			if waiting := w.waiting(ctx); len(waiting) == 0 {
				if !w.found() {
					w.halt(ctx)
					w.inventory(ctx)
				}
				return
			} else if time.Since(healed) > patience {
				w.finding("P7", "%v after all faults had ceased, not ready: %s", patience, strings.Join(waiting, ", "))
			}
		default:
			if time.Since(healed) > patience {
				w.finding("P7", "%v after all faults had ceased, clients have not come to an end", patience)
			}
		}
		w.advance(ctx)
	}
}

// waiting lists photos that were received and are not ready.
func (w *world) waiting(ctx context.Context) (out []string) {
	for _, p := range w.photos {
		if !p.received || p.deleteTried || p.ready {
			continue
		}
		row, err := w.observer.ForPractice(w.practice).Photo(ctx, p.id)
		switch {
		case err != nil:
			out = append(out, p.name+": "+err.Error())
		case row.State == vault.Ready:
			w.observeReady(ctx, p, row)
			p.ready = true
		case row.State != vault.Rejected || p.content[0] != refusedPhoto:
			out = append(out, p.name+": "+string(row.State))
		}
	}
	return out
}

// halt ends every replica as an operator would.
func (w *world) halt(ctx context.Context) {
	for slot := range replicas {
		w.mu.Lock()
		r := w.up[slot]
		w.up[slot] = nil
		w.mu.Unlock()
		if r == nil {
			continue
		}
		r.stop()
		for done := false; !done; {
			select {
			case <-r.served:
				done = true
			default:
				w.advance(ctx)
			}
		}
		r.dead.Store(true)
	}
}

// kept is the newest checkpoint of any replica.
type kept struct{ w *world }

func (k kept) Save(c audit.Checkpoint) error { k.w.checkpoints[0] = &c; return nil }

func (k kept) Newest(id.Practice) (newest *audit.Checkpoint, err error) {
	for _, c := range k.w.checkpoints {
		if c != nil && (newest == nil || c.Size > newest.Size) {
			newest = c
		}
	}
	return newest, nil
}

// inventory: a day later, one sweep leaves nothing that is not a ready photo's.
func (w *world) inventory(ctx context.Context) {
	w.end() // nobody is left who would wait
	w.quiet = 25 * time.Hour
	time.Sleep(w.quiet)
	s, err := vault.New(vault.Config{Practice: w.practice, Catalogs: w.observer, Keys: w.kek, Blobs: w.store, Media: &media{}, Checkpoints: kept{w},
		Logger: slog.New(slog.DiscardHandler), SweepAge: sweepAge, UploadLife: uploadLife})
	if err == nil {
		_, err = s.Sweep(ctx)
	}
	if err != nil {
		w.finding("P7", "the last sweep: %v", err)
	}
	db := w.observer.ForPractice(w.practice)
	ready := map[string]bool{}
	for _, p := range w.photos {
		for _, u := range p.uploads {
			if _, _, err := db.Upload(ctx, u.id); !errors.Is(err, vault.ErrNotFound) {
				w.finding("P7", "%s is over, and its row is there: %v", u.name, err)
			}
		}
		if p.id != "" {
			row, err := db.Photo(ctx, p.id)
			if err != nil {
				w.finding("P7", "the row of %s: %v", p.name, err)
				continue
			}
			ready[string(p.id)] = row.State == vault.Ready
		}
	}
	err = db.InspectObjects(ctx, func(o vault.StoredObject) error {
		if o.State != "live" || o.Area != string(blobs.Photos) || !ready[o.Owner] {
			w.finding("P7", "left in the catalog: an object of %s, %s, in %s", w.called(o.Owner), o.State, o.Area)
		}
		return nil
	})
	if err != nil {
		w.finding("P7", "objects: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(w.folder, "objects", "tmp")); err != nil || len(left) > 0 {
		w.finding("P7", "left in the store: %d temporary files, %v", len(left), err)
	}
	report, err := (&vault.Fsck{Catalogs: w.observer, Keys: w.kek, Blobs: w.store, Checkpoints: kept{w}, Practice: w.practice, ReadData: true}).Run(ctx)
	if err != nil {
		w.finding("P7", "fsck: %v", err)
		return
	}
	for _, f := range report.Findings {
		kind, of, _ := strings.Cut(f.Where, " ")
		w.finding("P7", "fsck: %s: %s %s", f.Code, kind, w.called(of))
	}
	if _, err := vault.VerifyTrail(ctx, w.observer, kept{w}, w.practice, nil); err != nil {
		w.finding("P7", "the log does not verify: %v", err)
	}
}

func (w *world) outcome() outcome {
	out := outcome{seed: w.seed, steps: w.steps, virtual: time.Since(w.schedule.begin) - w.quiet, injected: w.injured, trace: w.sum(), findings: w.findings, tail: w.tail}
	for _, p := range w.photos {
		out.photos++
		if p.ready {
			out.ready++
		}
		if p.deleted.step != 0 {
			out.deleted++
		}
	}
	for _, t := range w.tokens {
		out.deliveries += t.delivered
		out.whole += t.complete
	}
	for _, n := range w.started {
		out.crashes += n - 1
	}
	return out
}

// report fails the test with what is needed to see it again. The whole trace
// goes into the file that PHOTOVAULT_SIM_TRACE names.
func (o *outcome) report(t *testing.T) {
	t.Helper()
	if file := os.Getenv("PHOTOVAULT_SIM_TRACE"); file != "" {
		if err := os.WriteFile(file, []byte(strings.Join(o.tail, "\n")+"\n"), 0o600); err != nil {
			t.Error(err)
		}
	}
	if len(o.findings) == 0 {
		return
	}
	tail := o.tail[max(0, len(o.tail)-100):]
	t.Errorf("seed %d\n  %s\n\nagain: PHOTOVAULT_SIM_SEED=%d GOFIPS140=certified go test ./vault/simulation -run '^TestSimulation$' -count 1 -v\n\nthe last %d steps:\n%s",
		o.seed, strings.Join(o.findings, "\n  "), o.seed, len(tail), strings.Join(tail, "\n"))
}
