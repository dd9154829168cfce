package consent_test

import (
	"testing"
	"time"

	"photovault/consent"
)

// 164.528(a)(1): what is exempt is exempt by name; everything else is accounted for.
func TestReleasesAreClassified(t *testing.T) {
	a := complete()
	r := recordWith(a)
	base := ledger(intent(&a, running(), now.Add(-time.Hour)))[0]
	for name, tc := range map[string]struct {
		purpose     consent.Purpose
		role        consent.Role
		change      func(r *consent.Record)
		outside     bool
		class       consent.Class
		accountable bool
	}{
		"a provider reads the chart":     {consent.ForCare, consent.Provider, nil, false, "", false},
		"teaching inside the practice":   {consent.ForTeaching, consent.Provider, nil, false, "", false},
		"a record system, for treatment": {consent.ForCare, consent.EMR, nil, true, consent.ClassTreatment, false},
		"payment":                        {"payment", consent.EMR, nil, true, consent.ClassPayment, false},
		"operations":                     {"operations", consent.EMR, nil, true, consent.ClassOperations, false},
		"the patient":                    {"patient", consent.Privacy, nil, true, consent.ClassPatient, false},
		"a purpose that nobody knows":    {"research", consent.EMR, nil, true, consent.ClassOther, true},
		"no purpose":                     {"", consent.Provider, nil, true, consent.ClassOther, true},
		"a valid authorization":          {consent.ForMarketing, consent.Marketing, nil, true, consent.ClassAuthorized, false},
		"an authorization revoked since": {consent.ForMarketing, consent.Marketing, func(r *consent.Record) {
			r.Events = append(r.Events, event(consent.Revoked, string(a.ID), 0))
		}, true, consent.ClassAuthorized, false},
		"an authorization revoked before": {consent.ForMarketing, consent.Marketing, func(r *consent.Record) {
			r.Events = append(r.Events, event(consent.Revoked, string(a.ID), 2*time.Hour))
		}, true, consent.ClassOther, true},
		"an authorization that expired before": {consent.ForMarketing, consent.Marketing, func(r *consent.Record) {
			r.Events = append(r.Events, event(consent.Expired, string(a.ID), 2*time.Hour))
		}, true, consent.ClassOther, true},
		"an authorization found false": {consent.ForMarketing, consent.Marketing, func(r *consent.Record) {
			r.Events = append(r.Events, event(consent.FoundFalse, string(a.ID), 0))
		}, true, consent.ClassOther, true},
	} {
		record, rel := *r, base
		if tc.change != nil {
			tc.change(&record)
		}
		rel.Purpose, rel.Role = tc.purpose, tc.role
		d, outside := record.Disclose(rel)
		if outside != tc.outside || d.Class != tc.class || d.Accountable != tc.accountable || outside && d.Rule == "" || (len(d.Flaws) > 0) != (tc.accountable && tc.purpose == consent.ForMarketing) {
			t.Errorf("%s: outside %t, %+v", name, outside, d)
		}
	}
}
