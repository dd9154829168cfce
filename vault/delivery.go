package vault

import (
	"context"
	"errors"
	"io"
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

	mu        sync.Mutex
	body      plaintext
	left      int64
	confirmed time.Time // when consent was last found to stand
	finished  bool      // Close was called
	stopped   bool      // cut: nothing more leaves
	finish    func(consent.UseOutcome) error
	cut       func()

	hash    consent.BearerHash
	patient id.Patient
	epoch   int64
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

// Read delivers the next bytes, all of them authenticated.
func (d *Delivery) Read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.finished, d.stopped:
		return 0, ErrCut
	case d.left == 0:
		return 0, io.EOF
	case time.Since(d.confirmed) > confirmFor:
		return 0, ErrCut
	}
	n, err := d.body.Read(p[:min(int64(len(p)), d.left)])
	d.left -= int64(n)
	if err == io.EOF && d.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Close ends the delivery and records its outcome: complete only when every
// byte of a whole rendition was read and handedOver says that the transport
// took them. It is safe to call twice.
func (d *Delivery) Close(handedOver bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.finished || d.finish == nil {
		return nil
	}
	d.finished = true
	outcome := consent.UseIncomplete
	if handedOver && d.left == 0 && d.Length == d.Size { // a Range that leaves nothing out is all of it, too
		outcome = consent.UseComplete
	}
	return errors.Join(d.body.Close(), d.finish(outcome))
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

// watch re-checks running deliveries: one query a second per process for all
// of them, and at once when this process records a revocation.
type watch struct {
	service *Service
	mu      sync.Mutex
	running map[*Delivery]struct{}
	again   chan struct{}
}

func (w *watch) add(d *Delivery, s *Service, rel *Release, req ContentRequest, permit *consent.Permit, body plaintext) {
	d.body, d.left, d.confirmed = body, d.Length, time.Now()
	d.hash, d.patient, d.epoch = req.Token.Hash(), rel.Token.Patient, rel.Record.Epoch
	practice := rel.Token.Practice
	d.finish = func(o consent.UseOutcome) error {
		w.mu.Lock()
		delete(w.running, d)
		w.mu.Unlock()
		return s.finish(practice, permit.Use, o, permit.Outcome(o))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == nil {
		w.running = map[*Delivery]struct{}{}
	}
	w.running[d] = struct{}{}
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
		w.check(ctx)
	}
}

// check confirms every running delivery or cuts it. One whose state cannot be
// read is left unconfirmed and so ends by itself after confirmFor.
func (w *watch) check(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	w.mu.Lock()
	var all []*Delivery
	patients := map[id.Patient]bool{}
	for d := range w.running {
		all = append(all, d)
		patients[d.patient] = true
	}
	w.mu.Unlock()
	if len(all) == 0 {
		return
	}
	list := make([]id.Patient, 0, len(patients))
	for p := range patients {
		list = append(list, p)
	}
	asked := time.Now()
	epochs, err := w.service.Catalogs.ForPractice(w.service.Practice).Epochs(ctx, list)
	for _, d := range all {
		switch {
		case err == nil && epochs[d.patient] == d.epoch:
			d.confirm(asked, d.epoch)
		case err == nil && w.stands(ctx, d):
			d.confirm(asked, epochs[d.patient])
		case err == nil || time.Since(d.lastConfirmed()) > confirmFor:
			d.stop()
		}
	}
}

// stands decides again for a delivery whose patient's record has moved.
func (w *watch) stands(ctx context.Context, d *Delivery) bool {
	rel, err := w.service.Catalogs.Release(ctx, d.hash)
	if err != nil {
		return false
	}
	rel.Policies = w.service.Policies
	return consent.StillAllowed(&rel.Redemption)
}

func (d *Delivery) confirm(at time.Time, epoch int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.confirmed, d.epoch = at, epoch
}

func (d *Delivery) lastConfirmed() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.confirmed
}
