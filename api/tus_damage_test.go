package api_test

import (
	"bytes"
	"database/sql"
	"slices"
	"testing"
	"time"

	"photovault/api"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
)

// arrived sends a photo whole while the key service does not answer, and waits
// until an attempt at taking it in has failed: the next is seconds away, while
// one that still runs may have read what the test is about to damage.
func (s *stack) arrived(db *sql.DB) *shot {
	s.Helper()
	x := s.declare(s.consented(), small())
	s.keys.down.Store(true)
	up := s.create(x.Grant, len(x.sealed))
	half := len(x.sealed) / 2
	s.patch(up, x.Grant, 0, x.sealed[:half]).ok(204)
	s.patch(up, x.Grant, half, x.sealed[half:]).ok(204)
	s.given(db, 1)
	return x
}

// resume lets the key service answer, and jobs be due.
func (s *stack) resume() {
	s.keys.down.Store(false)
	s.clock.advance(10 * time.Minute)
}

// swap puts other bytes, or none, under an object's name.
func (s *stack) swap(name blobs.Name, with []byte) (was []byte) {
	s.Helper()
	r, _, err := s.blobs.Get(s.Context(), name, 0, -1)
	if err == nil {
		was = readAll(s, r)
		s.must(r.Close())
		s.must(s.blobs.Delete(s.Context(), name))
	}
	if with != nil {
		s.must(s.blobs.Put(s.Context(), name, bytes.NewReader(with), int64(len(with))))
	}
	return was
}

// given waits until the job was given back so many times.
func (s *stack) given(db *sql.DB, times int) {
	s.Helper()
	s.eventually("the job was given back", func() bool {
		var n, lease int64
		s.must(db.QueryRow(`SELECT attempts, lease_until FROM job`).Scan(&n, &lease))
		return n >= int64(times) && lease == 0
	})
}

func (s *stack) stagedNames() (names []blobs.Name) {
	s.Helper()
	s.must(s.blobs.List(s.Context(), s.practice, blobs.Staging, func(n blobs.Name, _ int64) error { names = append(names, n); return nil }))
	return names
}

// findings are the codes of what fsck finds, reading data too.
func (s *stack) findings() (codes []string) {
	s.Helper()
	r, err := (&vault.Fsck{Catalogs: s.catalog, Keys: s.keys, Blobs: s.blobs, Checkpoints: s.outside, Practice: s.practice, ReadData: true,
		Settle: 100 * time.Millisecond}).Run(s.Context())
	s.must(err)
	for _, f := range r.Findings {
		codes = append(codes, f.Code)
	}
	return codes
}

func (s *stack) damaged() int {
	s.Helper()
	return into[api.Readiness](s.ask("GET", "/readyz", "", nil), 200).DamagedUploads
}

func (s *stack) alarms() int {
	s.Helper()
	return s.logged(func(e vault.Logged) bool {
		return e.Action == audit.PhotoIngest && e.Outcome == audit.Failed && e.Reason == "integrity_failure"
	})
}

// Promise P7, HIPAA H15: what was acknowledged and damaged since is not taken
// for a bad file of the tablet's: the photo waits, somebody is told, nothing
// is removed, and when it is put back the photo becomes ready.
func TestADamagedUploadWaits(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func([]byte) []byte
		found  string
	}{
		{"a flipped bit", func(b []byte) []byte { b = slices.Clone(b); b[len(b)/2] ^= 4; return b }, "object_broken"},
		{"cut short", func(b []byte) []byte { return b[:len(b)-1] }, "object_size"},
		{"gone", func([]byte) []byte { return nil }, "object_missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStack(t)
			raw := s.raw(s)
			x := s.arrived(raw)
			names := s.stagedNames()
			if len(names) != 2 {
				t.Fatalf("%d staged objects", len(names))
			}
			name := names[0]
			was := s.swap(name, nil)
			if bad := c.damage(was); bad != nil {
				s.swap(name, bad)
			}
			s.resume()
			s.eventually("readiness tells", func() bool { return s.damaged() == 1 })
			s.given(raw, 2)
			s.clock.advance(10 * time.Minute) // and again
			s.given(raw, 3)
			s.await(x.Photo.ID, vault.Received)
			if n := s.alarms(); n != 1 {
				t.Errorf("%d alarms in the log, want one", n)
			}
			if f := s.findings(); !slices.Contains(f, "upload_damaged") || !slices.Contains(f, c.found) {
				t.Errorf("fsck found %v", f)
			}
			s.ask("POST", "/v1/uploads", x.Grant, nil, tus, header("Upload-Length", "10")).problem(409, "already_received")
			s.swap(name, was)
			s.clock.advance(10 * time.Minute)
			s.await(x.Photo.ID, vault.Ready)
			if n := s.damaged(); n != 0 {
				t.Errorf("%d damaged uploads after all is well", n)
			}
			s.intact()
		})
	}
}

// A database that was put back may lack the upload key that a photo was sealed to.
func TestAPhotoWaitsForItsUploadKey(t *testing.T) {
	s := newStack(t)
	raw := s.raw(s)
	x := s.arrived(raw)
	_, err := raw.Exec(`CREATE TABLE kept AS SELECT * FROM upload_key`)
	s.must(err)
	_, err = raw.Exec(`DELETE FROM upload_key`)
	s.must(err)
	s.resume()
	s.eventually("readiness tells", func() bool { return s.damaged() == 1 })
	s.given(raw, 2)
	s.await(x.Photo.ID, vault.Received)
	_, err = raw.Exec(`INSERT INTO upload_key SELECT * FROM kept`)
	s.must(err)
	s.clock.advance(10 * time.Minute)
	s.await(x.Photo.ID, vault.Ready)
}

// One that never comes ends the wait.
func TestAPhotoOfAnUnknownKeyIsRejectedInTheEnd(t *testing.T) {
	s := newStack(t)
	raw := s.raw(s)
	x := s.arrived(raw)
	_, err := raw.Exec(`DELETE FROM upload_key`)
	s.must(err)
	s.resume()
	s.eventually("readiness tells", func() bool { return s.damaged() == 1 })
	s.given(raw, 2)
	s.clock.advance(73 * time.Hour)
	if p := s.await(x.Photo.ID, vault.Rejected); p.RejectedCode != "upload_key_unknown" {
		t.Errorf("rejected as %s", p.RejectedCode)
	}
	if n := s.damaged(); n != 0 {
		t.Errorf("%d damaged uploads", n)
	}
}

// A photo that was rejected can be sent anew with its grant.
func TestARejectedPhotoCanBeSentAnew(t *testing.T) {
	s := newStack(t)
	x := s.declare(s.consented(), small())
	bad := slices.Clone(x.sealed)
	bad[len(bad)/2] ^= 1
	up := s.create(x.Grant, len(bad))
	s.patch(up, x.Grant, 0, bad).ok(204)
	if p := s.await(x.Photo.ID, vault.Rejected); p.RejectedCode != "envelope_refused" {
		t.Fatalf("rejected as %s", p.RejectedCode)
	}
	if n := s.alarms() + s.damaged(); n != 0 {
		t.Errorf("%d alarms about a file that the tablet sent so", n)
	}
	// In parts, the first time in vain.
	half := len(x.sealed) / 2
	one, two := s.part(x.Grant, bad[:half]), s.part(x.Grant, bad[half:])
	s.final(x.Grant, one, two).ok(201)
	s.await(x.Photo.ID, vault.Rejected)
	three := s.part(x.Grant, x.sealed[half:])
	s.final(x.Grant, one, three).problem(409, "part_used")
	up = s.create(x.Grant, len(x.sealed))
	s.patch(up, x.Grant, 0, x.sealed).ok(204)
	if p := s.await(x.Photo.ID, vault.Ready); p.RejectedCode != "" {
		t.Errorf("ready, and rejected as %s", p.RejectedCode)
	}
	s.intact()
	s.ask("POST", "/v1/uploads", x.Grant, nil, tus, header("Upload-Length", "10")).problem(409, "already_received")
}
