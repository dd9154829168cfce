package api

import (
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

// The JSON of events, campaigns and decisions, and their handlers.

type NewAssignment struct {
	Account id.Account `json:"account"`
}

type NewRestriction struct {
	Photo      id.Photo          `json:"photo,omitempty"` // empty: all of the patient's
	Purposes   []consent.Purpose `json:"purposes"`
	Reason     string            `json:"reason"`
	ReceivedAt time.Time         `json:"received_at,omitzero"`
}

type NewEmergency struct {
	Reason string `json:"reason"`
}

type NewReview struct {
	Finding string `json:"finding,omitempty"`
}

// Review is owed for an emergency of an account, or for releases that, as is
// known now, were not allowed.
type Review struct {
	Patient  id.Patient  `json:"patient"`
	Account  id.Account  `json:"account,omitempty"`
	Event    Event       `json:"event"`
	Releases []Disclosed `json:"releases,omitempty"`
}

// Disclosed is one release in a review.
type Disclosed struct {
	Release   id.Entry    `json:"release"`
	At        time.Time   `json:"at"`
	Photo     id.Photo    `json:"photo"`
	Rendition string      `json:"rendition"`
	Recipient string      `json:"recipient"`
	Channel   string      `json:"channel"`
	Campaign  id.Campaign `json:"campaign"`
}

func review(r vault.Review) Review {
	out := Review{Patient: r.Patient, Event: event(&r.Event), Releases: each(r.Releases, func(d consent.Released) Disclosed {
		return Disclosed{d.Entry, d.At, d.Photo, d.Rendition, d.Recipient, d.Channel, d.Campaign}
	})}
	if r.Event.Kind == consent.Emergency {
		out.Account = id.Account(r.Event.Subject)
	}
	return out
}

type ReviewList struct {
	Reviews []Review `json:"reviews"`
}

type NewCampaign struct {
	Name              string    `json:"name"`
	Purpose           string    `json:"purpose"`
	Channels          []string  `json:"channels"`
	Recipients        []string  `json:"recipients"`
	From              time.Time `json:"from"`
	Until             time.Time `json:"until"`
	ThirdPartyPayment bool      `json:"third_party_payment,omitempty"`
	Sale              bool      `json:"sale,omitempty"`
}

type Campaign struct {
	ID id.Campaign `json:"id"`
	NewCampaign
	CreatedAt time.Time  `json:"created_at"`
	ClosedAt  *time.Time `json:"closed_at,omitempty"`
}

func campaign(c *consent.Campaign) Campaign {
	return Campaign{c.ID, NewCampaign{c.Name, c.Purpose, c.Channels, c.Recipients, c.From, c.Until, c.ThirdPartyPayment, c.Sale},
		c.CreatedAt, optional(c.ClosedAt)}
}

type CampaignList struct {
	Campaigns []Campaign `json:"campaigns"`
}

// NewDecision asks what a token would be decided on.
type NewDecision struct {
	Purpose   consent.Purpose `json:"purpose"`
	Rendition string          `json:"rendition,omitempty"`
	Recipient string          `json:"recipient,omitempty"`
	Channel   string          `json:"channel,omitempty"`
	Campaign  id.Campaign     `json:"campaign,omitempty"`
	Account   id.Account      `json:"account,omitempty"` // the privacy officer asks for somebody else
}

type Decision struct {
	Photo    id.Photo          `json:"photo"`
	Allowed  bool              `json:"allowed"`
	Basis    []string          `json:"basis"`
	Refusals []consent.Refusal `json:"refusals"`
}

func (c *call) revoke() error     { return c.happened(consent.Revoked) }
func (c *call) expire() error     { return c.happened(consent.Expired) }
func (c *call) foundFalse() error { return c.happened(consent.FoundFalse) }
func (c *call) copyGiven() error  { return c.happened(consent.CopyGiven) }

// happened enters what happened to a consent or authorization.
func (c *call) happened(kind consent.EventKind) error {
	subject, err := pathID[id.Consent](c, "consent")
	if err != nil {
		return err
	}
	var in Revocation
	if c.Request().Header.ContentLength() != 0 {
		if err := c.decode(&in); err != nil {
			return err
		}
	}
	return c.enter(200, vault.Happening{Kind: kind, Subject: string(subject), Received: in.ReceivedAt.UTC()})
}

func (c *call) enter(status int, h vault.Happening) error {
	e, err := c.service().Enter(c.ctx, c.who, h)
	if err != nil {
		return err
	}
	return c.reply(status, event(e))
}

func (c *call) assign() error {
	p, err := pathID[id.Patient](c, "patient")
	if err != nil {
		return err
	}
	var in NewAssignment
	if err := c.decode(&in); err != nil {
		return err
	}
	if !id.Valid(string(in.Account)) {
		return refuseField("account", "Give the id of the provider's account.")
	}
	return c.enter(201, vault.Happening{Kind: consent.Assigned, Patient: p, Subject: string(in.Account)})
}

func (c *call) restrict() error {
	p, err := pathID[id.Patient](c, "patient")
	if err != nil {
		return err
	}
	var in NewRestriction
	if err := c.decode(&in); err != nil {
		return err
	}
	subject := string(p)
	if in.Photo != "" {
		if !id.Valid(string(in.Photo)) {
			return refuseField("photo", "Give the photo's id, or none for all of the patient's photos.")
		}
		subject = string(in.Photo)
	}
	return c.enter(201, vault.Happening{Kind: consent.Restricted, Patient: p, Subject: subject, Purposes: in.Purposes, Reason: in.Reason,
		Received: in.ReceivedAt.UTC()})
}

func (c *call) emergency() error {
	p, err := pathID[id.Patient](c, "patient")
	if err != nil {
		return err
	}
	var in NewEmergency
	if err := c.decode(&in); err != nil {
		return err
	}
	return c.enter(201, vault.Happening{Kind: consent.Emergency, Patient: p, Reason: in.Reason})
}

func (c *call) endEvent() error {
	ev, err := pathID[id.Event](c, "event")
	if err != nil {
		return err
	}
	e, err := c.service().EndEvent(c.ctx, c.who, ev)
	if err != nil {
		return err
	}
	return c.reply(200, event(e))
}

func (c *call) reviews() error {
	list, err := c.service().Reviews(c.ctx, c.who)
	if err != nil {
		return err
	}
	return c.reply(200, ReviewList{each(list, review)})
}

func (c *call) reviewed() error {
	ev, err := pathID[id.Event](c, "event")
	if err != nil {
		return err
	}
	var in NewReview
	if c.Request().Header.ContentLength() != 0 {
		if err := c.decode(&in); err != nil {
			return err
		}
	}
	return c.enter(200, vault.Happening{Kind: consent.Reviewed, Subject: string(ev), Reason: in.Finding})
}

func (c *call) addCampaign() error {
	var in NewCampaign
	if err := c.decode(&in); err != nil {
		return err
	}
	made, err := c.service().AddCampaign(c.ctx, c.who, consent.Campaign{Name: in.Name, Purpose: in.Purpose, Channels: in.Channels,
		Recipients: in.Recipients, From: in.From.UTC(), Until: in.Until.UTC(), ThirdPartyPayment: in.ThirdPartyPayment, Sale: in.Sale})
	if err != nil {
		return err
	}
	return c.reply(201, campaign(made))
}

func (c *call) listCampaigns() error {
	list, err := c.service().Campaigns(c.ctx, c.who)
	if err != nil {
		return err
	}
	return c.reply(200, CampaignList{each(list, func(ca consent.Campaign) Campaign { return campaign(&ca) })})
}

func (c *call) closeCampaign() error {
	ca, err := pathID[id.Campaign](c, "campaign")
	if err != nil {
		return err
	}
	closed, err := c.service().CloseCampaign(c.ctx, c.who, ca)
	if err != nil {
		return err
	}
	return c.reply(200, campaign(closed))
}

func (c *call) explain() error {
	p, err := pathID[id.Photo](c, "photo")
	if err != nil {
		return err
	}
	var in NewDecision
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.Account != "" && !id.Valid(string(in.Account)) {
		return refuseField("account", "Give the account's id, or none to ask for yourself.")
	}
	if !idOrNone(in.Campaign) {
		return refuseField("campaign", "Give the campaign's id.")
	}
	x, err := c.service().Explain(c.ctx, c.who, in.Account, vault.TokenRequest{Photo: p, Rendition: in.Rendition, Purpose: in.Purpose,
		Recipient: in.Recipient, Channel: in.Channel, Campaign: in.Campaign})
	if err != nil {
		return err
	}
	out := Decision{Photo: x.Photo, Allowed: x.Decision.Allowed, Basis: x.Decision.Basis, Refusals: x.Decision.Refusals}
	if out.Basis == nil {
		out.Basis = []string{}
	}
	if out.Refusals == nil {
		out.Refusals = []consent.Refusal{}
	}
	return c.reply(200, out)
}
