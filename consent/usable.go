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
	for i := range campaigns {
		q.Campaign = &campaigns[i]
		for j := range q.Record.Authorizations {
			if u := q.usable(renditions, &q.Record.Authorizations[j]); u != nil {
				out = append(out, *u)
			}
		}
	}
	return out
}

func (q Question) usable(renditions []string, a *Authorization) *Usable {
	one := *q.Record
	one.Authorizations = slices.DeleteFunc(slices.Clone(one.Authorizations), func(b Authorization) bool { return b.ID != a.ID && b.Supersedes != a.ID })
	q.Record = &one
	u := &Usable{Campaign: q.Campaign.ID, CampaignName: q.Campaign.Name, Authorization: a.ID, Until: q.Campaign.Until, UntilEvent: a.ExpiryEvent}
	if !a.ExpiresAt.IsZero() && a.ExpiresAt.Before(u.Until) {
		u.Until = a.ExpiresAt
	}
	add := func(list *[]string, v string) {
		if !slices.Contains(*list, v) {
			*list = append(*list, v)
		}
	}
	for _, rendition := range renditions {
		for _, recipient := range q.Campaign.Recipients {
			for _, channel := range q.Campaign.Channels {
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
