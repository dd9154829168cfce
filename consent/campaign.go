package consent

import (
	"strconv"
	"time"

	"photovault/vault/id"
)

// Campaign is what marketing does with photos: a release for marketing belongs
// to exactly one.
type Campaign struct {
	ID                id.Campaign `json:"id"`
	Practice          id.Practice `json:"practice"`
	Version           int64       `json:"version"` // grows when it is closed
	Name              string      `json:"name"`
	Purpose           string      `json:"purpose"`    // as an authorization names it, 164.508(c)(1)(iv)
	Channels          []string    `json:"channels"`   // of Channels
	Recipients        []string    `json:"recipients"` // as an authorization names them, 164.508(c)(1)(iii)
	From              time.Time   `json:"from"`
	Until             time.Time   `json:"until"`                         // first instant after it
	ThirdPartyPayment bool        `json:"third_party_payment,omitempty"` // somebody else pays for the marketing, 164.508(a)(3)(ii)
	Sale              bool        `json:"sale,omitempty"`                // the practice is paid for the photos, 164.508(a)(4)
	ClosedAt          time.Time   `json:"closed_at,omitzero"`
	CreatedAt         time.Time   `json:"created_at"`
	CreatedBy         id.Account  `json:"created_by"`
}

// Basis names this version of the campaign in a decision and in the audit log.
func (c *Campaign) Basis() string {
	return "campaign/" + string(c.ID) + "/" + strconv.FormatInt(c.Version, 10)
}

func (c *Campaign) running(now time.Time) bool {
	return c.ClosedAt.IsZero() && !now.Before(c.From) && now.Before(c.Until)
}

// Defects returns what the campaign lacks.
func (c *Campaign) Defects() []Defect {
	var d []Defect
	need := func(ok bool, field, paragraph, sentence string) {
		if !ok {
			d = append(d, Defect{field, paragraph, sentence})
		}
	}
	need(!Blank(c.Name) && bounded(c.Name, MaxName), "name", "", "Give the campaign a name, at most 200 bytes.")
	need(!Blank(c.Purpose) && bounded(c.Purpose, MaxName), "purpose", "164.508(c)(1)(iv)", "Give its purpose in the words that authorizations use.")
	need(list(c.Channels) && known(c.Channels),
		"channels", "164.508(c)(1)(iv)", "Say where it appears: website, social, print or in-office.")
	need(list(c.Recipients) && len(c.Recipients) <= MaxItems, "recipients", "164.508(c)(1)(iii)", "Name everyone who receives its photos.")
	need(Dated(c.From) && Dated(c.Until) && c.Until.After(c.From), "until", "", "Give the day it begins and a later day on which it is over.")
	return d
}
