package consent_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// derives is a DeriveCommitter that answers as told.
type derives struct {
	ok    bool
	err   error
	entry *audit.Entry
}

func (d *derives) CommitDerive(_ context.Context, _ id.Patient, _ int64, e *audit.Entry) (bool, error) {
	d.entry = e
	return d.ok, d.err
}

// derivation asks for a masked rendition for care by who made the photo.
func derivation() consent.Derivation {
	w := who(consent.Provider)
	of := consent.Photo{ID: photo, Patient: patient, DeclaredBy: w.Account, Ready: true}
	return consent.Derivation{Question: consent.Question{Now: now, Who: w, Purpose: consent.ForCare, Photo: of, Rendition: consent.Masked, Record: recordWith()},
		Sources: []consent.Source{{Photo: of, Rendition: consent.Original}}}
}

// copied asks for marketing's copy of the web rendition.
func copied() consent.Derivation {
	a := complete()
	of := consent.Photo{ID: photo, Patient: patient, Ready: true}
	return consent.Derivation{Question: consent.Question{Now: now, Who: who(consent.Marketing), Purpose: consent.ForMarketing, Photo: of,
		Rendition: consent.Web, Record: recordWith(a), Authorization: a.ID}, Sources: []consent.Source{{Photo: of, Rendition: consent.Web}}}
}

func TestADerivationNeedsWhatItsStrictestSourceNeeds(t *testing.T) {
	for name, d := range map[string]consent.Derivation{"for care": derivation(), "for marketing": copied()} {
		if a, decision := consent.DecideDerive(d); a == nil || !decision.Allowed || !slices.Contains(decision.Basis, "record/"+string(patient)+"/0") {
			t.Fatalf("%s: %+v", name, decision)
		}
	}
	other := consent.Photo{ID: id.New[id.Photo](), Patient: patient, Ready: true}
	event := func(kind consent.EventKind, subject string, of ...consent.Purpose) func(*consent.Derivation) {
		return func(d *consent.Derivation) {
			d.Record.Events = append(d.Record.Events, consent.Event{ID: "e", Kind: kind, Subject: subject, Purposes: of, EnteredAt: now})
		}
	}
	add := func(p consent.Photo, rendition string) func(*consent.Derivation) {
		return func(d *consent.Derivation) {
			d.Sources = append(d.Sources, consent.Source{Photo: p, Rendition: rendition})
		}
	}
	elsewhere := other
	elsewhere.Patient = id.New[id.Patient]()
	for name, c := range map[string]struct {
		of     func() consent.Derivation
		change func(*consent.Derivation)
		code   string
	}{
		"no source":                      {derivation, func(d *consent.Derivation) { d.Sources = nil }, "not_found"},
		"no name":                        {derivation, func(d *consent.Derivation) { d.Rendition = "" }, "not_found"},
		"of a photo that is no source":   {derivation, func(d *consent.Derivation) { d.Photo = other }, "not_found"},
		"for teaching":                   {derivation, func(d *consent.Derivation) { d.Purpose = consent.ForTeaching }, "purpose_unknown"},
		"by an EMR":                      {derivation, func(d *consent.Derivation) { d.Who.Role = consent.EMR }, "role_not_allowed"},
		"by marketing, for care":         {derivation, func(d *consent.Derivation) { d.Who.Role = consent.Marketing }, "role_not_allowed"},
		"no relation":                    {derivation, func(d *consent.Derivation) { d.Who.Account = id.New[id.Account]() }, "no_relation"},
		"no relation to the second":      {derivation, add(other, consent.Web), "no_relation"},
		"the second is another's":        {copied, add(elsewhere, consent.Web), "not_found"},
		"deleted":                        {derivation, event(consent.Deleted, string(photo)), "not_found"},
		"restricted for care":            {derivation, event(consent.Restricted, string(photo), consent.ForCare), "photo_restricted"},
		"not ready":                      {derivation, func(d *consent.Derivation) { d.Sources[0].Photo.Ready = false }, "photo_not_ready"},
		"another practice":               {copied, func(d *consent.Derivation) { d.Who.Practice = id.New[id.Practice]() }, "not_found"},
		"no authorization named":         {copied, func(d *consent.Derivation) { d.Authorization = "" }, "no_authorization"},
		"an unknown authorization":       {copied, func(d *consent.Derivation) { d.Authorization = id.New[id.Authorization]() }, "no_authorization"},
		"by a provider, for marketing":   {copied, func(d *consent.Derivation) { d.Who.Role = consent.Provider }, "role_not_allowed"},
		"expired":                        {copied, func(d *consent.Derivation) { d.Now = now.AddDate(2, 0, 0) }, "authorization_expired"},
		"restricted for marketing":       {copied, event(consent.Restricted, string(patient), consent.ForMarketing), "photo_restricted"},
		"the original is not in scope":   {copied, func(d *consent.Derivation) { d.Sources[0].Rendition = consent.Original }, "rendition_not_authorized"},
		"masked only":                    {copied, func(d *consent.Derivation) { d.Record.Authorizations[0].Scope.MaskedOnly = true }, "rendition_not_authorized"},
		"the second's form not in scope": {copied, add(other, consent.Original), "rendition_not_authorized"},
		"the second is restricted": {copied, func(d *consent.Derivation) {
			add(other, consent.Web)(d)
			event(consent.Restricted, string(other.ID), consent.ForMarketing)(d)
		}, "photo_restricted"},
		"revoked": {copied, func(d *consent.Derivation) { event(consent.Revoked, string(d.Authorization))(d) }, "authorization_revoked"},
		"revoked, while another stands": {copied, func(d *consent.Derivation) {
			event(consent.Revoked, string(d.Authorization))(d)
			d.Record.Authorizations = append(d.Record.Authorizations, complete())
		}, "authorization_revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			d := c.of()
			c.change(&d)
			a, decision := consent.DecideDerive(d)
			if a != nil || decision.Allowed || decision.Refusals[0].Code != c.code || len(decision.Basis) != 0 {
				t.Errorf("got %+v, want %s", decision, c.code)
			}
		})
	}
}

func TestADerivePermitOpensEachSourceOnceAndStoresOnce(t *testing.T) {
	d := copied()
	second := consent.Photo{ID: id.New[id.Photo](), Patient: patient, Ready: true}
	d.Sources = append(d.Sources, consent.Source{Photo: second, Rendition: consent.Thumb})
	approval, _ := consent.DecideDerive(d)
	for name, c := range map[string]*derives{"lost fence": {}, "unknown result": {ok: true, err: errors.New("unknown")}} {
		if p, err := consent.CommitDerive(t.Context(), c, approval); p != nil || err == nil {
			t.Errorf("%s: a permit was minted, %v", name, err)
		}
	}
	for name, a := range map[string]*consent.DeriveApproval{"nil": nil, "zero": {}} {
		if p, err := consent.CommitDerive(t.Context(), &derives{ok: true}, a); p != nil || err == nil {
			t.Errorf("the %s approval was committed", name)
		}
	}
	c := &derives{ok: true}
	p, err := consent.CommitDerive(t.Context(), c, approval)
	if err != nil {
		t.Fatal(err)
	}
	if e := c.entry; e.Action != audit.PhotoDerive || e.Outcome != audit.Intent || e.Subject != string(d.Authorization) || len(e.Records) != 5 {
		t.Errorf("the intent is %+v", e)
	}
	refused := func(list map[string]error) {
		t.Helper()
		for name, err := range list {
			if !errors.Is(err, consent.ErrNoPermit) {
				t.Errorf("%s: %v, want ErrNoPermit", name, err)
			}
		}
	}
	refused(map[string]error{
		"nil":               (*consent.DerivePermit)(nil).Spend(practice, photo, consent.Web),
		"zero":              new(consent.DerivePermit).Spend("", "", ""),
		"zero stores":       new(consent.DerivePermit).Store("", "", "", ""),
		"another practice":  p.Spend(id.New[id.Practice](), photo, consent.Web),
		"another rendition": p.Spend(practice, photo, consent.Original),
		"another's form":    p.Spend(practice, second.ID, consent.Web),
		"stored unopened":   p.Store(practice, photo, consent.Web, d.Authorization),
	})
	for _, s := range d.Sources {
		if err := p.Spend(practice, s.Photo.ID, s.Rendition); err != nil {
			t.Fatal(err)
		}
	}
	refused(map[string]error{
		"opened twice":           p.Spend(practice, photo, consent.Web),
		"stored for care":        p.Store(practice, photo, consent.Web, ""),
		"stored as another form": p.Store(practice, photo, consent.Masked, d.Authorization),
		"stored elsewhere":       p.Store(practice, second.ID, consent.Web, d.Authorization),
	})
	if err := p.Store(practice, photo, consent.Web, d.Authorization); err != nil {
		t.Fatal(err)
	}
	refused(map[string]error{"stored twice": p.Store(practice, photo, consent.Web, d.Authorization)})
	if e := p.Outcome(audit.Failed, "unavailable"); e.Outcome != audit.Failed || e.Reason != "unavailable" || c.entry.Outcome != audit.Intent {
		t.Errorf("outcome %+v", e)
	}
}
