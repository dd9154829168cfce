package consent

import (
	"time"

	"photovault/vault/id"
)

// Takedown is a task: what one release gave to one recipient must come down.
// It opens in the transaction that ends what the release stood on.
type Takedown struct {
	ID            id.Takedown      `json:"id"`
	Practice      id.Practice      `json:"practice"`
	Patient       id.Patient       `json:"patient"`
	Version       int64            `json:"version"`
	State         TakedownState    `json:"state"`
	Release       id.Entry         `json:"release"` // audit entry of its intent
	ReleasedAt    time.Time        `json:"released_at"`
	Photo         id.Photo         `json:"photo"`
	Rendition     string           `json:"rendition"`
	Recipient     string           `json:"recipient"`
	Channel       string           `json:"channel"`
	Campaign      id.Campaign      `json:"campaign"`
	Authorization id.Authorization `json:"authorization"`
	Why           Refusal          `json:"why"`
	Cause         string           `json:"cause"` // the record that ended it: "event/ID", "authorization/ID", "clinical/ID"
	OpenedAt      time.Time        `json:"opened_at"`
	DueAt         time.Time        `json:"due_at"`
	EscalatedAt   time.Time        `json:"escalated_at,omitzero"` // when it was noticed to be overdue
	Confirmed     int              `json:"confirmed,omitempty"`   // how many confirmations there are

	Confirmations []Confirmation `json:"-"` // rows of their own, never changed
}

// TakedownState is how far a takedown has come.
type TakedownState string

// States of a takedown: open → overdue → confirmed, or open → confirmed.
const (
	TakedownOpen      TakedownState = "open"
	TakedownOverdue   TakedownState = "overdue" // and escalated
	TakedownConfirmed TakedownState = "confirmed"
)

// Overdue reports whether it should have been confirmed before now.
func (t *Takedown) Overdue(now time.Time) bool {
	return t.State != TakedownConfirmed && !now.Before(t.DueAt)
}

// Confirmation says that something came down, and on what evidence.
type Confirmation struct {
	Practice    id.Practice `json:"practice"`
	Takedown    id.Takedown `json:"takedown"`
	N           int         `json:"n"` // from 1
	By          id.Account  `json:"by"`
	At          time.Time   `json:"at"`            // when it was recorded
	TakenDownAt time.Time   `json:"taken_down_at"` // when it came down
	Text        string      `json:"text,omitempty"`
	Document    string      `json:"document_sha256,omitempty"` // of what shows it, hexadecimal
}

// Defects returns what the confirmation lacks; t is what it confirms.
func (c *Confirmation) Defects(t *Takedown, now time.Time) []Defect {
	var d []Defect
	switch {
	case Blank(c.Text) && c.Document == "":
		d = append(d, Defect{"text", "164.530(j)(1)", "Say how you know that it came down, or give the SHA-256 of a document that shows it."})
	case !bounded(c.Text, MaxText):
		d = append(d, Defect{"text", "", "The text has at most 4,000 bytes."})
	}
	if !document(c.Document) {
		d = append(d, Defect{"document_sha256", "", "Give the SHA-256 of the document, 64 hexadecimal digits in lower case."})
	}
	if c.TakenDownAt.After(now) || c.TakenDownAt.Before(t.ReleasedAt) {
		d = append(d, Defect{"taken_down_at", "", "It cannot have come down in the future, or before it was released."})
	}
	return d
}
