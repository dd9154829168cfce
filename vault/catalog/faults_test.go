package catalog_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/secret"
	"photovault/vault/vaulttest"
)

func TestRedemptionTakesTwoRoundTrips(t *testing.T) {
	s := newStore(t)
	db := s.open(t)
	f := vaulttest.Furnish(t, db, s.practice)
	before := db.RoundTrips()
	rel, err := db.Release(t.Context(), f.Token.Hash)
	must(t, err)
	ok, err := db.ForPractice(s.practice).CommitUse(t.Context(), f.Fence(rel.Record.Epoch),
		consent.Use{Practice: s.practice, Token: f.Token.ID, N: len(rel.Uses) + 1}, &audit.Entry{Action: audit.Release, Outcome: audit.Intent})
	must(t, err)
	if n := db.RoundTrips() - before; n != 2 || !ok {
		t.Errorf("%d round trips, committed: %t", n, ok)
	}
}

func TestCancelledContextsAreNotFaults(t *testing.T) {
	s := newStore(t)
	db := s.open(t)
	f := vaulttest.Furnish(t, db, s.practice)
	c := db.ForPractice(s.practice)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"read":    second(c.Record(ctx, f.Patient.ID)),
		"release": second(db.Release(ctx, f.Token.Hash)),
		"write":   c.WriteAudit(ctx, &audit.Entry{}),
		"ready":   db.Ready(ctx),
	} {
		if !errors.Is(err, context.Canceled) || errors.Is(err, vault.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, db.Ready(t.Context()))
}

// A full disk fails the change, its audit entry and the use; what was there
// before can still be read, and the catalog works again when there is room.
func TestFullDatabaseIsUnavailableAndLosesNothing(t *testing.T) {
	s := newStore(t)
	db := s.open(t)
	f := vaulttest.Furnish(t, db, s.practice)
	c := db.ForPractice(s.practice)
	_, err := db.Writer().Exec(`PRAGMA max_page_count = 1`) // at least as many as there are
	must(t, err)
	fill := &audit.Entry{Action: audit.PatientFind, Reason: strings.Repeat("x", 4000)}
	for err == nil {
		err = c.WriteAudit(t.Context(), fill)
	}
	if !errors.Is(err, vault.ErrUnavailable) {
		t.Errorf("full: %v", err)
	}
	ok, err := c.CommitUse(t.Context(), f.Fence(2), consent.Use{Practice: s.practice, Token: f.Token.ID, N: 3}, fill)
	if ok || !errors.Is(err, vault.ErrUnavailable) {
		t.Errorf("a use was committed: %t, %v", ok, err)
	}
	rel, err := db.Release(t.Context(), f.Token.Hash)
	must(t, err)
	if len(rel.Uses) != 2 {
		t.Errorf("%d uses, want 2", len(rel.Uses))
	}
	_, err = db.Writer().Exec(`PRAGMA max_page_count = 1000000`)
	must(t, err)
	must(t, c.WriteAudit(t.Context(), fill))
}

func TestErrorsHoldNoValues(t *testing.T) {
	s := newStore(t)
	db := s.open(t)
	f := vaulttest.Furnish(t, db, s.practice)
	c := db.ForPractice(s.practice)
	entry := &audit.Entry{Action: audit.PatientCreate}
	var errs []error
	errs = append(errs, c.AddPatient(t.Context(), &vault.Patient{ID: f.Patient.ID, Practice: s.practice, RecordNumber: "MRN-CANARY", Name: "Canary"}, nil, entry))
	errs = append(errs, c.AddAccount(t.Context(), f.Account, f.Credential, entry))
	errs = append(errs, c.AddClinical(t.Context(), f.Clinical, entry))
	errs = append(errs, c.PlanObjects(t.Context(), vault.Object{ID: f.Ready.Renditions[0].Object}))
	raw := s.raw(t)
	_, err := raw.Exec(`UPDATE photo SET version = 'CANARY-' || patient`)
	must(t, err)
	errs = append(errs, second(c.Photo(t.Context(), f.Ready.ID)))
	for i, err := range errs {
		if err == nil {
			t.Errorf("%d: accepted", i)
			continue
		}
		for _, secret := range []string{"CANARY", "Canary", string(f.Patient.ID), string(f.Account.ID), string(f.Ready.ID)} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%d: %v", i, err)
			}
		}
	}
	if err := errs[len(errs)-1]; !errors.Is(err, vault.ErrBroken) {
		t.Errorf("a text where a number belongs: %v", err)
	}
}

// An unwrap that fails for now must not make the practice unusable for good.
func TestKeyServiceOutageEnds(t *testing.T) {
	s := newStore(t)
	real := s.keys
	flaky := &flakyKeys{Service: real}
	s.keys = flaky
	db := s.open(t)
	flaky.down = true
	if _, err := db.ForPractice(s.practice).ListAccounts(t.Context()); !errors.Is(err, vault.ErrUnavailable) {
		t.Errorf("down: %v", err)
	}
	flaky.down = false
	if _, err := db.ForPractice(s.practice).ListAccounts(t.Context()); err != nil {
		t.Errorf("up again: %v", err)
	}
	flaky.down = true
	if _, err := db.ForPractice(s.practice).Patient(t.Context(), id.New[id.Patient]()); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("the keys in memory are not used: %v", err)
	}
}

// flakyKeys is a key service that can go down.
type flakyKeys struct {
	keys.Service
	down bool
}

func (f *flakyKeys) UnwrapDataKey(ctx context.Context, c keys.Context, wrapped []byte) (*secret.Key, error) {
	if f.down {
		return nil, keys.ErrUnavailable
	}
	return f.Service.UnwrapDataKey(ctx, c, wrapped)
}
