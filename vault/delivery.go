package vault

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// Delivery is an opened rendition on its way out. After a peek it has no body:
// Read returns io.EOF.
type Delivery struct {
	ContentType   string
	Size          int64 // bytes of the whole rendition
	Start, Length int64 // bytes of this answer
	Partial       bool  // a Range was asked for
	SHA256        string
	Tag           string // names the rendition to the holder of the token
	Known         bool   // the client has it: there is no body

	reading sync.Mutex // guards body and left; held while the store is waited for
	body    plaintext
	left    int64

	mu        sync.Mutex // guards the rest; nothing is waited for under it
	confirmed time.Time  // when consent was last found to stand
	finished  bool       // Close was called
	stopped   bool       // cut: nothing more leaves
	finish    func(consent.UseOutcome) error
	cut       func()

	hash   consent.BearerHash
	stands basis
}

// basis is the state that a delivery was last found allowed on.
type basis struct {
	practice id.Practice
	patient  id.Patient
	epoch    int64
	account  id.Account
	version  int64
	campaign id.Campaign // empty: none
	edition  int64       // version of the campaign
}

func basisOf(r *consent.Redemption) basis {
	b := basis{practice: r.Token.Practice, patient: r.Token.Patient, epoch: r.Record.Epoch, account: r.Token.Account, version: r.HolderVersion, campaign: r.Token.Campaign}
	if r.Campaign != nil {
		b.edition = r.Campaign.Version
	}
	return b
}

// unmoved reports whether everything is as it was.
func (b basis) unmoved(v Versions) bool {
	return v.Patients[b.patient] == b.epoch && v.Accounts[b.account] == b.version && (b.campaign == "" || v.Campaigns[b.campaign] == b.edition)
}

// ErrCut reports a stream ended because consent was withdrawn, or could not be
// confirmed, while it ran.
var ErrCut = errors.New("vault: delivery cut")

// confirmFor is how long a running stream lives on one confirmation.
const confirmFor = 2 * time.Second

// OnCut sets what is called, once and from another goroutine, when the
// delivery is cut while its receiver may be blocked.
func (d *Delivery) OnCut(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut = f
}

// Read delivers the next bytes, all of them authenticated. What the store gave
// too late, after the delivery was cut, goes nowhere.
func (d *Delivery) Read(p []byte) (int, error) {
	d.reading.Lock()
	defer d.reading.Unlock()
	switch over, stale := d.ended(); {
	case over:
		return 0, ErrCut
	case d.left == 0:
		return 0, io.EOF
	case stale:
		return 0, ErrCut
	}
	n, err := d.body.Read(p[:min(int64(len(p)), d.left)])
	if over, stale := d.ended(); over || stale {
		clear(p[:n])
		return 0, ErrCut
	}
	d.left -= int64(n)
	if err == io.EOF && d.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// ended reports whether the delivery is over, and whether consent has gone
// unconfirmed for too long.
func (d *Delivery) ended() (over, stale bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.finished || d.stopped, time.Since(d.confirmed) > confirmFor
}

// Close ends the delivery and records its outcome: complete only when every
// byte of a whole rendition was read and handedOver says that the transport
// took them. It is safe to call twice.
func (d *Delivery) Close(handedOver bool) error {
	if !d.end() {
		return nil
	}
	d.reading.Lock()
	defer d.reading.Unlock()
	outcome := consent.UseIncomplete
	if handedOver && d.left == 0 && d.Length == d.Size { // a Range that leaves nothing out is all of it, too
		outcome = consent.UseComplete
	}
	return errors.Join(d.body.Close(), d.finish(outcome))
}

// end reports whether there was something to end.
func (d *Delivery) end() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.finished || d.finish == nil {
		return false
	}
	d.finished = true
	return true
}

// stop makes the next Read fail and tells the transport; it does so under the
// lock, because once Close has returned the connection is another request's.
func (d *Delivery) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.finished || d.stopped {
		return
	}
	d.stopped = true
	if d.cut != nil {
		d.cut()
	}
}

// watch re-checks running deliveries: one query a second per process and
// practice for all of them, and at once when this process records a revocation.
type watch struct {
	service *Service
	again   chan struct{}

	mu      sync.Mutex  // a Delivery's own lock is never taken under it
	running []*Delivery // the oldest first
}

// add begins to watch a delivery whose use was committed after asked: what the
// commit found may be no younger than that.
func (w *watch) add(ctx context.Context, d *Delivery, s *Service, rel *Release, req ContentRequest, permit *consent.Permit, body plaintext, asked time.Time) {
	d.body, d.left, d.confirmed = body, d.Length, asked
	d.hash, d.stands = req.Token.Hash(), basisOf(&rel.Redemption)
	practice := rel.Token.Practice
	d.finish = func(o consent.UseOutcome) error {
		w.mu.Lock()
		w.running = slices.DeleteFunc(w.running, func(r *Delivery) bool { return r == d })
		w.mu.Unlock()
		err := s.finish(practice, permit.Use, o, permit.Outcome(o))
		if err != nil { // it counts as released all the same
			s.Logger.Error("how a delivery ended could not be recorded", "token", permit.Use.Token, "use", permit.Use.N, "error", err)
		}
		return err
	}
	w.mu.Lock()
	w.running = append(w.running, d)
	w.mu.Unlock()
	if time.Since(asked) > confirmFor/2 { // a slow commit; without this it would be cut before its first byte
		w.check(ctx)
	}
}

// finish records the outcome of a delivery; the deliverer may be gone.
func (s *Service) finish(p id.Practice, u consent.Use, o consent.UseOutcome, e *audit.Entry) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.Catalogs.ForPractice(p).FinishUse(ctx, u, o, e)
}

// recheck asks for a re-check now.
func (w *watch) recheck() {
	select {
	case w.again <- struct{}{}:
	default:
	}
}

// run re-checks until ctx ends, then cuts what still runs.
func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.again:
		}
		tick.Reset(time.Second) // one check answers both
		select {
		case <-w.again:
		default:
		}
		w.check(ctx)
	}
}

// check confirms every running delivery or cuts it. One whose state cannot be
// read is left unconfirmed and so ends by itself after confirmFor.
func (w *watch) check(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	w.mu.Lock()
	all := slices.Clone(w.running)
	w.mu.Unlock()
	of := map[id.Practice][]*Delivery{}
	for _, d := range all {
		b, _ := d.standing()
		of[b.practice] = append(of[b.practice], d)
	}
	for _, p := range slices.Sorted(maps.Keys(of)) {
		w.checkPractice(ctx, p, of[p])
	}
}

func (w *watch) checkPractice(ctx context.Context, p id.Practice, all []*Delivery) {
	var of Standing
	for _, d := range all {
		b, _ := d.standing()
		of.Patients, of.Accounts = append(of.Patients, b.patient), append(of.Accounts, b.account)
		if b.campaign != "" {
			of.Campaigns = append(of.Campaigns, b.campaign)
		}
	}
	of.Patients, of.Accounts, of.Campaigns = distinct(of.Patients), distinct(of.Accounts), distinct(of.Campaigns)
	asked := time.Now()
	versions, err := w.service.Catalogs.ForPractice(p).Versions(ctx, of)
	for _, d := range all {
		on, confirmed := d.standing()
		switch {
		case err == nil && on.unmoved(versions):
			d.confirm(asked, on)
		case err == nil && w.decideAgain(ctx, d, asked):
		case err == nil || time.Since(confirmed) > confirmFor:
			d.stop()
		}
	}
}

func distinct[T ~string](list []T) []T {
	slices.Sort(list)
	return slices.Compact(list)
}

// decideAgain decides again for a delivery under which something has moved.
func (w *watch) decideAgain(ctx context.Context, d *Delivery, asked time.Time) bool {
	rel, err := w.service.Catalogs.Release(ctx, d.hash)
	if err != nil {
		return false
	}
	rel.Policies = w.service.Policies
	if rel.Key == nil || !consent.StillAllowed(&rel.Redemption) {
		return false
	}
	d.confirm(asked, basisOf(&rel.Redemption))
	return true
}

func (d *Delivery) confirm(at time.Time, on basis) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.confirmed, d.stands = at, on
}

// standing returns what the delivery was last found allowed on, and when.
func (d *Delivery) standing() (basis, time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stands, d.confirmed
}
