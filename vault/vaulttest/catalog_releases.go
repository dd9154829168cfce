package vaulttest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func fence(p *vault.Patient, epoch int64, by *vault.Account) consent.Fence {
	return consent.Fence{Patient: p.ID, Epoch: epoch, Account: by.ID, Version: by.Version}
}

func testReleases(t *testing.T, s *shelf) {
	ctx := t.Context()
	by, _ := s.account(t, consent.Provider)
	p := s.patient(t)
	cl, au := s.clinical(t, p.ID), s.authorization(t, p.ID)
	photo := s.ready(t, p.ID, by.ID)
	token := s.token(t, photo, by.ID)
	release := func(t *testing.T) *vault.Release {
		t.Helper()
		r, err := s.Catalogs.Release(ctx, token.Hash)
		must(t, err)
		return r
	}
	t.Run("a release holds all that it is decided on and opened with", func(t *testing.T) {
		got := release(t)
		if d := time.Since(got.Now); d < -time.Second || d > time.Minute || got.Now.Location() != time.UTC {
			t.Errorf("the clock shows %v", got.Now)
		}
		record, err := s.c.Record(ctx, p.ID)
		must(t, err)
		if len(record.Clinicals) != 1 || record.Clinicals[0].ID != cl.ID || len(record.Authorizations) != 1 || record.Authorizations[0].ID != au.ID {
			t.Errorf("record %+v", record)
		}
		want := &vault.Release{
			Redemption: consent.Redemption{Now: got.Now, Token: *token, Record: record, Photo: photo.Subject(), HolderActive: true, HolderVersion: by.Version,
				Holder: consent.Principal{Practice: s.Practice, Account: by.ID, Role: by.Role}},
			Photo: photo, Key: &vault.PhotoKey{Photo: photo.ID, Wrapped: []byte("wrapped")},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if a, refusal := consent.DecideUse(&got.Redemption); a == nil {
			t.Errorf("refused: %+v", refusal)
		}
	})
	t.Run("a token of no photo is not issued", func(t *testing.T) {
		for name, change := range map[string]func(*consent.Token){
			"unknown photo":   func(k *consent.Token) { k.Photo = id.New[id.Photo]() },
			"another patient": func(k *consent.Token) { k.Patient = id.New[id.Patient]() },
		} {
			k := *token
			k.ID, k.Hash = id.New[id.Token](), consent.NewBearer(consent.TokenPrefix).Hash()
			change(&k)
			if err := s.logs(t, 0, func() error { return s.addToken(ctx, &k, s.entry(audit.TokenIssue)) }); err == nil {
				t.Errorf("%s: issued", name)
			}
		}
	})
	t.Run("a token writes one entry", func(t *testing.T) {
		must(t, s.logs(t, 1, func() error { s.token(t, photo, by.ID); return nil }))
		wantNothingWithoutEntry(t, func(ctx context.Context) error {
			k := *token
			k.ID, k.Hash = id.New[id.Token](), consent.NewBearer(consent.TokenPrefix).Hash()
			return s.addToken(ctx, &k, nil)
		})
	})
	t.Run("an unknown token is not found", func(t *testing.T) {
		_, err := s.Catalogs.Release(ctx, consent.NewBearer(consent.TokenPrefix).Hash())
		wantError(t, err, vault.ErrNotFound)
	})
	use := consent.Use{Practice: s.Practice, Token: token.ID, N: 1, Outcome: consent.UseBegun}
	commit := func(t *testing.T, u consent.Use, epoch int64, entries int) bool {
		t.Helper()
		var ok bool
		must(t, s.logs(t, entries, func() (err error) {
			ok, err = s.c.CommitUse(ctx, fence(p, epoch, by), u, s.entry(audit.Release))
			return err
		}))
		return ok
	}
	t.Run("a use needs the patient's epoch", func(t *testing.T) {
		epoch := release(t).Record.Epoch
		for _, wrong := range []int64{epoch - 1, epoch + 1} {
			if commit(t, use, wrong, 0) {
				t.Errorf("committed at epoch %d instead of %d", wrong, epoch)
			}
		}
		if len(release(t).Uses) != 0 {
			t.Error("a use remains")
		}
	})
	t.Run("a use is committed once, with its entry", func(t *testing.T) {
		wantNothingWithoutEntry(t, func(ctx context.Context) error {
			_, err := s.c.CommitUse(ctx, fence(p, release(t).Record.Epoch, by), use, nil)
			return err
		})
		if !commit(t, use, release(t).Record.Epoch, 1) {
			t.Fatal("not committed")
		}
		if commit(t, use, release(t).Record.Epoch, 0) {
			t.Error("committed twice")
		}
		if d := cmp.Diff([]consent.Use{use}, release(t).Uses); d != "" {
			t.Error(d)
		}
	})
	t.Run("how a delivery ended is recorded once", func(t *testing.T) {
		must(t, s.logs(t, 1, func() error { return s.c.FinishUse(ctx, use, consent.UseIncomplete, s.entry(audit.Release)) }))
		done := use
		done.Outcome = consent.UseIncomplete
		if d := cmp.Diff([]consent.Use{done}, release(t).Uses); d != "" {
			t.Error(d)
		}
		wantError(t, s.logs(t, 0, func() error { return s.c.FinishUse(ctx, use, consent.UseComplete, s.entry(audit.Release)) }), vault.ErrConflict)
		unknown := use
		unknown.N = 9
		wantError(t, s.c.FinishUse(ctx, unknown, consent.UseComplete, s.entry(audit.Release)), vault.ErrNotFound)
	})
	t.Run("uses come in order", func(t *testing.T) {
		for n := 2; n <= 12; n++ {
			u := use
			u.N = n
			if !commit(t, u, release(t).Record.Epoch, 1) {
				t.Fatalf("use %d was not committed", n)
			}
		}
		for i, u := range release(t).Uses {
			if u.N != i+1 {
				t.Errorf("use %d stands at %d", u.N, i+1)
			}
		}
	})
	t.Run("a revocation shows at once and ends the epoch", func(t *testing.T) {
		before := release(t).Record.Epoch
		must(t, s.c.AddEvent(ctx, s.event(p.ID, consent.Revoked, string(au.ID)), s.entry(audit.ConsentRevoke)))
		r := release(t)
		if r.Record.Epoch != before+1 || len(r.Record.Events) != 1 {
			t.Errorf("record %+v", r.Record)
		}
		u := use
		u.N = 13
		if commit(t, u, before, 0) {
			t.Error("a use was committed on the state before the revocation")
		}
	})
	t.Run("versions are of many rows at once, leaving out unknown ones", func(t *testing.T) {
		other, ca := s.patient(t), s.campaign(t)
		got, err := s.c.Versions(ctx, vault.Standing{Patients: []id.Patient{p.ID, other.ID, id.New[id.Patient]()},
			Accounts: []id.Account{by.ID, id.New[id.Account]()}, Campaigns: []id.Campaign{ca.ID}})
		must(t, err)
		want := vault.Versions{Patients: map[id.Patient]int64{p.ID: release(t).Record.Epoch, other.ID: 0},
			Accounts: map[id.Account]int64{by.ID: 1}, Campaigns: map[id.Campaign]int64{ca.ID: 1}}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if none, err := s.c.Versions(ctx, vault.Standing{}); err != nil || len(none.Patients)+len(none.Accounts)+len(none.Campaigns) != 0 {
			t.Errorf("%v, %v", none, err)
		}
	})
	t.Run("a use needs the account as it was", func(t *testing.T) {
		gone, _ := s.account(t, consent.Provider)
		theirs := s.token(t, photo, gone.ID)
		epoch := release(t).Record.Epoch
		must(t, s.c.RevokeAccount(ctx, gone.ID, s.entry(audit.AccountRevoke)))
		ok, err := s.c.CommitUse(ctx, fence(p, epoch, gone), consent.Use{Practice: s.Practice, Token: theirs.ID, N: 1}, s.entry(audit.Release))
		if ok || err != nil {
			t.Errorf("a use was committed on an account that was revoked meanwhile: %t, %v", ok, err)
		}
	})
	t.Run("the holder is the account as it is now", func(t *testing.T) {
		must(t, s.c.RevokeAccount(ctx, by.ID, s.entry(audit.AccountRevoke)))
		if release(t).HolderActive {
			t.Error("a revoked account holds a token")
		}
	})
}

// testUseAgainstRevocation: after AddEvent returned, no use on the older epoch
// is committed; and what was committed came before, in the log too.
func testUseAgainstRevocation(t *testing.T, s *shelf) {
	ctx := t.Context()
	by, _ := s.account(t, consent.Provider)
	p := s.patient(t)
	photo := s.ready(t, p.ID, by.ID)
	const rounds, users = 200, 3
	var before, late int
	for round := range rounds {
		au := s.authorization(t, p.ID)
		token := s.token(t, photo, by.ID)
		versions, err := s.c.Versions(ctx, vault.Standing{Patients: []id.Patient{p.ID}})
		must(t, err)
		epochs := versions.Patients
		type result struct {
			ok, began bool // began: after the revocation was acknowledged
			err       error
		}
		results, revoked := make(chan result), make(chan struct{})
		for n := range users {
			go func() {
				var r result
				select {
				case <-revoked:
					r.began = true
				default:
				}
				r.ok, r.err = s.c.CommitUse(ctx, fence(p, epochs[p.ID], by), consent.Use{Practice: s.Practice, Token: token.ID, N: n + 1}, s.entry(audit.Release))
				results <- r
			}()
		}
		go func() {
			r := result{err: s.c.AddEvent(ctx, s.event(p.ID, consent.Revoked, string(au.ID)), s.entry(audit.ConsentRevoke))}
			close(revoked)
			r.ok, _ = s.c.CommitUse(ctx, fence(p, epochs[p.ID], by), consent.Use{Practice: s.Practice, Token: token.ID, N: users + 1}, s.entry(audit.Release))
			r.began = true
			results <- r
		}()
		for range users + 1 {
			r := <-results
			must(t, r.err)
			if r.ok && r.began {
				t.Fatalf("round %d: a use was committed after the revocation was acknowledged", round)
			}
			if r.ok {
				before++
			} else {
				late++
			}
		}
	}
	t.Logf("%d uses came before their revocation, %d too late", before, late)
	revoked := false
	must(t, s.c.PatientAudit(ctx, p.ID, func(audit.Record) error { return nil }))
	_, _, err := s.c.Integrate(ctx, 100000)
	must(t, err)
	must(t, s.c.AuditRecords(ctx, 0, func(r audit.Record) error {
		e, err := audit.Decode(r.Encoded)
		if err != nil {
			return err
		}
		switch e.Action {
		case audit.AuthorizeRecord:
			revoked = false
		case audit.ConsentRevoke:
			revoked = true
		case audit.Release:
			if revoked {
				t.Errorf("entry %d: a release stands after its revocation", r.Seq)
			}
		}
		return nil
	}))
}

func testUseTakenOnce(t *testing.T, s *shelf) {
	ctx := t.Context()
	by, _ := s.account(t, consent.Provider)
	p := s.patient(t)
	photo := s.ready(t, p.ID, by.ID)
	for range 50 {
		token := s.token(t, photo, by.ID)
		won := make(chan bool)
		const n = 4
		before := s.entries(t)
		for range n {
			go func() {
				ok, err := s.c.CommitUse(ctx, fence(p, 0, by), consent.Use{Practice: s.Practice, Token: token.ID, N: 1}, s.entry(audit.Release))
				won <- ok && err == nil
			}()
		}
		wins := 0
		for range n {
			if <-won {
				wins++
			}
		}
		if entries := s.entries(t) - before; wins != 1 || entries != 1 {
			t.Fatalf("%d of %d took the same use, with %d entries", wins, n, entries)
		}
	}
}

// testPracticesApart: what one practice has, another does not find.
func testPracticesApart(t *testing.T, s *shelf) {
	ctx := t.Context()
	by, _ := s.account(t, consent.Provider)
	p := s.patient(t)
	cl := s.clinical(t, p.ID)
	photo := s.ready(t, p.ID, by.ID)
	u := s.upload(t, s.declared(t, p.ID, by.ID), 100)
	token := s.token(t, photo, by.ID)
	other := s.Catalogs.ForPractice(s.Other)
	entry := func() *audit.Entry { return s.entry(audit.PatientFind) }
	for name, err := range map[string]error{
		"patient":          second(other.Patient(ctx, p.ID)),
		"record number":    second(other.PatientByRecordNumber(ctx, p.RecordNumber)),
		"record":           second(other.Record(ctx, p.ID)),
		"consent":          second(other.PatientOf(ctx, string(cl.ID))),
		"photo":            second(other.Photo(ctx, photo.ID)),
		"upload":           third(other.Upload(ctx, u.ID)),
		"upload of":        third(other.UploadOf(ctx, photo.ID)),
		"end of an upload": other.EndUpload(ctx, u.ID, entry()),
		"account":          other.RevokeAccount(ctx, by.ID, entry()),
		"deletion":         second(other.DeletePhoto(ctx, photo.ID, s.event(p.ID, consent.Deleted, string(photo.ID)), entry())),
		"event":            other.AddEvent(ctx, s.event(p.ID, consent.Revoked, string(cl.ID)), entry()),
	} {
		if err == nil {
			t.Errorf("%s: another practice's was found", name)
		} else {
			wantError(t, err, vault.ErrNotFound)
		}
	}
	if list, err := other.PhotosOf(ctx, p.ID); err != nil || len(list) != 0 {
		t.Errorf("%d photos, %v", len(list), err)
	}
	if list, err := other.ListAccounts(ctx); err != nil || len(list) != 0 {
		t.Errorf("%d accounts, %v", len(list), err)
	}
	if list, err := other.DeadObjects(ctx, string(photo.ID)); err != nil || len(list) != 0 {
		t.Errorf("%d objects, %v", len(list), err)
	}
	if got, err := other.Versions(ctx, vault.Standing{Patients: []id.Patient{p.ID}, Accounts: []id.Account{by.ID}}); err != nil || len(got.Patients)+len(got.Accounts) != 0 {
		t.Errorf("epochs %v, %v", got, err)
	}
	if ok, _ := other.CommitUse(ctx, fence(p, 1, by), consent.Use{Practice: s.Other, Token: token.ID, N: 1}, entry()); ok {
		t.Error("another practice used the token")
	}
	// The same record number is no conflict.
	twin := &vault.Patient{ID: id.New[id.Patient](), Practice: s.Other, RecordNumber: p.RecordNumber, CreatedAt: s.now}
	must(t, other.AddPatient(ctx, twin, nil, entry()))
	wantError(t, second(s.Catalogs.ForPractice(id.New[id.Practice]()).Patient(ctx, p.ID)), vault.ErrNotFound)
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }
