package catalog_test

import (
	"errors"
	"testing"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/catalog"
	"photovault/vault/id"
)

// sealedTables are those whose rows are sealed; the reads of tamper_test.go
// show each of them.
var sealedTables = []string{"account", "credential", "upload_grant", "patient", "subject", "permission", "campaign", "photo", "photo_key",
	"upload", "segment", "token", "token_use", "audit_entry", "upload_key", "template", "document", "takedown", "takedown_confirmation"}

// What was sealed for one row is refused in any other, and so is what was
// changed.
func TestSealedColumnIsBoundToItsPlace(t *testing.T) {
	s := newScene(t)
	before, errs := s.read(t)
	if len(errs) != 0 {
		t.Fatal(errs)
	}
	for _, table := range sealedTables {
		rows := column(t, s.db, `SELECT rowid FROM `+table+` WHERE practice = ? ORDER BY rowid`, s.practice)
		foreign := column(t, s.db, `SELECT rowid FROM `+table+` WHERE practice = ?`, s.theirs.Practice)
		sealed := func(rowid string) []byte {
			return []byte(column(t, s.db, `SELECT sealed FROM `+table+` WHERE rowid = ?`, rowid)[0])
		}
		for name, change := range map[string]func(i int, was []byte) []byte{
			"another row's":      func(i int, _ []byte) []byte { return sealed(rows[(i+1)%len(rows)]) },
			"another practice's": func(int, []byte) []byte { return sealed(foreign[0]) },
			"another table's": func(int, []byte) []byte {
				other := "patient"
				if table == other {
					other = "account"
				}
				return []byte(column(t, s.db, `SELECT sealed FROM `+other+` WHERE practice = ?`, s.practice)[0])
			},
			"first bit":             func(_ int, b []byte) []byte { b[0] ^= 1; return b },
			"key version":           func(_ int, b []byte) []byte { b[1]++; return b },
			"salt":                  func(_ int, b []byte) []byte { b[2] ^= 1; return b },
			"middle":                func(_ int, b []byte) []byte { b[len(b)/2] ^= 1; return b },
			"last bit":              func(_ int, b []byte) []byte { b[len(b)-1] ^= 1; return b },
			"last byte missing":     func(_ int, b []byte) []byte { return b[:len(b)-1] },
			"one byte more":         func(_ int, b []byte) []byte { return append(b, 0) },
			"nothing":               func(int, []byte) []byte { return []byte{} },
			"only the key's number": func(_ int, b []byte) []byte { return b[:2] },
		} {
			t.Run(table+"/"+name, func(t *testing.T) {
				refused := false
				for i, rowid := range rows[:min(2, len(rows))] {
					was := sealed(rowid)
					s.sql(t, `UPDATE `+table+` SET sealed = ? WHERE rowid = ?`, change(i, append([]byte(nil), was...)), rowid)
					refused = s.refused(t, before) || refused
					s.sql(t, `UPDATE `+table+` SET sealed = ? WHERE rowid = ?`, was, rowid)
				}
				if !refused {
					t.Error("nothing refused it")
				}
			})
		}
	}
}

// attack is what the owner of the database file does, and what must refuse it.
type attack struct {
	name string
	// keep names tables of which copies are made, for run to put back.
	keep []string
	// between is what happens after that, through the catalog.
	between func(t *testing.T, s *scene, db *catalog.DB)
	run     func(t *testing.T, s *scene)
	// living: only a process that saw the newer state can know.
	living bool
	refuse []string // reads
}

func TestAttackIsRefused(t *testing.T) {
	entry := func() *audit.Entry { return &audit.Entry{Action: audit.ConsentRevoke, Outcome: audit.Allowed} }
	revoke := func(t *testing.T, s *scene, db *catalog.DB) {
		ev := &consent.Event{ID: id.New[id.Event](), Practice: s.practice, Patient: s.mine.Patient.ID, Kind: consent.Revoked, Subject: string(s.mine.Authorization.ID)}
		must(t, db.ForPractice(s.practice).AddEvent(t.Context(), ev, entry()))
	}
	remove := func(t *testing.T, s *scene, db *catalog.DB) {
		ev := &consent.Event{ID: id.New[id.Event](), Practice: s.practice, Patient: s.mine.Patient.ID, Kind: consent.Deleted, Subject: string(s.mine.Ready.ID)}
		_, err := db.ForPractice(s.practice).DeletePhoto(t.Context(), s.mine.Ready.ID, ev, entry())
		must(t, err)
	}
	use := func(t *testing.T, s *scene, db *catalog.DB) {
		ok, err := db.ForPractice(s.practice).CommitUse(t.Context(), s.mine.Fence(2), consent.Use{Practice: s.practice, Token: s.mine.Token.ID, N: 3}, entry())
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	record := []string{"record", "release"}
	for _, a := range []attack{
		{name: "a revocation taken out", between: revoke, refuse: record,
			run: func(t *testing.T, s *scene) {
				s.sql(t, `DELETE FROM permission WHERE practice = ? AND kind = 'event'`, s.practice)
			}},
		{name: "a revocation made to look like a consent", between: revoke, refuse: record,
			run: func(t *testing.T, s *scene) { s.sql(t, `UPDATE permission SET kind = 'clinical' WHERE kind = 'event'`) }},
		{name: "a revocation moved to another patient", between: revoke, refuse: record,
			run: func(t *testing.T, s *scene) {
				s.sql(t, `UPDATE permission SET patient = ? WHERE kind = 'event'`, s.other.Patient.ID)
			}},
		{name: "another patient's authorization put in", refuse: record,
			run: func(t *testing.T, s *scene) {
				s.sql(t, `INSERT INTO permission SELECT practice, ?, ?, kind, sealed FROM permission WHERE id = ?`,
					id.New[id.Authorization](), s.mine.Patient.ID, s.other.Authorization.ID)
			}},
		{name: "another patient's authorization moved over", refuse: record,
			run: func(t *testing.T, s *scene) {
				s.sql(t, `UPDATE permission SET patient = ? WHERE id = ?`, s.mine.Patient.ID, s.other.Authorization.ID)
			}},
		{name: "another patient's head", refuse: append(record, "epochs"),
			run: func(t *testing.T, s *scene) {
				s.sql(t, `UPDATE subject SET sealed = (SELECT sealed FROM subject WHERE id = ?) WHERE id = ?`, s.other.Patient.ID, s.mine.Patient.ID)
			}},
		{name: "an older head without its newest row's removal", keep: []string{"subject"}, between: revoke, refuse: record,
			run: func(t *testing.T, s *scene) { s.putBack(t, "subject") }},
		{name: "a revocation exchanged for a row of an abandoned past", refuse: record,
			run: func(t *testing.T, s *scene) {
				// A copy is made, an authorization added, the copy put back: the
				// authorization is well sealed, but of a past that never was.
				s.keep(t, "subject", "permission")
				au := *s.mine.Authorization
				au.ID = id.New[id.Authorization]()
				must(t, s.open(t).ForPractice(s.practice).AddAuthorization(t.Context(), &au, entry()))
				_, err := s.db.Exec(`CREATE TABLE past AS SELECT * FROM permission WHERE id = ?`, au.ID)
				must(t, err)
				s.putBack(t, "subject", "permission")
				revoke(t, s, s.open(t))
				s.sql(t, `DELETE FROM permission WHERE kind = 'event'`)
				s.sql(t, `INSERT INTO permission SELECT * FROM past`)
			}},
		{name: "a whole patient put back to before the revocation", keep: []string{"subject", "permission"}, between: revoke, living: true,
			refuse: append(record, "epochs"), run: func(t *testing.T, s *scene) { s.putBack(t, "subject", "permission") }},
		{name: "a deleted photo and its key put back", keep: []string{"photo", "photo_key"}, between: remove, refuse: []string{"release"},
			run: func(t *testing.T, s *scene) { s.putBack(t, "photo", "photo_key") }},
		{name: "a deleted photo put back without its key", keep: []string{"photo"}, between: remove, refuse: []string{"release"},
			run: func(t *testing.T, s *scene) { s.putBack(t, "photo") }},
		{name: "a deleted photo's key put back", keep: []string{"photo_key"}, between: remove, refuse: []string{"release"},
			run: func(t *testing.T, s *scene) { s.putBack(t, "photo_key") }},
		{name: "a deleted photo put back with its patient", keep: []string{"photo", "photo_key", "subject", "permission"}, between: remove, living: true,
			refuse: append(record, "epochs"), run: func(t *testing.T, s *scene) { s.putBack(t, "photo", "photo_key", "subject", "permission") }},
		{name: "another photo's key", refuse: []string{"release"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `UPDATE photo_key SET sealed = (SELECT sealed FROM photo_key WHERE photo = ?) WHERE photo = ?`, s.other.Ready.ID, s.mine.Ready.ID)
			}},
		{name: "a revoked account put back with its credential", keep: []string{"account", "credential"}, living: true,
			between: func(t *testing.T, s *scene, db *catalog.DB) {
				must(t, db.ForPractice(s.practice).RevokeAccount(t.Context(), s.mine.Account.ID, entry()))
			},
			refuse: []string{"holder", "grant", "release", "accounts"}, run: func(t *testing.T, s *scene) { s.putBack(t, "account", "credential") }},
		{name: "the credential's hash of another account", refuse: []string{"holder"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `UPDATE credential SET hash = x'00' WHERE id = ?`, s.mine.Credential.ID)
				s.sql(t, `UPDATE credential SET hash = ? WHERE id = ?`, s.mine.Credential.Hash[:], s.other.Credential.ID)
			}},
		{name: "the hash of another grant", refuse: []string{"grant"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `UPDATE upload_grant SET hash = x'00' WHERE hash = ?`, s.mine.Grant.Hash[:])
				s.sql(t, `UPDATE upload_grant SET hash = ? WHERE hash = ?`, s.mine.Grant.Hash[:], s.other.Grant.Hash[:])
			}},
		{name: "the hash of another token", refuse: []string{"release"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `UPDATE token SET hash = x'00' WHERE id = ?`, s.mine.Token.ID)
				s.sql(t, `UPDATE token SET hash = ? WHERE id = ?`, s.mine.Token.Hash[:], s.other.Token.ID)
			}},
		{name: "a use taken out", refuse: []string{"release"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `DELETE FROM token_use WHERE token = ? AND n = 1`, s.mine.Token.ID)
			}},
		{name: "the last use taken out", between: use, living: true, refuse: []string{"release"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `DELETE FROM token_use WHERE token = ? AND n = 3`, s.mine.Token.ID)
			}},
		{name: "an incomplete use in the place of a complete one", refuse: []string{"release"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `UPDATE token_use SET sealed = (SELECT sealed FROM token_use WHERE token = ?1 AND n = 2) WHERE token = ?1 AND n = 1`, s.mine.Token.ID)
			}},
		{name: "the holder's row taken out", refuse: []string{"release"},
			run: func(t *testing.T, s *scene) { s.sql(t, `DELETE FROM account WHERE id = ?`, s.mine.Account.ID) }},
		{name: "the head taken out", refuse: []string{"release"},
			run: func(t *testing.T, s *scene) { s.sql(t, `DELETE FROM subject WHERE id = ?`, s.mine.Patient.ID) }},
		{name: "the photo's row taken out", refuse: []string{"release"},
			run: func(t *testing.T, s *scene) { s.sql(t, `DELETE FROM photo WHERE id = ?`, s.mine.Ready.ID) }},
		{name: "a confirmation taken out", refuse: []string{"takedowns"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `DELETE FROM takedown_confirmation WHERE takedown = ?`, s.mine.Takedown.ID)
			}},
		{name: "another takedown's confirmation", refuse: []string{"takedowns"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `UPDATE takedown_confirmation SET sealed = (SELECT sealed FROM takedown_confirmation WHERE takedown = ?) WHERE takedown = ?`,
					s.other.Takedown.ID, s.mine.Takedown.ID)
			}},
		{name: "a takedown put back to before its confirmation", keep: []string{"takedown", "takedown_confirmation"}, living: true, refuse: []string{"takedowns"},
			between: func(t *testing.T, s *scene, db *catalog.DB) {
				_, err := db.ForPractice(s.practice).ConfirmTakedown(t.Context(), &consent.Confirmation{Practice: s.practice, Takedown: s.mine.Takedown.ID, Text: "gone"}, entry())
				must(t, err)
			},
			run: func(t *testing.T, s *scene) { s.putBack(t, "takedown", "takedown_confirmation") }},
		{name: "record numbers exchanged", refuse: []string{"patient", "patient by record number"},
			run: func(t *testing.T, s *scene) {
				index := column(t, s.db, `SELECT record_index FROM patient WHERE id = ?`, s.mine.Patient.ID)[0]
				s.sql(t, `UPDATE patient SET record_index = x'00' WHERE id = ?`, s.mine.Patient.ID)
				s.sql(t, `UPDATE patient SET record_index = ? WHERE id = ?`, []byte(index), s.other.Patient.ID)
			}},
		{name: "a practice's keys exchanged among purposes", refuse: []string{"holder", "release", "record", "log"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `UPDATE practice_key SET wrapped = (SELECT wrapped FROM practice_key WHERE practice = ?1 AND purpose = 'checkpoint')
					WHERE practice = ?1 AND purpose = 'audit'`, s.practice)
			}},
		{name: "another practice's key", refuse: []string{"holder", "release", "record", "log"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `UPDATE practice_key SET wrapped = (SELECT wrapped FROM practice_key WHERE practice = ? AND purpose = 'catalog')
					WHERE practice = ? AND purpose = 'catalog'`, s.theirs.Practice, s.practice)
			}},
		{name: "a segment taken out", refuse: []string{"upload"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `DELETE FROM segment WHERE upload = ? AND start_at = 0`, s.mine.Upload.ID)
			}},
		{name: "a segment moved", refuse: []string{"upload"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `UPDATE segment SET start_at = 10 WHERE upload = ? AND start_at = 30`, s.mine.Upload.ID)
			}},
		{name: "an audit entry taken out", refuse: []string{"log"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `DELETE FROM audit_entry WHERE practice = ? AND seq = 5`, s.practice)
			}},
		{name: "the log's tail cut", refuse: []string{"log"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `DELETE FROM audit_entry WHERE practice = ? AND seq > 5`, s.practice)
			}},
		{name: "audit entries exchanged", refuse: []string{"log"},
			run: func(t *testing.T, s *scene) {
				for _, step := range []string{`SET seq = -1 WHERE seq = 5`, `SET seq = 5 WHERE seq = 6`, `SET seq = 6 WHERE seq = -1`} {
					s.sql(t, `UPDATE audit_entry `+step+` AND practice = ?`, s.practice)
				}
			}},
		{name: "an audit entry put in twice", refuse: []string{"log"},
			run: func(t *testing.T, s *scene) {
				s.sql(t, `INSERT INTO audit_entry SELECT practice, ?, ord, patient, sealed, mac, NULL, NULL FROM audit_entry WHERE practice = ? AND seq = 5`,
					id.New[id.Entry](), s.practice)
			}},
	} {
		t.Run(a.name, func(t *testing.T) { a.test(t) })
	}
}

func (a *attack) test(t *testing.T) {
	s := newScene(t)
	db := s.open(t)
	read := func(db *catalog.DB) map[string]error {
		errs := map[string]error{}
		for _, r := range reads {
			if _, err := r.read(t, db, s); err != nil {
				errs[r.name] = err
			}
		}
		return errs
	}
	if errs := read(db); len(errs) != 0 {
		t.Fatal(errs)
	}
	s.keep(t, a.keep...)
	if a.between != nil {
		a.between(t, s, db)
	}
	a.run(t, s)
	check := func(process string, errs map[string]error) {
		for _, name := range a.refuse {
			if err := errs[name]; !errors.Is(err, vault.ErrBroken) && !errors.Is(err, audit.ErrTampered) {
				t.Errorf("%s by %s: %v", name, process, err)
			}
		}
	}
	// The practice's keys are unwrapped once: a running process does not look
	// at the rows again.
	if a.name != "another practice's key" && a.name != "a practice's keys exchanged among purposes" {
		check("the running process", read(db))
	}
	if !a.living {
		check("a fresh process", read(s.open(t)))
	}
}

func (s *scene) keep(t *testing.T, tables ...string) {
	t.Helper()
	for _, table := range tables {
		_, err := s.db.Exec(`CREATE TABLE kept_` + table + ` AS SELECT * FROM ` + table)
		must(t, err)
	}
}

// putBack restores tables from the copies kept.
func (s *scene) putBack(t *testing.T, tables ...string) {
	t.Helper()
	for _, table := range tables {
		s.sql(t, `DELETE FROM `+table)
		s.sql(t, `INSERT INTO `+table+` SELECT * FROM kept_`+table)
	}
}

// The integrator does not give a number to an entry that was edited, nor go on
// with a log that became shorter.
func TestIntegratorRefusesWhatWasEdited(t *testing.T) {
	for name, attack := range map[string]string{
		"a MAC":          `UPDATE audit_entry SET mac = x'00' WHERE seq IS NULL`,
		"another place":  `UPDATE audit_entry SET patient = 'x' WHERE seq IS NULL`,
		"a copy":         `UPDATE audit_entry SET sealed = (SELECT sealed FROM audit_entry WHERE seq = 1) WHERE seq IS NULL`,
		"the tail's cut": `DELETE FROM audit_entry WHERE seq > 3`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			db := s.open(t)
			c := db.ForPractice(s.practice)
			must(t, c.WriteAudit(t.Context(), &audit.Entry{Action: audit.AuditRead}))
			_, _, err := c.Integrate(t.Context(), 100)
			must(t, err)
			must(t, c.WriteAudit(t.Context(), &audit.Entry{Action: audit.AuditRead}))
			s.sql(t, attack)
			if n, _, err := c.Integrate(t.Context(), 100); n != 0 || !errors.Is(err, vault.ErrBroken) || !errors.Is(err, audit.ErrTampered) {
				t.Errorf("%d entries, %v", n, err)
			}
		})
	}
}
