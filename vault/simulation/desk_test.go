package simulation_test

import (
	"context"
	"fmt"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

// desk records authorizations and their revocations.
func desk(a *actor) {
	for a.pause(500*time.Millisecond, 4*time.Second) && !a.w.isClosing() {
		p := a.w.patients[a.rng.IntN(len(a.w.patients))]
		switch live := alive(p); {
		case p.recording != nil:
			a.lookAt(p)
		case len(live) == 0 || a.chance(0.2):
			a.authorize(p)
		default:
			a.revoke(p, live[a.rng.IntN(len(live))])
		}
	}
}

func alive(p *patient) (out []*permission) {
	for _, x := range p.authorizations {
		if !x.absent && x.ended.step == 0 {
			out = append(out, x)
		}
	}
	return out
}

// authorize records an authorization. While its outcome is unknown the patient's
// record has to be looked at.
func (a *actor) authorize(p *patient) {
	now := time.Now().UTC()
	p.recording = &permission{name: fmt.Sprintf("%s.authorization%d", p.name, len(p.authorizations)+1)}
	var got *consent.Authorization
	err := a.ask("authorize "+p.name, func(ctx context.Context, r *replica) (err error) {
		got, err = r.RecordAuthorization(ctx, a.w.people["desk"], consent.Authorization{Patient: p.id, Description: "before and after",
			Scope: consent.Scope{AllPhotos: true}, Discloser: "the practice", Recipients: []string{"studio"}, Purposes: []string{"advertising"},
			Channels: []string{"website"}, ExpiresAt: now.Add(365 * 24 * time.Hour), Signer: consent.Signer{Name: "x"}, SignedAt: now.Add(-time.Minute),
			CopyGivenAt: now.Add(-time.Minute), Statements: consent.Statements{RightToRevoke: true, Conditioning: true, Redisclosure: true}}, false)
		return err
	})
	if err != nil {
		return
	}
	a.know(p, got.ID)
}

func (a *actor) know(p *patient, found id.Authorization) {
	p.recording.id = string(found)
	a.w.callIt(string(found), p.recording.name)
	p.authorizations = append(p.authorizations, p.recording)
	p.recording = nil
}

// lookAt finds out whether what was being recorded is there.
func (a *actor) lookAt(p *patient) {
	var record *consent.Record
	err := a.ask("look at "+p.name, func(ctx context.Context, r *replica) (err error) {
		record, err = r.Record(ctx, a.w.people["desk"], p.id)
		return err
	})
	if err != nil {
		return
	}
	for _, found := range record.Authorizations {
		known := false
		for _, x := range p.authorizations {
			known = known || x.id == string(found.ID)
		}
		if !known {
			a.know(p, found.ID)
			return
		}
	}
	p.recording = nil // it is not there, and nothing of it is on its way
}

func (a *actor) revoke(p *patient, x *permission) {
	x.endTried = true
	err := a.ask("revoke "+x.name, func(ctx context.Context, r *replica) error {
		_, err := r.Enter(ctx, a.w.people["desk"], vault.Happening{Kind: consent.Revoked, Subject: x.id})
		return err
	})
	if err == nil || vault.Code(err) == "already_revoked" {
		x.ended = a.w.endsNow()
	}
}

// officer deletes photos.
func officer(a *actor) {
	for a.pause(5*time.Second, 30*time.Second) && !a.w.isClosing() {
		a.w.mu.Lock()
		var there []*photo
		for _, p := range a.w.photos {
			if p.id != "" && p.deleted.step == 0 {
				there = append(there, p)
			}
		}
		a.w.mu.Unlock()
		if len(there) == 0 {
			continue
		}
		p := there[a.rng.IntN(len(there))]
		p.deleteTried = true
		err := a.ask("delete "+p.name, func(ctx context.Context, r *replica) error {
			_, err := r.Delete(ctx, a.w.people["privacy"], p.id)
			return err
		})
		if err == nil {
			p.deleted = a.w.endsNow()
		}
	}
}

// administrator ends the agency's account, and at last the campaign.
func administrator(a *actor) {
	agency := a.w.accounts["agency"]
	if !a.pause(20*time.Second, 3*time.Minute) {
		return
	}
	for !a.w.isClosing() && agency.ended.step == 0 {
		agency.endTried = true
		err := a.ask("revoke the agency's account", func(ctx context.Context, r *replica) error {
			return r.RevokeAccount(ctx, a.w.people["admin"], a.w.people["agency"].Account)
		})
		if err == nil {
			agency.ended = a.w.endsNow()
		}
		if !a.pause(time.Second, 2*time.Second) {
			return
		}
	}
	if !a.pause(time.Minute, 4*time.Minute) {
		return
	}
	for !a.w.isClosing() && a.w.campaign.ended.step == 0 {
		err := a.ask("close the campaign", func(ctx context.Context, r *replica) error {
			_, err := r.CloseCampaign(ctx, a.w.people["marketing"], a.w.campaignID)
			return err
		})
		if err == nil {
			a.w.campaign.ended = a.w.endsNow()
		}
		if !a.pause(time.Second, 2*time.Second) {
			return
		}
	}
}

// owner of the bucket: puts other bytes in the place of stored ones, for a while.
func owner(a *actor) {
	for a.pause(2*time.Second, 15*time.Second) && !a.w.isClosing() {
		f := []fault{flipped, cut, swapped, older, missing}[a.rng.IntN(5)]
		if of := a.w.enemy.bewitch(a.rng.Uint64(), bewitched{f, a.rng.Uint64()}); of != "" {
			a.w.note(a.name, "an object of %s: %v", of, f)
		}
		if !a.pause(time.Second, 20*time.Second) {
			return
		}
		a.w.enemy.lift()
	}
}

// operator restarts replicas, one after the other.
func operator(a *actor) {
	for a.pause(10*time.Second, 40*time.Second) && !a.w.isClosing() {
		if r := a.replica(); r != nil {
			a.w.note(a.name, "restarts %s", r.name)
			r.drain(a.ctx, time.Duration(a.rng.IntN(3000))*time.Millisecond)
		}
	}
}
