package simulation_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/envelope"
	"photovault/vault/id"
)

// tablet takes photos and uploads them, one after the other, until it has been
// told that each is ready.
func tablet(a *actor) {
	device := id.New[id.Device]()
	for n := 1; a.pause(0, 2*time.Second) && !a.w.isClosing(); n++ {
		p := a.take(fmt.Sprintf("%s.photo%d", a.name, n), device)
		if !a.declare(p) {
			return
		}
		for !a.send(p) {
			if p.deleteTried || !a.pause(100*time.Millisecond, time.Second) {
				break
			}
		}
		a.await(p)
	}
}

// take makes a photo's bytes and seals them.
func (a *actor) take(name string, device id.Device) *photo {
	w := a.w
	size := 200 + a.rng.IntN(60_000)
	p := &photo{name: name, patient: w.patients[a.rng.IntN(len(w.patients))], device: device, capture: id.New[id.Capture](), content: make([]byte, size)}
	for i := range p.content {
		p.content[i] = byte(a.rng.Uint32())
	}
	p.content[0] = smallPhoto
	switch a.rng.IntN(12) {
	case 0, 1, 2, 3:
		p.content[0] = largePhoto
	case 4:
		p.content[0] = refusedPhoto
	}
	var sealed bytes.Buffer
	out, err := envelope.Seal(&sealed, w.sealing, w.practice, p.capture)
	if err == nil {
		_, err = out.Write(p.content)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		w.finding("P7", "sealing: %v", err)
	}
	p.sealed, p.want = sealed.Bytes(), renditionsOf(p.content)
	w.mu.Lock()
	w.photos = append(w.photos, p)
	w.mu.Unlock()
	return p
}

// declare asks until it is told the photo's id, and then, now and then, once more.
func (a *actor) declare(p *photo) bool {
	provider := a.w.people["provider"]
	for {
		var got *vault.Photo
		err := a.ask("declare "+p.name, func(ctx context.Context, r *replica) (err error) {
			got, _, err = r.Declare(ctx, provider, vault.Declaration{Patient: p.patient.id, Device: p.device, Capture: p.capture, Kind: "before"})
			return err
		})
		if err == nil {
			if p.id != "" && got.ID != p.id {
				a.w.finding("P7", "%s was declared twice and has two ids", p.name)
			}
			p.id = got.ID
			p.grant = consent.Principal{Practice: a.w.practice, Account: provider.Account, Role: consent.Tablet, Grant: p.id}
			a.w.callIt(string(p.id), p.name)
			if !a.chance(0.1) {
				return true
			}
		}
		if p.deleteTried {
			return true // there is nothing more to do for it
		}
		if !a.pause(100*time.Millisecond, 2*time.Second) {
			return false
		}
	}
}

// send uploads the photo; false: it has to be begun anew.
func (a *actor) send(p *photo) bool {
	if a.chance(0.25) {
		return a.sendParts(p)
	}
	u, done := a.create(p, len(p.sealed), false)
	if u == nil {
		return done
	}
	return a.sendAll(p, u, p.sealed)
}

// sendParts uploads the photo in parts, and has them put together.
func (a *actor) sendParts(p *photo) bool {
	cutAt := 1 + a.rng.IntN(len(p.sealed)-1)
	var parts []id.Upload
	for _, bytes := range [][]byte{p.sealed[:cutAt], p.sealed[cutAt:]} {
		u, done := a.create(p, len(bytes), true)
		if u == nil {
			return done
		}
		if !a.sendAll(p, u, bytes) {
			return false
		}
		parts = append(parts, u.id)
	}
	for {
		p.maybeReceived = true
		for _, u := range p.uploads {
			u.mayEnd = true // the whole takes their place
		}
		var whole *vault.Upload
		err := a.ask("put "+p.name+" together", func(ctx context.Context, r *replica) (err error) {
			whole, err = r.Concatenate(ctx, p.grant, p.id, parts, vault.Asked{})
			return err
		})
		switch {
		case err == nil:
			u := &upload{id: whole.ID, name: p.name + ".whole", length: whole.Length, lastByte: time.Now()}
			a.w.callIt(string(u.id), u.name)
			p.uploads = append(p.uploads, u)
			a.w.acknowledged(p, u, whole.Length)
			return true
		case errors.Is(err, vault.ErrConflict):
			return p.maybeReceived && vault.Code(err) == "already_received"
		case errors.Is(err, vault.ErrNotFound), errors.Is(err, vault.ErrGone):
			return false // deleted, or expired
		}
		if !a.pause(100*time.Millisecond, 2*time.Second) {
			return false
		}
	}
}

// create begins an upload. Without one, done says whether the photo is there already.
func (a *actor) create(p *photo, length int, partial bool) (u *upload, done bool) {
	for {
		for _, old := range p.uploads { // which may end by the attempt alone
			old.mayEnd = old.mayEnd || !(partial && old.partial)
		}
		var got *vault.Upload
		err := a.ask("create upload of "+p.name, func(ctx context.Context, r *replica) (err error) {
			got, err = r.CreateUpload(ctx, p.grant, p.id, int64(length), partial, vault.Asked{})
			return err
		})
		switch {
		case err == nil:
			u := &upload{id: got.ID, name: fmt.Sprintf("%s.upload%d", p.name, len(p.uploads)+1), length: got.Length, partial: partial, lastByte: time.Now()}
			a.w.callIt(string(u.id), u.name)
			p.uploads = append(p.uploads, u)
			return u, false
		case vault.Code(err) == "already_received":
			if !p.maybeReceived {
				a.w.finding("P7", "%s is said to have arrived, and not all of it was sent", p.name)
			}
			p.received = true
			return nil, true
		case errors.Is(err, vault.ErrNotFound):
			if !p.deleteTried {
				a.w.finding("P7", "%s was declared and is not there", p.name)
			}
			return nil, false
		}
		if !a.pause(100*time.Millisecond, 2*time.Second) {
			return nil, false
		}
	}
}

// sendAll sends pieces until all bytes are acknowledged; false: the upload is over.
func (a *actor) sendAll(p *photo, u *upload, all []byte) bool {
	for u.acked < u.length {
		if !a.pause(0, 500*time.Millisecond) {
			return false
		}
		switch {
		case a.chance(0.01): // asleep for longer than an upload lives
			u.mayEnd = true
			if !a.pause(uploadLife, uploadLife+2*time.Minute) {
				return false
			}
		case a.chance(0.02):
			u.mayEnd = true
			if err := a.ask("cancel "+u.name, func(ctx context.Context, r *replica) error { return r.CancelUpload(ctx, p.grant, u.id) }); err == nil {
				return false
			}
		}
		offset := u.acked
		piece := all[offset:]
		if a.chance(0.8) {
			piece = piece[:1+a.rng.IntN(min(len(piece), 20_000))]
		}
		if offset+int64(len(piece)) == u.length && !u.partial {
			p.maybeReceived = true
		}
		var twice sync.WaitGroup
		if a.chance(0.1) { // the same bytes again, on another connection
			other := a.w.actor(a.name+"+", a.rng.Uint64())
			twice.Go(func() {
				if other.pause(0, 400*time.Millisecond) {
					_, _ = other.patch(p, u, offset, piece)
				}
			})
		}
		up, err := a.patch(p, u, offset, piece)
		twice.Wait()
		switch {
		case err == nil, errors.Is(err, vault.ErrShortBody) && up != nil:
			if a.w.expired(u) {
				u.mayEnd = true
			}
			a.w.acknowledged(p, u, max(u.acked, up.Offset))
			continue
		case !a.head(p, u):
			return false
		}
	}
	return true
}

// patch sends one piece.
func (a *actor) patch(p *photo, u *upload, offset int64, piece []byte) (up *vault.Upload, err error) {
	body := &body{a: a, left: piece, breakAt: -1}
	if a.chance(0.15) {
		body.breakAt = a.rng.IntN(len(piece))
	}
	with := vault.Append{Offset: offset, Body: body, Length: int64(len(piece))}
	if a.chance(0.3) {
		sum := sha256.Sum256(piece)
		if a.chance(0.1) {
			sum[0] ^= 1 // garbled on its way: none of it may count
		}
		if with.Checksum, err = vault.NewChecksum("sha256", sum[:]); err != nil {
			return nil, err
		}
	}
	err = a.ask(fmt.Sprintf("patch %s at %d with %d", u.name, offset, len(piece)), func(ctx context.Context, r *replica) (err error) {
		up, err = r.AppendUpload(ctx, p.grant, u.id, with)
		return err
	})
	if err != nil && errors.Is(err, errGone) {
		up = nil
	}
	return up, err
}

// head asks how far the upload has come; false: it is over.
func (a *actor) head(p *photo, u *upload) bool {
	for {
		if !a.pause(50*time.Millisecond, time.Second) {
			return false
		}
		var up *vault.Upload
		err := a.ask("head "+u.name, func(ctx context.Context, r *replica) (err error) {
			up, err = r.UploadStatus(ctx, p.grant, u.id)
			return err
		})
		switch {
		case err == nil:
			last := u.lastByte
			a.w.acknowledged(p, u, up.Offset)
			u.lastByte = last // asking prolongs nothing
			return true
		case errors.Is(err, vault.ErrNotFound), errors.Is(err, vault.ErrGone):
			if !u.mayEnd && !p.deleteTried && !a.w.expired(u) {
				a.w.finding("P7", "%s was acknowledged up to %d and is gone", u.name, u.acked)
			}
			u.mayEnd = true
			return false
		}
	}
}

// await asks until the photo is ready or refused.
func (a *actor) await(p *photo) {
	for p.received && !p.deleteTried {
		if !a.pause(500*time.Millisecond, 3*time.Second) {
			return
		}
		var got *vault.Photo
		err := a.ask("show "+p.name, func(ctx context.Context, r *replica) (err error) {
			got, err = r.Photo(ctx, a.w.people["provider"], p.id)
			return err
		})
		switch {
		case errors.Is(err, vault.ErrNotFound) && !p.deleteTried:
			a.w.finding("P7", "%s was received and is not there", p.name)
			return
		case err != nil:
		case got.State == vault.Ready:
			p.ready = true
			return
		case got.State == vault.Rejected:
			return // the observer says whether rightly
		}
	}
}

// body is what a tablet sends: piece by piece, and it may break off.
type body struct {
	a       *actor
	left    []byte
	breakAt int // bytes to go; below 0: not at all
	stopped atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	if len(b.left) == 0 {
		return 0, io.EOF
	}
	if b.breakAt == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	// Each read waits: whether it was interrupted before is then no race.
	wait := time.Duration(0)
	if b.a.chance(0.3) {
		wait = time.Duration(b.a.rng.Int64N(int64(800 * time.Millisecond))).Truncate(quantum)
	}
	v := b.a.w.park(&call{actor: b.a.name, what: "sends", from: time.Now().Add(wait)})
	if v.fault == gone || b.stopped.Load() {
		return 0, errors.New("simulation: another connection took over")
	}
	n := min(len(p), len(b.left))
	if b.breakAt > 0 {
		n = min(n, b.breakAt)
		b.breakAt -= n
	}
	copy(p, b.left[:n])
	b.left = b.left[n:]
	return n, nil
}

func (b *body) Interrupt() {
	b.stopped.Store(true)
	b.a.w.hasten(func(c *call) bool { return c.actor == b.a.name && c.what == "sends" })
}
