package consent

import (
	"time"

	"photovault/vault/audit"
)

// AccountFor is how far back an accounting goes (164.528(a)(1)).
const AccountFor = 6 // years

// Class is what kind of disclosure a release was.
type Class string

// Classes of disclosures. What is not listed here, and what was made under an
// authorization that was not valid, is ClassOther and accountable.
const (
	ClassTreatment  Class = "treatment"
	ClassPayment    Class = "payment"
	ClassOperations Class = "operations"
	ClassPatient    Class = "patient"
	ClassAuthorized Class = "authorization"
	ClassOther      Class = "other"
)

// exempt are the purposes whose disclosures are not accounted for, and why.
var exempt = map[Purpose]struct {
	class Class
	rule  string
}{
	ForCare:      {ClassTreatment, "164.528(a)(1)(i)"},
	"payment":    {ClassPayment, "164.528(a)(1)(i)"},
	"operations": {ClassOperations, "164.528(a)(1)(i)"},
	"patient":    {ClassPatient, "164.528(a)(1)(ii)"},
}

// Disclosure is a release outside the practice, classified.
type Disclosure struct {
	Released
	Class       Class
	Accountable bool
	Rule        string    // of 45 CFR: why it is exempt, or must be accounted for
	Flaws       []Against // why its authorization was not valid, as is known now
}

// Disclose classifies a release; false means that it was no disclosure but a
// use inside the practice (160.103): by its providers, and for teaching there.
func (r *Record) Disclose(rel Released) (Disclosure, bool) {
	d := Disclosure{Released: rel, Class: ClassOther, Accountable: true, Rule: "164.528(a)(1)"}
	switch {
	case rel.Purpose == ForTeaching, rel.Purpose == ForCare && rel.Role == Provider:
		return Disclosure{}, false
	case rel.Purpose == ForMarketing:
		if d.Flaws = r.Flaws(&rel); len(d.Flaws) == 0 {
			d.Class, d.Accountable, d.Rule = ClassAuthorized, false, "164.528(a)(1)(iv)"
		}
	default:
		if e, ok := exempt[rel.Purpose]; ok {
			d.Class, d.Accountable, d.Rule = e.class, false, e.rule
		}
	}
	return d, true
}

// Uncertain reports whether nobody knows that all of it arrived.
func (d *Disclosure) Uncertain() bool { return d.Outcome != audit.Complete }

// AccountSince is the first instant that an accounting at now looks at.
func AccountSince(now time.Time) time.Time { return now.AddDate(-AccountFor, 0, 0) }
