package vaulttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/keys"
)

func testAuditLog(t *testing.T, s *shelf) {
	ctx := t.Context()
	macKey, err := s.Catalogs.PracticeKey(ctx, s.Practice, keys.Audit)
	must(t, err)
	verify := func(t *testing.T, checkpoints ...audit.Checkpoint) audit.Report {
		t.Helper()
		v, err := audit.NewVerifier(s.Practice, macKey.Bytes(), checkpoints...)
		must(t, err)
		must(t, s.c.AuditRecords(ctx, 0, func(r audit.Record) error { _, err := v.Add(r); return err }))
		report, err := v.Finish()
		must(t, err)
		return report
	}
	last := func(t *testing.T) (e *audit.Entry) {
		t.Helper()
		must(t, s.c.AuditRecords(ctx, 0, func(r audit.Record) (err error) { e, err = audit.Decode(r.Encoded); return err }))
		return e
	}
	patient := id.New[id.Patient]()
	mark := s.entries(t)
	t.Run("an entry is kept as given, with id, practice and time filled in", func(t *testing.T) {
		wantNothingWithoutEntry(t, func(ctx context.Context) error { return s.c.WriteAudit(ctx, nil) })
		given := &audit.Entry{Actor: id.New[id.Account](), Role: "provider", Action: audit.Release, Outcome: audit.Intent, Reason: "r", Patient: patient,
			Photo: id.New[id.Photo](), Rendition: "web", Purpose: "marketing", Recipient: "our website", Channel: "website", Subject: "x", Use: 1,
			Count: 2, Source: "192.0.2.1", Records: []string{"authorization/1", "clinical/2"}}
		copied := *given
		must(t, s.c.WriteAudit(ctx, given))
		if d := cmp.Diff(&copied, given); d != "" {
			t.Errorf("the caller's entry was changed: %s", d)
		}
		got := last(t)
		if !id.Valid(string(got.ID)) || got.Practice != s.Practice || time.Since(got.At) > time.Minute || !got.At.Equal(got.At.Truncate(time.Millisecond)) {
			t.Errorf("filled in: %+v", got)
		}
		copied.ID, copied.Practice, copied.At = got.ID, got.Practice, got.At
		if d := cmp.Diff(&copied, got); d != "" {
			t.Error(d)
		}
	})
	t.Run("entries of a patient come oldest first", func(t *testing.T) {
		for _, reason := range []string{"a", "b", "c"} {
			must(t, s.c.WriteAudit(ctx, &audit.Entry{Action: audit.PatientFind, Outcome: audit.Allowed, Patient: patient, Reason: reason}))
			must(t, s.c.WriteAudit(ctx, s.entry(audit.AuditRead)))
		}
		var got string
		must(t, s.c.PatientAudit(ctx, patient, func(r audit.Record) error {
			e, err := audit.Decode(r.Encoded)
			got += e.Reason
			return err
		}))
		if got != "rabc" {
			t.Errorf("in the order %q", got)
		}
	})
	t.Run("entries wait for their number in the order they were written", func(t *testing.T) {
		if report := verify(t); report.Entries != 0 || report.Pending != int64(s.entries(t)) {
			t.Errorf("%+v", report)
		}
	})
	var points []audit.Checkpoint
	t.Run("integrating numbers and chains up to a limit, and says what the log is then", func(t *testing.T) {
		total, done := s.entries(t), 0
		for {
			n, c, err := s.c.Integrate(ctx, 3)
			must(t, err)
			if n > 3 {
				t.Fatalf("%d entries at once", n)
			}
			done += n
			if c.Practice != s.Practice || c.Size != int64(done) || c.Signature != nil || c.At.IsZero() {
				t.Errorf("checkpoint %+v after %d", c, done)
			}
			points = append(points, c)
			if n == 0 {
				break
			}
		}
		report := verify(t, points...)
		if done != total || report.Entries != int64(total) || report.Pending != 0 || report.Head != points[len(points)-1].Head {
			t.Errorf("%d of %d: %+v", done, total, report)
		}
	})
	t.Run("numbers follow the order of writing", func(t *testing.T) {
		var order string
		must(t, s.c.AuditRecords(ctx, int64(mark), func(r audit.Record) error {
			e, err := audit.Decode(r.Encoded)
			order += e.Reason
			return err
		}))
		if order != "rabc" {
			t.Errorf("in the order %q", order)
		}
	})
	t.Run("what is read can begin after a number and stop", func(t *testing.T) {
		must(t, s.c.WriteAudit(ctx, s.entry(audit.AuditRead)))
		var seqs []int64
		must(t, s.c.AuditRecords(ctx, 2, func(r audit.Record) error { seqs = append(seqs, r.Seq); return nil }))
		size := points[len(points)-1].Size
		if seqs[0] != 3 || int64(len(seqs)) != size-2+1 || seqs[len(seqs)-1] != 0 {
			t.Errorf("numbers %v of %d", seqs, size)
		}
		stop := errors.New("enough")
		n := 0
		err := s.c.AuditRecords(ctx, 0, func(audit.Record) error { n++; return stop })
		if !errors.Is(err, stop) || n != 1 {
			t.Errorf("%d entries, %v", n, err)
		}
	})
	t.Run("long logs are read and chained whole, while others write", func(t *testing.T) {
		const writers, each = 4, 300
		errs := make(chan error)
		for range writers {
			go func() {
				for range each {
					if err := s.c.WriteAudit(ctx, &audit.Entry{Action: audit.PatientFind, Outcome: audit.Allowed, Patient: patient}); err != nil {
						errs <- err
						return
					}
				}
				errs <- nil
			}()
		}
		done := 0
		for done < writers {
			select {
			case err := <-errs:
				must(t, err)
				done++
			default:
			}
			_, c, err := s.c.Integrate(ctx, 1000)
			must(t, err)
			verify(t, c)
		}
		n := 0
		must(t, s.c.PatientAudit(ctx, patient, func(audit.Record) error { n++; return nil }))
		if n != writers*each+4 {
			t.Errorf("%d entries of the patient, want %d", n, writers*each+4)
		}
	})
}

func testUploadKeys(t *testing.T, s *shelf) {
	ctx := t.Context()
	key := func(created time.Time) *vault.UploadKey {
		return &vault.UploadKey{ID: id.New[id.UploadKey](), Practice: s.Practice, Suite: 0x647a, Public: []byte("public"), Wrapped: []byte("wrapped"),
			CreatedAt: created, SealUntil: s.now.Add(24 * time.Hour), OpenUntil: s.now.Add(48 * time.Hour)}
	}
	list := func(t *testing.T) []*vault.UploadKey {
		t.Helper()
		l, err := s.c.UploadKeys(ctx)
		must(t, err)
		return l
	}
	first, second, third := key(s.now.Add(-2*time.Hour)), key(s.now.Add(-time.Hour)), key(s.now)
	t.Run("a key is kept whole, with one entry", func(t *testing.T) {
		wantNothingWithoutEntry(t, func(ctx context.Context) error { return s.c.AddUploadKey(ctx, first, nil) })
		must(t, s.logs(t, 1, func() error { return s.c.AddUploadKey(ctx, first, s.entry(audit.UploadKeysRotate)) }))
		if d := cmp.Diff([]*vault.UploadKey{first}, list(t)); d != "" {
			t.Error(d)
		}
	})
	t.Run("rotating adds keys and ends sealing to older ones, which still open", func(t *testing.T) {
		wantNothingWithoutEntry(t, func(ctx context.Context) error { return s.c.RotateUploadKeys(ctx, nil, s.now, nil) })
		must(t, s.logs(t, 1, func() error {
			return s.c.RotateUploadKeys(ctx, []*vault.UploadKey{second, third}, s.now, s.entry(audit.UploadKeysRotate))
		}))
		ended := *first
		ended.SealUntil = s.now
		if d := cmp.Diff([]*vault.UploadKey{&ended, second, third}, list(t)); d != "" {
			t.Error(d)
		}
	})
	t.Run("a key that ended before is not prolonged", func(t *testing.T) {
		must(t, s.c.RotateUploadKeys(ctx, nil, s.now.Add(time.Hour), s.entry(audit.UploadKeysRotate)))
		for i, want := range []time.Time{s.now, s.now.Add(time.Hour), s.now.Add(time.Hour)} {
			if got := list(t)[i].SealUntil; !got.Equal(want) {
				t.Errorf("key %d: %v, want %v", i, got, want)
			}
		}
	})
}
