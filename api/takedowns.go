package api

import (
	"time"

	"photovault/consent"
	"photovault/vault/id"
)

// The JSON of takedowns, and their handlers.

type NewConfirmation struct {
	TakenDownAt time.Time `json:"taken_down_at,omitzero"`
	Text        string    `json:"text,omitempty"`
	Document    string    `json:"document_sha256,omitempty"`
}

type Confirmation struct {
	N           int        `json:"n"`
	By          id.Account `json:"by"`
	At          time.Time  `json:"at"`
	TakenDownAt time.Time  `json:"taken_down_at"`
	Text        string     `json:"text,omitempty"`
	Document    string     `json:"document_sha256,omitempty"`
}

// Takedown names no patient: marketing has no need to know (164.502(b)), and
// the privacy officer finds the patient by the entry of the release.
type Takedown struct {
	ID            id.Takedown           `json:"id"`
	State         consent.TakedownState `json:"state"`
	Overdue       bool                  `json:"overdue"`
	Photo         id.Photo              `json:"photo"`
	Rendition     string                `json:"rendition"`
	Recipient     string                `json:"recipient"`
	Channel       string                `json:"channel"`
	Campaign      id.Campaign           `json:"campaign"`
	Authorization id.Authorization      `json:"authorization"`
	Release       id.Entry              `json:"release"`
	ReleasedAt    time.Time             `json:"released_at"`
	Why           consent.Refusal       `json:"why"`
	Cause         string                `json:"cause"`
	OpenedAt      time.Time             `json:"opened_at"`
	DueAt         time.Time             `json:"due_at"`
	EscalatedAt   *time.Time            `json:"escalated_at,omitempty"`
	Confirmations []Confirmation        `json:"confirmations"`
}

type TakedownList struct {
	Takedowns []Takedown `json:"takedowns"`
}

func takedown(t *consent.Takedown, now time.Time) Takedown {
	return Takedown{t.ID, t.State, t.Overdue(now), t.Photo, t.Rendition, t.Recipient, t.Channel, t.Campaign, t.Authorization, t.Release, t.ReleasedAt,
		t.Why, t.Cause, t.OpenedAt, t.DueAt, optional(t.EscalatedAt), each(t.Confirmations, func(c consent.Confirmation) Confirmation {
			return Confirmation{c.N, c.By, c.At, c.TakenDownAt, c.Text, c.Document}
		})}
}

func (c *call) listTakedowns() error {
	all := false
	switch c.Query("state", "open") {
	case "open":
	case "all":
		all = true
	default:
		return refuseField("state", "Choose open or all.")
	}
	list, err := c.service().Takedowns(c.ctx, c.who, all)
	if err != nil {
		return err
	}
	now := c.service().Now()
	return c.reply(200, TakedownList{each(list, func(t consent.Takedown) Takedown { return takedown(&t, now) })})
}

func (c *call) showTakedown() error {
	t, err := pathID[id.Takedown](c, "takedown")
	if err != nil {
		return err
	}
	found, err := c.service().Takedown(c.ctx, c.who, t)
	if err != nil {
		return err
	}
	return c.reply(200, takedown(found, c.service().Now()))
}

func (c *call) confirmTakedown() error {
	t, err := pathID[id.Takedown](c, "takedown")
	if err != nil {
		return err
	}
	var in NewConfirmation
	if err := c.decode(&in); err != nil {
		return err
	}
	done, err := c.service().ConfirmTakedown(c.ctx, c.who, consent.Confirmation{Takedown: t, TakenDownAt: in.TakenDownAt.UTC(), Text: in.Text, Document: in.Document})
	if err != nil {
		return err
	}
	return c.reply(201, takedown(done, c.service().Now()))
}
