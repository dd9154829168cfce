package vaulttest

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func testAccounts(t *testing.T, s *shelf) {
	ctx := t.Context()
	a, c := s.account(t, consent.Provider)
	t.Run("a credential leads to its account", func(t *testing.T) {
		gotA, gotC, err := s.Catalogs.Holder(ctx, c.Hash)
		must(t, err)
		if d := cmp.Diff(a, gotA) + cmp.Diff(c, gotC); d != "" {
			t.Error(d)
		}
	})
	t.Run("an unknown credential is not found", func(t *testing.T) {
		_, _, err := s.Catalogs.Holder(ctx, consent.NewBearer(consent.CredentialPrefix).Hash())
		wantError(t, err, vault.ErrNotFound)
	})
	t.Run("accounts are listed", func(t *testing.T) {
		b, _ := s.account(t, consent.Admin)
		list, err := s.c.ListAccounts(ctx)
		must(t, err)
		for _, want := range []*vault.Account{a, b} {
			if !slices.ContainsFunc(list, func(got *vault.Account) bool { return cmp.Equal(got, want) }) {
				t.Errorf("%s is missing", want.Name)
			}
		}
	})
	t.Run("adding writes one entry", func(t *testing.T) {
		a, c, _, err := newAccount(s.Practice, "One more", consent.EMR, s.now)
		must(t, err)
		must(t, s.logs(t, 1, func() error { return s.c.AddAccount(ctx, a, c, s.entry(audit.AccountCreate)) }))
		wantNothingWithoutEntry(t, func(ctx context.Context) error {
			a, c, _, _ := newAccount(s.Practice, "Another", consent.EMR, s.now)
			return s.c.AddAccount(ctx, a, c, nil)
		})
	})
	t.Run("revoking ends the account and its credentials, twice is no error", func(t *testing.T) {
		for range 2 {
			must(t, s.logs(t, 1, func() error { return s.c.RevokeAccount(ctx, a.ID, s.entry(audit.AccountRevoke)) }))
		}
		_, _, err := s.Catalogs.Holder(ctx, c.Hash)
		wantError(t, err, vault.ErrNotFound)
		list, err := s.c.ListAccounts(ctx)
		must(t, err)
		i := slices.IndexFunc(list, func(got *vault.Account) bool { return got.ID == a.ID })
		if i < 0 || list[i].Active() || list[i].Version != a.Version+1 {
			t.Errorf("the account is %+v", list[i])
		}
	})
	t.Run("revoking an unknown account is not found and writes nothing", func(t *testing.T) {
		err := s.logs(t, 0, func() error { return s.c.RevokeAccount(ctx, id.New[id.Account](), s.entry(audit.AccountRevoke)) })
		wantError(t, err, vault.ErrNotFound)
	})
}

func testPatients(t *testing.T, s *shelf) {
	ctx := t.Context()
	p := s.patient(t)
	t.Run("found by id and by record number", func(t *testing.T) {
		byID, err := s.c.Patient(ctx, p.ID)
		must(t, err)
		byNumber, err := s.c.PatientByRecordNumber(ctx, p.RecordNumber)
		must(t, err)
		if d := cmp.Diff(p, byID) + cmp.Diff(p, byNumber); d != "" {
			t.Error(d)
		}
	})
	t.Run("a record number is the same in any case and with spaces around", func(t *testing.T) {
		got, err := s.c.PatientByRecordNumber(ctx, " mrn-1\t")
		must(t, err)
		if got.ID != p.ID {
			t.Errorf("found %s", got.ID)
		}
	})
	t.Run("a record number that is taken is a conflict and writes nothing", func(t *testing.T) {
		twin := &vault.Patient{ID: id.New[id.Patient](), Practice: s.Practice, RecordNumber: p.RecordNumber, CreatedAt: s.now}
		err := s.logs(t, 0, func() error { return s.c.AddPatient(ctx, twin, nil, s.entry(audit.PatientCreate)) })
		wantConflict(t, err, "record_number_taken")
		_, err = s.c.Patient(ctx, twin.ID)
		wantError(t, err, vault.ErrNotFound)
	})
	t.Run("adding writes one entry", func(t *testing.T) {
		p := &vault.Patient{ID: id.New[id.Patient](), Practice: s.Practice, RecordNumber: "other", CreatedAt: s.now}
		wantNothingWithoutEntry(t, func(ctx context.Context) error { return s.c.AddPatient(ctx, p, nil, nil) })
		must(t, s.logs(t, 1, func() error { return s.c.AddPatient(ctx, p, nil, s.entry(audit.PatientCreate)) }))
	})
	t.Run("unknown is not found", func(t *testing.T) {
		_, err := s.c.Patient(ctx, id.New[id.Patient]())
		wantError(t, err, vault.ErrNotFound)
		_, err = s.c.PatientByRecordNumber(ctx, "none")
		wantError(t, err, vault.ErrNotFound)
	})
}

func testRecords(t *testing.T, s *shelf) {
	ctx := t.Context()
	p := s.patient(t)
	record := func(t *testing.T) *consent.Record {
		t.Helper()
		r, err := s.c.Record(ctx, p.ID)
		must(t, err)
		return r
	}
	t.Run("a new patient's record is empty, at epoch 0", func(t *testing.T) {
		if d := cmp.Diff(&consent.Record{Practice: s.Practice, Patient: p.ID}, record(t)); d != "" {
			t.Error(d)
		}
	})
	var cl *consent.Clinical
	var au *consent.Authorization
	t.Run("each addition is kept whole, moves the epoch by one and writes one entry", func(t *testing.T) {
		must(t, s.logs(t, 1, func() error { cl = s.clinical(t, p.ID); return nil }))
		must(t, s.logs(t, 1, func() error { au = s.authorization(t, p.ID); return nil }))
		ev := s.event(p.ID, consent.Revoked, string(cl.ID))
		must(t, s.logs(t, 1, func() error { return s.c.AddEvent(ctx, ev, s.entry(audit.ConsentRevoke)) }))
		want := &consent.Record{Practice: s.Practice, Patient: p.ID, Epoch: 3, Clinicals: []consent.Clinical{*cl},
			Authorizations: []consent.Authorization{*au}, Events: []consent.Event{*ev}}
		if d := cmp.Diff(want, record(t)); d != "" {
			t.Error(d)
		}
	})
	t.Run("an event twice is a conflict", func(t *testing.T) {
		err := s.logs(t, 0, func() error {
			return s.c.AddEvent(ctx, s.event(p.ID, consent.Revoked, string(cl.ID)), s.entry(audit.ConsentRevoke))
		})
		wantConflict(t, err, "already_revoked")
	})
	t.Run("another kind of event on the same subject is not", func(t *testing.T) {
		must(t, s.c.AddEvent(ctx, s.event(p.ID, consent.Expired, string(au.ID)), s.entry(audit.ConsentRevoke)))
		must(t, s.c.AddEvent(ctx, s.event(p.ID, consent.Revoked, string(au.ID)), s.entry(audit.ConsentRevoke)))
	})
	t.Run("an event needs its subject in this patient's record", func(t *testing.T) {
		other := s.patient(t)
		theirs := s.authorization(t, other.ID)
		for name, ev := range map[string]*consent.Event{
			"unknown":                    s.event(p.ID, consent.Revoked, string(id.New[id.Consent]())),
			"another patient's":          s.event(p.ID, consent.Revoked, string(theirs.ID)),
			"a clinical consent expires": s.event(p.ID, consent.Expired, string(cl.ID)),
			"unknown patient":            s.event(id.New[id.Patient](), consent.Revoked, string(cl.ID)),
		} {
			if err := s.c.AddEvent(ctx, ev, s.entry(audit.ConsentRevoke)); err == nil {
				t.Errorf("%s: accepted", name)
			} else {
				wantError(t, err, vault.ErrNotFound)
			}
		}
	})
	t.Run("a deletion cannot be slipped in as an event", func(t *testing.T) {
		before := record(t).Epoch
		if s.c.AddEvent(ctx, s.event(p.ID, consent.Deleted, string(au.ID)), s.entry(audit.PhotoDelete)) == nil {
			t.Error("accepted")
		}
		if got := record(t).Epoch; got != before {
			t.Errorf("epoch %d, want %d", got, before)
		}
	})
	t.Run("nothing is added for an unknown patient or without an entry", func(t *testing.T) {
		c := &consent.Clinical{ID: id.New[id.Consent](), Practice: s.Practice, Patient: id.New[id.Patient]()}
		wantError(t, s.c.AddClinical(ctx, c, s.entry(audit.ConsentRecord)), vault.ErrNotFound)
		c.Patient = p.ID
		wantNothingWithoutEntry(t, func(ctx context.Context) error { return s.c.AddClinical(ctx, c, nil) })
		a := &consent.Authorization{ID: id.New[id.Authorization](), Practice: s.Practice, Patient: p.ID}
		wantNothingWithoutEntry(t, func(ctx context.Context) error { return s.c.AddAuthorization(ctx, a, nil) })
		wantNothingWithoutEntry(t, func(ctx context.Context) error {
			return s.c.AddEvent(ctx, s.event(p.ID, consent.Revoked, string(s.clinical(t, p.ID).ID)), nil)
		})
	})
	t.Run("a row belongs to the practice it is added to", func(t *testing.T) {
		c := &consent.Clinical{ID: id.New[id.Consent](), Practice: s.Other, Patient: p.ID}
		if s.c.AddClinical(ctx, c, s.entry(audit.ConsentRecord)) == nil {
			t.Error("another practice's row was added")
		}
	})
	t.Run("a subject leads to its patient, an event does not", func(t *testing.T) {
		for _, subject := range []string{string(cl.ID), string(au.ID)} {
			got, err := s.c.PatientOf(ctx, subject)
			must(t, err)
			if got != p.ID {
				t.Errorf("%s, want %s", got, p.ID)
			}
		}
		for _, subject := range []string{string(record(t).Events[0].ID), string(id.New[id.Consent]())} {
			_, err := s.c.PatientOf(ctx, subject)
			wantError(t, err, vault.ErrNotFound)
		}
	})
	t.Run("patients with an authorization are listed once", func(t *testing.T) {
		s.authorization(t, p.ID)
		without := s.patient(t)
		s.clinical(t, without.ID)
		list, err := s.c.Authorized(ctx)
		must(t, err)
		n := 0
		for _, got := range list {
			if got == p.ID {
				n++
			}
			if got == without.ID {
				t.Error("a patient without one is listed")
			}
		}
		if n != 1 {
			t.Errorf("listed %d times", n)
		}
	})
	t.Run("an unknown patient has no record", func(t *testing.T) {
		_, err := s.c.Record(ctx, id.New[id.Patient]())
		wantError(t, err, vault.ErrNotFound)
	})
	t.Run("additions at the same time all count", func(t *testing.T) {
		before := record(t).Epoch
		errs := make(chan error)
		const n = 20
		for range n {
			go func() {
				c := &consent.Clinical{ID: id.New[id.Consent](), Practice: s.Practice, Patient: p.ID, RecordedAt: s.now}
				errs <- s.c.AddClinical(ctx, c, s.entry(audit.ConsentRecord))
			}()
		}
		for range n {
			must(t, <-errs)
		}
		if got := record(t).Epoch; got != before+n {
			t.Errorf("epoch %d, want %d", got, before+n)
		}
	})
}
