package api

import (
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// Disclosure is one line of an accounting (164.528(b)(2)).
type Disclosure struct {
	Release     id.Entry      `json:"release"` // its entry in the audit log
	At          time.Time     `json:"at"`
	Recipient   string        `json:"recipient"`
	Description string        `json:"description"`
	Purpose     string        `json:"purpose"`
	Class       consent.Class `json:"class"`
	Accountable bool          `json:"accountable"`
	Rule        string        `json:"rule"`
	Outcome     audit.Outcome `json:"outcome"`
	Photo       id.Photo      `json:"photo"`
	Rendition   string        `json:"rendition"`
	Channel     string        `json:"channel,omitempty"`
	Campaign    id.Campaign   `json:"campaign,omitempty"`
	Basis       []string      `json:"basis"`
	Flaws       []Flaw        `json:"flaws"`
}

// Flaw is why an authorization was not valid, and what shows it.
type Flaw struct {
	consent.Refusal
	Cause string `json:"cause"`
}

type Accounting struct {
	Patient     id.Patient   `json:"patient"`
	Since       time.Time    `json:"since"`
	Until       time.Time    `json:"until"`
	Disclosures []Disclosure `json:"disclosures"`
}

func accounting(a *vault.Accounting) Accounting {
	return Accounting{a.Patient, a.Since, a.Until, each(a.Disclosures, func(d consent.Disclosure) Disclosure { return disclosure(&d, a) })}
}

func disclosure(d *consent.Disclosure, in *vault.Accounting) Disclosure {
	out := Disclosure{Release: d.Entry, At: d.At, Recipient: d.Recipient, Description: "a photo of the patient (" + d.Rendition + ")", Purpose: string(d.Purpose),
		Class: d.Class, Accountable: d.Accountable, Rule: d.Rule, Outcome: d.Outcome, Photo: d.Photo, Rendition: d.Rendition, Channel: d.Channel,
		Campaign: d.Campaign, Basis: d.Basis, Flaws: each(d.Flaws, func(f consent.Against) Flaw { return Flaw{f.Refusal, f.Cause} })}
	if out.Basis == nil {
		out.Basis = []string{}
	}
	if c, ok := in.Campaigns[d.Campaign]; ok {
		out.Purpose += ": " + c.Purpose
	}
	if d.Recipient == "" {
		out.Recipient = "account " + string(d.Actor) + " (" + string(d.Role) + ")"
	}
	return out
}

func (c *call) disclosures() error {
	p, err := pathID[id.Patient](c, "patient")
	if err != nil {
		return err
	}
	var since time.Time
	if text := c.Query("since"); text != "" {
		if since, err = time.Parse(time.RFC3339, text); err != nil || !consent.Dated(since) {
			return refuseField("since", "Write an instant, such as 2026-01-31T00:00:00Z.")
		}
	}
	a, err := c.service().Disclosures(c.ctx, c.who, p, since.UTC())
	if err != nil {
		return err
	}
	return c.reply(200, accounting(a))
}
