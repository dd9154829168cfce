package consent

import (
	"slices"
	"time"

	"photovault/vault/id"
)

// Usable is what one authorization allows marketing to do with a photo now,
// for one campaign.
type Usable struct {
	Campaign      id.Campaign      `json:"campaign"`
	CampaignName  string           `json:"campaign_name"`
	Authorization id.Authorization `json:"authorization"`
	Renditions    []string         `json:"renditions"`
	Recipients    []string         `json:"recipients"`
	Channels      []string         `json:"channels"`
	Until         time.Time        `json:"until"`                 // first instant at which it is no longer allowed
	UntilEvent    string           `json:"until_event,omitempty"` // or the event that ends it earlier
}

// UsableNow lists, by asking DecideRelease, in which campaigns and under which
// authorizations the photo may be used now. q holds who asks, when, about
// which photo, and renditions which of it there are; the rest is put in here.
func UsableNow(q Question, renditions []string, campaigns []Campaign) []Usable {
	var out []Usable
	q.Purpose = ForMarketing
	alone := make([]*Record, len(q.Record.Authorizations))
	for j := range alone {
		alone[j] = q.Record.with(q.Record.Authorizations[j].ID)
	}
	for i := range campaigns {
		q.Campaign = &campaigns[i]
		if len(q.againstRunning()) > 0 {
			continue
		}
		for j, record := range alone {
			a := &q.Record.Authorizations[j]
			if !slices.Contains(a.Purposes, q.Campaign.Purpose) {
				continue
			}
			one := q
			one.Record = record
			if u := one.usable(renditions, a); u != nil {
				out = append(out, *u)
			}
		}
	}
	return out
}

// with is the record with one of its authorizations alone, and what would take
// its place.
func (r *Record) with(a id.Authorization) *Record {
	one := *r
	one.Authorizations = nil
	for i := range r.Authorizations {
		if b := &r.Authorizations[i]; b.ID == a || b.Supersedes == a {
			one.Authorizations = append(one.Authorizations, *b)
		}
	}
	return &one
}

// usable asks for what both the campaign and the authorization name; q.Record
// has no other authorization.
func (q Question) usable(renditions []string, a *Authorization) *Usable {
	u := &Usable{Campaign: q.Campaign.ID, CampaignName: q.Campaign.Name, Authorization: a.ID, Until: q.Campaign.Until, UntilEvent: a.ExpiryEvent}
	if !a.ExpiresAt.IsZero() && a.ExpiresAt.Before(u.Until) {
		u.Until = a.ExpiresAt
	}
	add := func(list *[]string, v string) {
		if !slices.Contains(*list, v) {
			*list = append(*list, v)
		}
	}
	recipients, channels := both(q.Campaign.Recipients, a.Recipients), both(q.Campaign.Channels, a.Channels)
	for _, rendition := range renditions {
		for _, recipient := range recipients {
			for _, channel := range channels {
				q.Rendition, q.Recipient, q.Channel = rendition, recipient, channel
				if d := DecideRelease(q); d.Allowed && slices.Contains(d.Basis, "authorization/"+string(a.ID)) {
					add(&u.Renditions, rendition)
					add(&u.Recipients, recipient)
					add(&u.Channels, channel)
				}
			}
		}
	}
	if len(u.Renditions) == 0 {
		return nil
	}
	return u
}

// both is what is in both lists, each once, in the order of the first.
func both(a, b []string) []string {
	var out []string
	for _, v := range a {
		if slices.Contains(b, v) && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
