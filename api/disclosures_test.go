package api_test

import (
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
)

// H8: one call accounts for every disclosure; what turns out to have been made
// without a valid authorization becomes accountable and asks for a review.
func TestDisclosuresAreAccountedFor(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	a := s.authorize(s.newAuthorization(patient))
	s.fetch("GET", s.forCare(photo.ID, "web", consent.InHeader, 1)).ok(200) // inside: no disclosure
	s.published(photo.ID)
	s.fetch("GET", into[api.Token](s.request(photo.ID, s.token("emr"), api.NewToken{Purpose: consent.ForCare}), 201)).ok(200)
	s.ask("DELETE", "/v1/photos/"+string(s.ready(patient, small).ID), s.token("privacy"), nil).ok(200)
	account := func(query string) []api.Disclosure {
		t.Helper()
		return into[api.Accounting](s.ask("GET", patientPath(patient, "/disclosures")+query, s.token("privacy"), nil), 200).Disclosures
	}
	list := account("")
	if len(list) != 2 || list[0].Class != consent.ClassAuthorized || list[0].Accountable || list[0].Recipient != studio || list[0].Purpose != "marketing: "+advertising ||
		list[0].Outcome != "complete" || len(list[0].Basis) == 0 || list[1].Class != consent.ClassTreatment || list[1].Accountable {
		t.Fatalf("%+v", list)
	}
	s.ask("POST", "/v1/authorizations/"+string(a)+"/false", s.token("front-desk"), nil).ok(200)
	list = account("")
	if len(list) != 2 || list[0].Class != consent.ClassOther || !list[0].Accountable || len(list[0].Flaws) != 1 || list[0].Flaws[0].Code != "authorization_false" || list[1].Accountable {
		t.Errorf("%+v", list)
	}
	owed := into[api.ReviewList](s.ask("GET", "/v1/reviews", s.token("privacy"), nil), 200).Reviews
	if len(owed) != 1 || owed[0].Event.Kind != consent.Questioned || len(owed[0].Releases) != 1 || owed[0].Releases[0].Release != list[0].Release {
		t.Errorf("%+v", owed)
	}
	if list := account("?since=" + s.clock.now().UTC().Add(time.Hour).Format(time.RFC3339)); len(list) != 0 {
		t.Errorf("after all of them: %+v", list)
	}
	s.ask("GET", patientPath(patient, "/disclosures?since=yesterday"), s.token("privacy"), nil, odd).problem(422, "field_invalid")
	s.ask("GET", patientPath("0f9619ff-8b86-4011-b42d-00cf4fc964ff", "/disclosures"), s.token("privacy"), nil).problem(404, "not_found")
}
