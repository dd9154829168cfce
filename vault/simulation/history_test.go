package simulation_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
	"photovault/vault/seal"
)

// ending is an end that was acknowledged.
type ending struct {
	step int // 0: not yet
	at   time.Time
}

func (w *world) endsNow() ending { return ending{w.step(), time.Now()} }

func (e ending) before(step int) bool { return e.step != 0 && e.step < step }

// limit is how long what runs may run on after an end (P3).
const limit = 2 * time.Second

// permission is a thing that must be in force for a release.
type permission struct {
	id, name string
	absent   bool // recording it had no known outcome, and it is not there
	endTried bool // its end may have happened
	ended    ending
}

type patient struct {
	id             id.Patient
	name           string
	authorizations []*permission
	recording      *permission // recording it has no known outcome yet
}

type photo struct {
	id      id.Photo
	name    string
	patient *patient
	capture id.Capture
	device  id.Device
	grant   consent.Principal
	content []byte
	sealed  []byte
	want    []rendition // what is made of the content
	uploads []*upload

	maybeReceived, received bool // the last byte may have been, was acknowledged
	ready                   bool // somebody was told so
	deleteTried             bool
	deleted                 ending
	examined                bool // found ready, and whole
}

// upload is what a tablet knows of one.
type upload struct {
	id       id.Upload
	name     string
	length   int64
	acked    int64 // the largest offset that was acknowledged
	mayEnd   bool  // the tablet ended it, or tried to, or let it expire
	lastByte time.Time
	partial  bool
}

type token struct {
	id        id.Token
	name      string
	bearer    consent.Bearer
	photo     *photo
	rendition string
	purpose   consent.Purpose
	holder    *permission // the account
	uses      int
	form      consent.Form
	expires   time.Time

	asked     int // how often somebody tried it
	delivered int // deliveries with at least one byte
	complete  int // deliveries with every byte
}

// against says what forbids a delivery under the token that began at a step.
func (w *world) against(t *token, begin int) string {
	ended := func(e ending, what string) string {
		switch {
		case e.before(begin):
			return what + " was acknowledged before it began"
		case e.step != 0 && time.Since(e.at) > limit:
			return what + " was acknowledged more than two seconds ago"
		}
		return ""
	}
	for what, e := range map[string]ending{"the photo's deletion": t.photo.deleted, "the end of the account": t.holder.ended} {
		if why := ended(e, what); why != "" {
			return why
		}
	}
	if t.purpose != consent.ForMarketing {
		return ""
	}
	if why := ended(w.campaign.ended, "the campaign's end"); why != "" {
		return why
	}
	why := "there is no authorization"
	for _, a := range append([]*permission{t.photo.patient.recording}, t.photo.patient.authorizations...) {
		if a == nil || a.absent {
			continue
		}
		if why = ended(a.ended, "the revocation"); why == "" {
			return ""
		}
	}
	return why
}

// committed is told of each use that became durable, in the step in which it did.
func (w *world) committed(u consent.Use) {
	w.mu.Lock()
	t := w.byToken[u.Token]
	w.mu.Unlock()
	if t == nil {
		return
	}
	if why := w.against(t, w.step()); why != "" {
		w.finding("P3", "a use of %s was committed although %s", t.name, why)
	}
}

// got is told of bytes that a delivery which began at a step has brought.
func (w *world) got(ctx context.Context, t *token, begin int, at int64, b []byte, first bool) {
	if why := w.against(t, begin); why != "" {
		w.finding("P3", "%d bytes of %s although %s", len(b), t.name, why)
	}
	want := t.photo.bytes(t.rendition)
	if at+int64(len(b)) > int64(len(want)) || !bytes.Equal(b, want[at:at+int64(len(b))]) {
		w.finding("P5", "bytes of %s at %d are not those of the photo", t.name, at)
	}
	if !first {
		return
	}
	t.delivered++
	intents := 0
	err := w.observer.ForPractice(w.practice).PatientAudit(ctx, t.photo.patient.id, func(r audit.Record) error {
		e, err := audit.Decode(r.Encoded)
		if err == nil && e.Action == audit.Release && e.Outcome == audit.Intent && e.Subject == string(t.id) {
			intents++
		}
		return err
	})
	if err != nil {
		w.finding("P4", "the log cannot be read: %v", err)
	}
	if intents < t.delivered {
		w.finding("P4", "delivery %d of %s, and %d intents in the log", t.delivered, t.name, intents)
	}
}

// whole is told of a delivery that brought all of the rendition.
func (w *world) whole(t *token) {
	if t.complete++; t.complete > t.uses {
		w.finding("P4", "%s, good for %d, was delivered whole %d times", t.name, t.uses, t.complete)
	}
}

func (p *photo) bytes(rendition string) []byte {
	for _, r := range p.want {
		if r.name == rendition {
			return r.bytes
		}
	}
	return nil
}

// acknowledged is told of an offset that a tablet was told.
func (w *world) acknowledged(p *photo, u *upload, offset int64) {
	if offset < u.acked {
		w.finding("P7", "the offset of %s went back from %d to %d", u.name, u.acked, offset)
	}
	u.acked, u.lastByte = offset, time.Now()
	if offset == u.length && !u.partial {
		p.received = true
	}
}

// observe looks into the stores after a step that may have changed them.
func (w *world) observe(ctx context.Context) {
	db := w.observer.ForPractice(w.practice)
	for _, p := range w.photos {
		for _, u := range p.uploads {
			if !u.mayEnd && !p.deleteTried && !p.examined && !w.expired(u) {
				w.observeUpload(ctx, db, p, u)
			}
		}
		if p.id == "" {
			continue
		}
		row, err := db.Photo(ctx, p.id)
		if err != nil {
			w.finding("P7", "the row of %s: %v", p.name, err)
			continue
		}
		switch {
		case row.State == vault.Removed && !p.deleteTried:
			w.finding("P7", "%s is deleted, and nobody deleted it", p.name)
		case row.State == vault.Rejected && p.content[0] != refusedPhoto:
			w.finding("P7", "%s was rejected: %s", p.name, row.RejectedCode)
		case row.State != vault.Ready && row.State != vault.Removed && p.ready:
			w.finding("P7", "%s was ready and is %s", p.name, row.State)
		case (row.State == vault.Declared || row.State == vault.Receiving) && p.received && p.content[0] != refusedPhoto:
			w.finding("P7", "%s was received and is %s", p.name, row.State)
		case row.State == vault.Ready:
			w.observeReady(ctx, p, row)
		}
	}
}

// expired: it may have been, for the answer that prolonged it took its time.
func (w *world) expired(u *upload) bool { return time.Since(u.lastByte) >= uploadLife-80*time.Second }

func (w *world) observeUpload(ctx context.Context, db vault.Catalog, p *photo, u *upload) {
	row, segments, err := db.Upload(ctx, u.id)
	switch {
	case errors.Is(err, vault.ErrNotFound) && u.acked == u.length:
		return // finished ones are forgotten in the end
	case err != nil:
		w.finding("P7", "%s, at %d of %d, is gone: %v", u.name, u.acked, u.length, err)
		return
	case row.Offset < u.acked:
		w.finding("P7", "%d bytes of %s were acknowledged and %d are there", u.acked, u.name, row.Offset)
	}
	for _, s := range segments {
		if !w.there(ctx, blobs.Staging, s.Object, s.Size) {
			w.finding("P7", "the segment of %s at %d is not in the store", u.name, s.Start)
		}
	}
}

// observeReady: a photo that is ready is whole.
func (w *world) observeReady(ctx context.Context, p *photo, row *vault.Photo) {
	if len(row.Renditions) != len(p.want) {
		w.finding("P7", "%s is ready with %d renditions", p.name, len(row.Renditions))
		return
	}
	for _, r := range row.Renditions {
		if !w.there(ctx, blobs.Photos, r.Object, seal.SealedSize(r.Size)) {
			w.finding("P7", "%s is ready, and its %s is not in the store", p.name, r.Name)
		}
	}
	if p.examined {
		return
	}
	p.examined = true
	for i, r := range row.Renditions {
		if sum := sha256.Sum256(p.want[i].bytes); r.Name != p.want[i].name || r.SHA256 != hex.EncodeToString(sum[:]) {
			w.finding("P7", "the %s of %s is of other bytes than were sent", r.Name, p.name)
		}
	}
	if sum := sha256.Sum256(p.content); row.Receipt.Findings.InputSHA256 != hex.EncodeToString(sum[:]) {
		w.finding("P7", "%s was made of other bytes than were sent", p.name)
	}
}

func (w *world) there(ctx context.Context, area blobs.Area, o id.Object, size int64) bool {
	body, got, err := w.store.Get(ctx, blobs.Name{Practice: w.practice, Area: area, Object: o}, 0, 0)
	if err != nil {
		return false
	}
	_ = body.Close()
	return got == size
}

func isShort(err error) bool { return errors.Is(err, vault.ErrShortBody) }
