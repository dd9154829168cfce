package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"photovault/vault/audit"
	"photovault/vault/id"
)

// Audience is who is told.
type Audience string

// Audiences.
const (
	ForMarketing Audience = "marketing" // the system that publishes
	ForAlerts    Audience = "alerts"    // whoever is woken up
)

// NoticeKind is what happened.
type NoticeKind string

// Kinds of notice.
const (
	TakedownOpened    NoticeKind = "takedown.opened"
	TakedownOverdue   NoticeKind = "takedown.overdue"
	TakedownConfirmed NoticeKind = "takedown.confirmed"
	EmergencyOpened   NoticeKind = "emergency.opened"
	ReviewOwed        NoticeKind = "review.owed"
	VolumeUnusual     NoticeKind = "volume.unusual" // an account is near a cap, or has reached it
)

// Notice is one message to one receiver. It holds ids and codes and the
// recipient as the authorization names it, never a patient's name or record
// number. It is written in the transaction of what it tells of.
type Notice struct {
	ID        id.Notice   `json:"id"`
	Practice  id.Practice `json:"practice"`
	For       Audience    `json:"for"`
	Kind      NoticeKind  `json:"kind"`
	At        time.Time   `json:"at"`
	Reason    string      `json:"reason,omitempty"` // stable code
	Takedown  id.Takedown `json:"takedown,omitempty"`
	Event     id.Event    `json:"event,omitempty"`
	Patient   id.Patient  `json:"patient,omitempty"` // alerts only
	Account   id.Account  `json:"account,omitempty"` // alerts only
	Photo     id.Photo    `json:"photo,omitempty"`
	Rendition string      `json:"rendition,omitempty"`
	Recipient string      `json:"recipient,omitempty"`
	Channel   string      `json:"channel,omitempty"`
	Campaign  id.Campaign `json:"campaign,omitempty"`
	DueAt     time.Time   `json:"due_at,omitzero"`
}

// Basis names the notice in the audit entry of what it tells of.
func (n *Notice) Basis() string { return noticeBasis + string(n.ID) }

const noticeBasis = "notice/"

// Outgoing is a notice under lease.
type Outgoing struct {
	Notice
	Attempts int       // this one included
	Lease    time.Time // held until; the fence of its end
}

// Receiver takes messages: nil means that it has it. The same id may come
// again, after a crash in between.
type Receiver interface {
	Post(ctx context.Context, id string, at time.Time, body []byte) error
}

// Body is what is posted, the same at each attempt.
func (n *Notice) Body() ([]byte, error) {
	return json.Marshal(struct {
		Type      NoticeKind `json:"type"`
		Timestamp time.Time  `json:"timestamp"`
		Data      noticeData `json:"data"`
	}{n.Kind, n.At, noticeData{n.Practice, n.Reason, n.Takedown, n.Event, n.Patient, n.Account, n.Photo, n.Rendition, n.Recipient, n.Channel, n.Campaign, n.DueAt}})
}

// noticeData are the fields of a message in their outward form.
type noticeData struct {
	Practice  id.Practice `json:"practice"`
	Reason    string      `json:"reason,omitempty"`
	Takedown  id.Takedown `json:"takedown,omitempty"`
	Event     id.Event    `json:"event,omitempty"`
	Patient   id.Patient  `json:"patient,omitempty"`
	Account   id.Account  `json:"account,omitempty"`
	Photo     id.Photo    `json:"photo,omitempty"`
	Rendition string      `json:"rendition,omitempty"`
	Recipient string      `json:"recipient,omitempty"`
	Channel   string      `json:"channel,omitempty"`
	Campaign  id.Campaign `json:"campaign,omitempty"`
	DueAt     time.Time   `json:"due_at,omitzero"`
}

// How messages are tried again: after 5 s, doubling up to an hour, for a week.
const (
	noticeLease = 2 * time.Minute // longer than one attempt takes
	firstRetry  = 5 * time.Second
	longRetry   = time.Hour
	giveUpAfter = 7 * 24 * time.Hour
)

// tell posts what is due to one audience until ctx ends. One replica has each
// message at a time.
func (s *Service) tell(ctx context.Context, to Audience, receiver Receiver) {
	idle := time.NewTicker(2 * time.Second)
	defer idle.Stop()
	for ctx.Err() == nil {
		worked, err := s.tellNext(ctx, to, receiver)
		if err != nil && ctx.Err() == nil {
			s.Logger.Error("notices", "for", to, "error", err)
		}
		if worked && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-idle.C:
		case <-s.told[to]:
		}
	}
}

// tellNext posts the next due message, and reports whether there was one.
func (s *Service) tellNext(ctx context.Context, to Audience, receiver Receiver) (bool, error) {
	o, err := s.Catalogs.ClaimNotice(ctx, to, s.now(), noticeLease)
	if o == nil || err != nil {
		return false, err
	}
	catalog := s.Catalogs.ForPractice(o.Practice)
	body, err := o.Body()
	if err != nil {
		return true, err
	}
	e := &audit.Entry{Action: audit.NoticeDeliver, Outcome: audit.Allowed, Reason: string(o.Kind), Patient: o.Patient, Photo: o.Photo, Recipient: o.Recipient,
		Channel: o.Channel, Subject: string(o.ID), Purpose: string(to), Count: o.Attempts}
	if o.Takedown != "" {
		e.Records = []string{"takedown/" + string(o.Takedown)}
	}
	failed := receiver.Post(ctx, string(o.ID), s.now(), body)
	switch {
	case failed == nil:
	case s.now().Sub(o.At) > giveUpAfter:
		e.Outcome = audit.Failed
		s.Logger.Error("a notice was given up; tell its receiver by hand", "notice", o.ID, "kind", o.Kind, "for", to, "attempts", o.Attempts, "error", failed)
	default:
		next := s.now().Add(retryAfter(o.Attempts))
		s.Logger.Warn("a notice was not taken and will be sent again", "notice", o.ID, "kind", o.Kind, "for", to, "attempts", o.Attempts, "next", next, "error", failed)
		return true, lost(catalog.RetryNotice(context.WithoutCancel(ctx), o, next))
	}
	return true, lost(catalog.EndNotice(context.WithoutCancel(ctx), o, e))
}

// lost: another replica has taken the message over; it will say how it ended.
func lost(err error) error {
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: how a notice fared", err)
	}
	return nil
}

// retryAfter is the pause after so many attempts, apart from others' by up to
// a fifth.
func retryAfter(attempts int) time.Duration {
	d := longRetry
	if n := attempts - 1; n < 10 {
		d = min(longRetry, firstRetry<<n)
	}
	return d - rand.N(d/5)
}

// wakeTellers is called after what writes notices.
func (s *Service) wakeTellers() {
	for _, c := range s.told {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
