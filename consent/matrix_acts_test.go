package consent_test

import (
	"slices"
	"testing"

	"photovault/consent"
	"photovault/vault/id"
)

// lawful is who may do what to a patient's record, in the words of 45 CFR
// 164.312(a)(1) and 164.514(d)(2): each role its part. Providers treat; the front
// desk knows that photos and consents exist and sees no image; marketing works
// with what it is released; administrators operate and see no patient; the
// privacy officer oversees; a record system shows the chart; a tablet has the one
// photo that it was given.
var lawful = map[consent.Act][]consent.Role{
	consent.CreatePatient:    {consent.Provider, consent.FrontDesk},
	consent.FindPatient:      {consent.Provider, consent.FrontDesk, consent.Privacy},
	consent.RecordConsent:    {consent.Provider, consent.FrontDesk, consent.Privacy},
	consent.RevokeConsent:    {consent.Provider, consent.FrontDesk, consent.Privacy},
	consent.ListConsents:     {consent.Provider, consent.FrontDesk, consent.Privacy},
	consent.Restrict:         {consent.Provider, consent.FrontDesk, consent.Privacy},
	consent.AssignProvider:   {consent.Provider, consent.FrontDesk, consent.Privacy},
	consent.DeclareEmergency: {consent.Provider},
	consent.ReviewEmergency:  {consent.Privacy},
	consent.SeeTakedowns:     {consent.Marketing, consent.Privacy},
	consent.ConfirmTakedown:  {consent.Marketing, consent.Privacy},
	consent.WriteTemplates:   {consent.Privacy},
	consent.RunCampaigns:     {consent.Marketing, consent.Privacy},
	consent.SeeCampaigns:     {consent.Marketing, consent.FrontDesk, consent.Privacy},
	consent.ExplainDecision:  {consent.Provider, consent.Marketing, consent.Privacy},
	consent.ReadDisclosures:  {consent.Privacy},
	consent.CapturePhoto:     {consent.Provider},
	consent.SeePhotoExists:   {consent.Provider, consent.FrontDesk, consent.Privacy, consent.EMR},
	consent.ReadReceipt:      {consent.Provider, consent.Privacy},
	consent.DeletePhoto:      {consent.Provider, consent.Privacy},
	consent.DeriveRendition:  {consent.Provider},
	consent.ReleaseClinical:  {consent.Provider, consent.EMR},
	consent.ReleaseTeaching:  {consent.Provider},
	consent.ReleaseMarketing: {consent.Marketing},
	consent.ManageAccounts:   {consent.Admin},
	consent.ManageKeys:       {consent.Admin},
	consent.ReadAudit:        {consent.Admin, consent.Privacy},
	"an act nobody knows":    nil,
}

// Every act by every role, of either practice, in every relation, on the record
// and on one of its photos; and the taking of photos in every state of the consent for care.
func TestMatrixOfActs(t *testing.T) {
	asks := func(names ...string) (choices [][]int) {
		choice := make([]int, len(dimensions))
		for done := false; !done; done = !next(choice, names) {
			choices = append(choices, slices.Clone(choice))
		}
		return choices
	}
	cells, mismatches := 0, 0
	compare := func(choice []int, act consent.Act, d consent.Decision, want bool) {
		t.Helper()
		if cells++; d.Allowed != want || d.Allowed != (len(d.Refusals) == 0) || d.Allowed != (len(d.Basis) > 0) {
			if mismatches++; mismatches <= 10 {
				t.Errorf("%s, %v: allowed %v, want %v: %v %v", act, names(choice), d.Allowed, want, d.Basis, d.Refusals)
			}
		}
	}
	for _, choice := range asks("practice", "role", "relation") {
		q, f := posed(choice)
		for act, roles := range lawful {
			for _, about := range []*consent.Photo{nil, &q.Photo, {ID: photo, Patient: id.New[id.Patient](), DeclaredBy: account}} {
				known := f["treats this patient"]
				if about == nil && (q.Photo.DeclaredBy == account || q.Photo.SetBy == account) {
					known = false // who made a photo sees that photo, and not all of the patient
				}
				// An emergency is for care (H12): it opens what is read, and nothing that outlasts it.
				known = known || f["emergency"] && slices.Contains([]consent.Act{consent.SeePhotoExists, consent.ReadReceipt, consent.ListConsents}, act)
				want := f["own practice"] && slices.Contains(roles, q.Who.Role) && (q.Who.Role != consent.Provider || known) &&
					(about == nil || about.Patient == patient)
				compare(choice, act, consent.DecideAccess(now, q.Who, act, q.Record, about), want)
			}
		}
	}
	for _, choice := range asks("practice", "role", "relation", "restriction", "clinical consent", "authorization") {
		q, f := posed(choice)
		// No relation is asked: who takes the first photo begins to treat.
		compare(choice, consent.CapturePhoto, consent.DecideCapture(now, q.Who, q.Record),
			f["own practice"] && q.Who.Role == consent.Provider && f["taking agreed"])
	}
	t.Logf("%d cells, %d mismatches", cells, mismatches)
}
