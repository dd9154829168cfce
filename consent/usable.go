package consent

import (
	"slices"
	"time"

	"photovault/vault/id"
)

// Usable is what one authorization allows marketing to do with a photo now,
// for one campaign: each of the renditions, to each of the recipients, on each
// of the channels.
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
			out = append(out, one.usable(renditions, a)...)
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
// has no other authorization. What is in one line is allowed in each
// combination: a policy of the practice may forbid single ones.
func (q Question) usable(renditions []string, a *Authorization) []Usable {
	until := q.Campaign.Until
	if !a.ExpiresAt.IsZero() && a.ExpiresAt.Before(until) {
		until = a.ExpiresAt
	}
	var out []Usable
	channels := both(q.Campaign.Channels, a.Channels)
	for _, recipient := range both(q.Campaign.Recipients, a.Recipients) {
		q.Recipient = recipient
		for _, one := range q.byChannel(renditions, channels, a.ID) {
			if i := slices.IndexFunc(out, func(u Usable) bool {
				return slices.Equal(u.Channels, one.Channels) && slices.Equal(u.Renditions, one.Renditions)
			}); i >= 0 {
				out[i].Recipients = append(out[i].Recipients, recipient)
				continue
			}
			one.Campaign, one.CampaignName, one.Authorization = q.Campaign.ID, q.Campaign.Name, a.ID
			one.Until, one.UntilEvent, one.Recipients = until, a.ExpiryEvent, []string{recipient}
			out = append(out, one)
		}
	}
	return out
}

// byChannel says which renditions the recipient may be given on which channels,
// those together that have the same.
func (q Question) byChannel(renditions, channels []string, a id.Authorization) (out []Usable) {
	for _, channel := range channels {
		q.Channel = channel
		var allowed []string
		for _, rendition := range renditions {
			q.Rendition = rendition
			if d := DecideRelease(q); d.Allowed && d.Authorization == a {
				allowed = append(allowed, rendition)
			}
		}
		i := slices.IndexFunc(out, func(u Usable) bool { return slices.Equal(u.Renditions, allowed) })
		switch {
		case len(allowed) == 0:
		case i >= 0:
			out[i].Channels = append(out[i].Channels, channel)
		default:
			out = append(out, Usable{Renditions: allowed, Channels: []string{channel}})
		}
	}
	return out
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
