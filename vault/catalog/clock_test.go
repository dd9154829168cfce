package catalog_test

import (
	"errors"
	"testing"
	"time"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/catalog"
	"photovault/vault/vaulttest"
)

func openWithClock(t *testing.T, s *store, now *time.Time) *catalog.DB {
	t.Helper()
	db, err := catalog.OpenSQLite(t.Context(), s.path, s.keys, catalog.Options{Practice: s.practice, Now: func() time.Time { return *now }})
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

func TestEntriesKeepTheirOrderWhenTheClockDoesNot(t *testing.T) {
	s := newStore(t)
	now := time.Now()
	c := openWithClock(t, s, &now).ForPractice(s.practice)
	for i, step := range []time.Duration{0, 0, time.Second, -time.Hour, 0, time.Nanosecond} {
		now = now.Add(step)
		must(t, c.WriteAudit(t.Context(), &audit.Entry{Action: audit.AuditRead, Count: i + 1}))
	}
	_, _, err := c.Integrate(t.Context(), 100)
	must(t, err)
	next := 0 // the first is the practice's creation
	must(t, c.AuditRecords(t.Context(), 0, func(r audit.Record) error {
		e, err := audit.Decode(r.Encoded)
		if e.Count != next {
			t.Errorf("entry %d stands at %d", e.Count, next)
		}
		next++
		return err
	}))
}

func TestReleaseIsDecidedOnTheClockGiven(t *testing.T) {
	s := newStore(t)
	now := time.Now().Add(time.Minute) // what Furnish signs is in force by then
	db := openWithClock(t, s, &now)
	f := vaulttest.Furnish(t, db, s.practice)
	now = now.Add(30 * time.Minute)
	rel, err := db.Release(t.Context(), f.Token.Hash)
	must(t, err)
	if !rel.Now.Equal(now.Truncate(time.Millisecond)) {
		t.Errorf("%v, want %v", rel.Now, now)
	}
}

// A finished upload says so until it expires; one that has begun to expire
// without being finished is left to whoever ends it.
func TestFinishedUploadIsForgottenWhenItExpires(t *testing.T) {
	s := newStore(t)
	now := time.Now().Add(time.Minute) // what Furnish signs is in force by then
	db := openWithClock(t, s, &now)
	f := vaulttest.Furnish(t, db, s.practice)
	c := db.ForPractice(s.practice)
	look := func() (finished, unfinished error) {
		_, err := db.TakeDead(t.Context(), now.Add(-time.Hour), 100)
		must(t, err)
		_, _, finished = c.UploadOf(t.Context(), f.Ready.ID)
		_, _, unfinished = c.UploadOf(t.Context(), f.Declared.ID)
		return finished, unfinished
	}
	if finished, unfinished := look(); finished != nil || unfinished != nil {
		t.Errorf("too early: %v, %v", finished, unfinished)
	}
	now = now.Add(24 * time.Hour)
	if finished, unfinished := look(); !errors.Is(finished, vault.ErrNotFound) || unfinished != nil {
		t.Errorf("expired: %v, %v", finished, unfinished)
	}
}
