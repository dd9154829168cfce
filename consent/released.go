package consent

import (
	"slices"
	"strings"
	"time"

	"photovault/vault/audit"
	"photovault/vault/id"
)

// Released is a photo that left, or may have left, as the audit log has it.
type Released struct {
	Entry     id.Entry // of the intent
	At        time.Time
	Actor     id.Account
	Role      Role
	Photo     id.Photo
	Beside    id.Photo // what was shown with it, where it was a comparison
	Rendition string
	Purpose   Purpose
	Recipient string        // marketing
	Channel   string        // marketing
	Outcome   audit.Outcome // Intent while nobody knows how it ended
	Basis     []string      // the records and rules that allowed it

	Authorization id.Authorization // marketing: under which it was released
	Campaign      id.Campaign      // marketing
}

// shown are the photos that left: one, or both of a comparison as it was then.
func (r *Released) shown() []id.Photo {
	if r.Beside == "" {
		return []id.Photo{r.Photo}
	}
	return []id.Photo{r.Photo, r.Beside}
}

// Ledger gathers what was released from audit entries, given oldest first.
type Ledger struct {
	list []Released
	uses map[useKey]int // place in list
}

type useKey struct {
	token string
	use   int
}

// Add takes an entry; those that are no release it passes over.
func (l *Ledger) Add(e *audit.Entry) {
	if e.Action != audit.Release || e.Use == 0 { // a refusal, a peek, a failure before anything was spent
		return
	}
	k := useKey{e.Subject, e.Use}
	if e.Outcome == audit.Intent {
		if l.uses == nil {
			l.uses = map[useKey]int{}
		}
		l.uses[k] = len(l.list)
		l.list = append(l.list, released(e))
		return
	}
	if i, known := l.uses[k]; known {
		l.list[i].Outcome = e.Outcome
	}
}

// Released returns what left, oldest first. An intent without an outcome
// counts, and so does one that was broken off: some bytes may have arrived.
// One that failed was never opened.
func (l *Ledger) Released() []Released {
	return slices.DeleteFunc(slices.Clone(l.list), func(r Released) bool { return r.Outcome == audit.Failed })
}

func released(e *audit.Entry) Released {
	r := Released{Entry: e.ID, At: e.At, Actor: e.Actor, Role: Role(e.Role), Photo: e.Photo, Rendition: e.Rendition, Purpose: Purpose(e.Purpose),
		Recipient: e.Recipient, Channel: e.Channel, Outcome: e.Outcome, Basis: e.Records}
	for _, b := range e.Records {
		kind, rest, _ := strings.Cut(b, "/")
		switch kind + "/" {
		case besideBasis:
			r.Beside = id.Photo(rest)
		case "authorization/":
			r.Authorization = id.Authorization(rest)
		case "campaign/":
			of, _, _ := strings.Cut(rest, "/")
			r.Campaign = id.Campaign(of)
		}
	}
	return r
}
