package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"photovault/consent"
	"photovault/imaging"
	"photovault/vault"
)

// reader fetches photos: as a provider for care, as marketing for the campaign.
func reader(a *actor, account string, purpose consent.Purpose) {
	for a.pause(50*time.Millisecond, 800*time.Millisecond) && !a.w.isClosing() {
		t := a.token(account, purpose)
		if t == nil {
			continue
		}
		for range 1 + a.rng.IntN(3) {
			var twice sync.WaitGroup
			if a.chance(0.3) { // somebody else has the link, too
				other := a.w.actor(a.name+"+", a.rng.Uint64())
				twice.Go(func() {
					if other.pause(0, 200*time.Millisecond) {
						other.fetch(t)
					}
				})
			}
			a.fetch(t)
			twice.Wait()
			if !a.pause(0, 1500*time.Millisecond) {
				return
			}
		}
	}
}

// token returns one that was issued before, or a new one; nil: there is none to have.
func (a *actor) token(account string, purpose consent.Purpose) *token {
	w := a.w
	var photos []*photo
	var tokens []*token
	w.mu.Lock()
	for _, p := range w.photos {
		if p.ready && p.deleted.step == 0 {
			photos = append(photos, p)
		}
	}
	for _, t := range w.tokens {
		if t.purpose == purpose && time.Now().Before(t.expires) {
			tokens = append(tokens, t)
		}
	}
	w.mu.Unlock()
	if len(photos) == 0 {
		return nil
	}
	if len(tokens) > 0 && a.chance(0.4) {
		return tokens[a.rng.IntN(len(tokens))]
	}
	// The order of the list is that of what happened; names do not change with it.
	slices.SortFunc(photos, func(a, b *photo) int { return strings.Compare(a.name, b.name) })
	t := &token{photo: photos[a.rng.IntN(len(photos))], purpose: purpose, holder: w.accounts[account], form: consent.InHeader, uses: 1 + a.rng.IntN(2)*a.rng.IntN(3)}
	t.rendition = []string{imaging.Original, imaging.Original, imaging.Web, imaging.Thumb}[a.rng.IntN(4)]
	r := vault.TokenRequest{Photo: t.photo.id, Purpose: purpose}
	if purpose == consent.ForMarketing {
		t.rendition = []string{imaging.Web, imaging.Thumb}[a.rng.IntN(2)]
		r.Recipient, r.Channel, r.Campaign = "studio", "website", w.campaignID
	}
	if t.uses == 1 && a.chance(0.3) {
		t.form = consent.InPath
	}
	r.Form, r.Uses, r.Rendition = t.form, t.uses, t.rendition
	err := a.ask("issue a token for "+t.photo.name, func(ctx context.Context, service *replica) error {
		row, bearer, err := service.IssueToken(ctx, w.people[account], r)
		if err == nil {
			t.id, t.bearer, t.expires = row.ID, bearer, row.ExpiresAt
		}
		return err
	})
	if err != nil {
		return nil
	}
	w.mu.Lock()
	w.tokens = append(w.tokens, t)
	w.byToken[t.id] = t
	t.name = fmt.Sprintf("token%d", len(w.tokens))
	w.names[string(t.id)] = t.name
	w.names[t.bearer.Hash().String()] = t.name
	w.mu.Unlock()
	return t
}

// fetch redeems a token, whole or in part, and reads as slowly as networks are.
func (a *actor) fetch(t *token) {
	w := a.w
	req := vault.ContentRequest{Token: t.bearer, Form: t.form, Peek: a.chance(0.1), Source: "192.0.2.1"}
	if t.form == consent.InHeader && a.chance(0.2) {
		req.Range = &vault.Range{Start: int64(a.rng.IntN(300)), End: -1}
	}
	first := t.asked == 0
	t.asked++
	r := a.replica()
	if r == nil {
		return
	}
	begin, patience := w.step(), t.expires.Add(-30*time.Second)
	var d *vault.Delivery
	err := a.askAt(r, "fetch "+t.name, func(ctx context.Context, r *replica) (err error) {
		d, err = r.OpenContent(ctx, req)
		return err
	})
	if err != nil {
		if first && t.asked == 1 && errors.Is(err, vault.ErrNotFound) && t.purpose == consent.ForCare && !t.photo.deleteTried && !t.holder.endTried && time.Now().Before(patience) {
			w.finding("P7", "%s is fresh, its photo is there, and it was refused", t.name)
		}
		return
	}
	if req.Peek {
		return
	}
	a.receive(r, t, d, begin)
}

// receive reads a delivery to its end, or breaks it off.
func (a *actor) receive(r *replica, t *token, d *vault.Delivery, begin int) {
	w := a.w
	breakAt := int64(-1)
	if a.chance(0.25) {
		breakAt = a.rng.Int64N(d.Length)
	}
	slow := a.chance(0.4)
	buffer := make([]byte, 1+d.Length/int64(1+a.rng.IntN(4)))
	var n int64
	for !slow || a.pause(0, 1500*time.Millisecond) {
		got, err := d.Read(buffer)
		if r.dead.Load() {
			return // the connection is gone, and nobody closes the delivery
		}
		if got > 0 {
			w.got(a.ctx, t, begin, d.Start+n, buffer[:got], n == 0)
		}
		n += int64(got)
		if n == d.Length && d.Length == d.Size && breakAt < 0 {
			w.whole(t)
		}
		if err != nil || n == d.Length || breakAt >= 0 && n >= breakAt {
			if err != nil && err != io.EOF {
				w.note(a.name, "%s ended after %d bytes: %s", t.name, n, vault.Code(err))
			}
			break
		}
	}
	_ = d.Close(breakAt < 0 && n == d.Length) // an outcome that cannot be recorded counts as delivered
}
