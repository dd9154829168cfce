package catalog_test

import (
	"testing"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/catalog"
	"photovault/vault/id"
	"photovault/vault/vaulttest"
)

func furnished(b *testing.B) (*store, *catalog.DB, *vaulttest.Furnished) {
	b.Helper()
	s := newStore(b)
	db := s.open(b)
	return s, db, vaulttest.Furnish(b, db, s.practice)
}

// redeem is the catalog's part of one redemption.
func redeem(b *testing.B, db *catalog.DB, f *vaulttest.Furnished) {
	rel, err := db.Release(b.Context(), f.Token.Hash)
	must(b, err)
	// Each use under a token of its own, so that the uses read do not grow.
	use := consent.Use{Practice: f.Practice, Token: id.New[id.Token](), N: 1}
	ok, err := db.ForPractice(f.Practice).CommitUse(b.Context(), f.Fence(rel.Record.Epoch), use,
		&audit.Entry{Action: audit.Release, Outcome: audit.Intent, Patient: f.Patient.ID, Photo: f.Ready.ID, Records: []string{"rule/164.506(c)"}})
	if !ok || err != nil {
		b.Fatal(ok, err)
	}
}

func BenchmarkRedemption(b *testing.B) {
	_, db, f := furnished(b)
	b.ReportAllocs()
	before := db.RoundTrips()
	for b.Loop() {
		redeem(b, db, f)
	}
	b.ReportMetric(float64(db.RoundTrips()-before)/float64(b.N), "roundtrips/op")
}

func BenchmarkRedemptionAtOnce(b *testing.B) {
	_, db, f := furnished(b)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			redeem(b, db, f)
		}
	})
}

// BenchmarkRedemptionFloor is the same database doing the least that a
// redemption can: one row found by a hash, two rows written durably; nothing
// sealed, checked or logged.
func BenchmarkRedemptionFloor(b *testing.B) {
	s, db, f := furnished(b)
	must(b, db.Close())
	raw := s.raw(b)
	raw.SetMaxOpenConns(1)
	_, err := raw.Exec(`PRAGMA synchronous=FULL`)
	must(b, err)
	find, err := raw.Prepare(`SELECT sealed FROM token WHERE hash = ?`)
	must(b, err)
	row := make([]byte, 400)
	b.ReportAllocs()
	for b.Loop() {
		var sealed []byte
		must(b, find.QueryRow(f.Token.Hash[:]).Scan(&sealed))
		tx, err := raw.Begin()
		must(b, err)
		_, err = tx.Exec(`INSERT INTO token_use (practice, token, n, version, sealed) VALUES (?, ?, 1, 1, ?)`, s.practice, id.New[id.Token](), row[:250])
		must(b, err)
		_, err = tx.Exec(`INSERT INTO audit_entry (practice, id, ord, patient, sealed, mac) VALUES (?, ?, 1, ?, ?, ?)`,
			s.practice, id.New[id.Entry](), f.Patient.ID, row, row[:32])
		must(b, err)
		must(b, tx.Commit())
	}
}

// BenchmarkRelease reads and decides nothing: one query, ten rows opened.
func BenchmarkRelease(b *testing.B) {
	_, db, f := furnished(b)
	b.ReportAllocs()
	for b.Loop() {
		_, err := db.Release(b.Context(), f.Token.Hash)
		must(b, err)
	}
}

func BenchmarkWriteAudit(b *testing.B) {
	_, db, f := furnished(b)
	c := db.ForPractice(f.Practice)
	b.ReportAllocs()
	for b.Loop() {
		must(b, c.WriteAudit(b.Context(), &audit.Entry{Action: audit.PatientFind, Outcome: audit.Allowed, Patient: f.Patient.ID}))
	}
}

// BenchmarkIntegrate gives one entry its number, in batches of 500.
func BenchmarkIntegrate(b *testing.B) {
	_, db, f := furnished(b)
	c := db.ForPractice(f.Practice)
	const batch = 500
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for range batch {
			must(b, c.WriteAudit(b.Context(), &audit.Entry{Action: audit.PatientFind, Outcome: audit.Allowed, Patient: f.Patient.ID}))
		}
		b.StartTimer()
		got, _, err := c.Integrate(b.Context(), batch)
		must(b, err)
		n += got
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/entry")
}
