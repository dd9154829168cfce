package catalog_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/catalog"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/vaulttest"
)

// scene is a database with two furnished practices, owned by the attacker:
// db runs any SQL behind the catalog's back.
type scene struct {
	*store
	db     *sql.DB
	mine   *vaulttest.Furnished
	other  *vaulttest.Furnished // another patient and account of the same practice
	theirs *vaulttest.Furnished // another practice
	// checkpoint is what was kept of the log outside the database.
	checkpoint audit.Checkpoint
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := newStore(t)
	db := s.open(t)
	foreign := id.New[id.Practice]()
	create(t, db, foreign)
	out := &scene{store: s, mine: vaulttest.Furnish(t, db, s.practice), other: vaulttest.Furnish(t, db, s.practice), theirs: vaulttest.Furnish(t, db, foreign)}
	c := db.ForPractice(s.practice)
	_, point, err := c.Integrate(t.Context(), 10000)
	must(t, err)
	out.checkpoint = point
	must(t, db.Close())
	out.db = s.raw(t)
	return out
}

func (s *scene) sql(t *testing.T, query string, args ...any) {
	t.Helper()
	res, err := s.db.Exec(query, args...)
	must(t, err)
	if n, err := res.RowsAffected(); n == 0 || err != nil {
		t.Fatalf("the attack changed nothing (%v): %s", err, query)
	}
}

// reads are the ways in which rows come out, each with what it shows.
var reads = []struct {
	name string
	read func(t *testing.T, db *catalog.DB, s *scene) (any, error)
}{
	{"holder", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		a, c, err := db.Holder(t.Context(), s.mine.Credential.Hash)
		return []any{a, c}, err
	}},
	{"grant", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		a, g, err := db.Grant(t.Context(), s.mine.Grant.Hash)
		return []any{a, g}, err
	}},
	{"release", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		r, err := db.Release(t.Context(), s.mine.Token.Hash)
		if r != nil {
			r.Now = r.Token.IssuedAt
		}
		return r, err
	}},
	{"release of a copy", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		r, err := db.Release(t.Context(), s.mine.Published.Hash)
		if r != nil {
			r.Now = r.Token.IssuedAt
		}
		return r, err
	}},
	{"photo keys", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		own, err := db.ForPractice(s.practice).PhotoKey(t.Context(), s.mine.Ready.ID, "")
		copies, err2 := db.ForPractice(s.practice).PhotoKey(t.Context(), s.mine.Ready.ID, s.mine.Authorization.ID)
		return []any{own, copies}, errors.Join(err, err2)
	}},
	{"accounts", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		return db.ForPractice(s.practice).ListAccounts(t.Context())
	}},
	{"patient", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		return db.ForPractice(s.practice).Patient(t.Context(), s.mine.Patient.ID)
	}},
	{"patient by record number", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		return db.ForPractice(s.practice).PatientByRecordNumber(t.Context(), s.mine.Patient.RecordNumber)
	}},
	{"campaigns", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		return db.ForPractice(s.practice).Campaigns(t.Context())
	}},
	{"templates", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		return db.ForPractice(s.practice).Templates(t.Context())
	}},
	{"document", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		return db.ForPractice(s.practice).Document(t.Context(), s.mine.Document.ID)
	}},
	{"takedowns", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		list, err := db.ForPractice(s.practice).Takedowns(t.Context())
		var confirmed [][]consent.Confirmation // no part of a takedown's JSON
		for _, t := range list {
			confirmed = append(confirmed, t.Confirmations)
		}
		return []any{list, confirmed}, err
	}},
	{"record", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		return db.ForPractice(s.practice).Record(t.Context(), s.mine.Patient.ID)
	}},
	{"patient of", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		return db.ForPractice(s.practice).PatientOf(t.Context(), string(s.mine.Authorization.ID))
	}},
	{"epochs", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		return db.ForPractice(s.practice).Versions(t.Context(), vault.Standing{Patients: []id.Patient{s.mine.Patient.ID}, Accounts: []id.Account{s.mine.Account.ID}, Campaigns: []id.Campaign{s.mine.Campaign.ID}})
	}},
	{"photo", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		return db.ForPractice(s.practice).Photo(t.Context(), s.mine.Ready.ID)
	}},
	{"photos", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		return db.ForPractice(s.practice).PhotosOf(t.Context(), s.mine.Patient.ID)
	}},
	{"upload", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		u, list, err := db.ForPractice(s.practice).Upload(t.Context(), s.mine.Upload.ID)
		return []any{u, list}, err
	}},
	{"upload keys", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		return db.ForPractice(s.practice).UploadKeys(t.Context())
	}},
	{"key erasures", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		return db.ForPractice(s.practice).KeyErasures(t.Context())
	}},
	{"volume", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		v, _, err := db.Counted(t.Context(), s.mine.Token)
		return v, err
	}},
	{"log", func(t *testing.T, db *catalog.DB, s *scene) (any, error) {
		key, err := db.PracticeKey(t.Context(), s.practice, keys.Audit)
		if err != nil {
			return nil, err
		}
		v, err := audit.NewVerifier(s.practice, key.Bytes(), s.checkpoint)
		must(t, err)
		err = db.ForPractice(s.practice).AuditRecords(t.Context(), 0, func(r audit.Record) error { _, err := v.Add(r); return err })
		if err != nil {
			return nil, err
		}
		return v.Finish()
	}},
}

// read runs all reads on a process that has seen nothing yet.
func (s *scene) read(t *testing.T) (map[string]string, map[string]error) {
	t.Helper()
	db, err := s.tryOpen(t.Context())
	must(t, err)
	defer db.Close()
	values, errs := map[string]string{}, map[string]error{}
	for _, r := range reads {
		v, err := r.read(t, db, s)
		if err != nil {
			errs[r.name] = err
			continue
		}
		b, err := json.Marshal(v)
		must(t, err)
		values[r.name] = string(b)
	}
	return values, errs
}

// refused reports whether a read refused. What the others show must be what
// they showed before, or less of it: a row can be hidden by whoever can delete
// it, but nothing can be put in its place.
func (s *scene) refused(t *testing.T, before map[string]string) bool {
	t.Helper()
	values, errs := s.read(t)
	for name, v := range values {
		if !fewer(decode(t, before[name]), decode(t, v)) {
			t.Errorf("%s shows something else:\n%s", name, cmp.Diff(before[name], v))
		}
	}
	refused := false
	for name, err := range errs {
		switch {
		case errors.Is(err, vault.ErrBroken), errors.Is(err, audit.ErrTampered):
			refused = true
		case !errors.Is(err, vault.ErrNotFound):
			t.Errorf("%s: %v", name, err)
		}
	}
	return refused
}

func decode(t *testing.T, s string) (v any) {
	t.Helper()
	must(t, json.Unmarshal([]byte(s), &v))
	return v
}

// fewer: now is was, or was without some of its parts.
func fewer(was, now any) bool {
	switch now := now.(type) {
	case nil:
		return true
	case []any:
		list, ok := was.([]any)
		for _, v := range now {
			ok = ok && slices.ContainsFunc(list, func(w any) bool { return fewer(w, v) })
		}
		return ok
	case map[string]any:
		fields, ok := was.(map[string]any)
		for name, v := range now {
			w, known := fields[name]
			ok = ok && known && fewer(w, v)
		}
		return ok
	}
	return was == now
}

// undecided are columns that nothing is decided on: times for cleaning up, the
// order of entries that have no number yet; and the tables of work to do,
// where an edit can only lose work.
var undecided = map[string]bool{
	"practice_key.created_at": true,
	"upload.expires_at":       true,
	"audit_entry.ord":         true,
	"job":                     true,
	"object":                  true,
	"outbox":                  true,
}

// hiding are columns whose edit takes the row out of sight of every read.
var hiding = map[string]bool{
	"credential.practice": true, "credential.hash": true, "credential.account": true, "patient.practice": true,
	"upload_grant.practice": true, "upload_grant.hash": true, "upload_grant.account": true,
	"photo_key.practice": true, "photo_key.photo": true, "photo_key.authorization_id": true,
	"upload.practice": true, "upload.id": true, "upload_key.practice": true, "key_floor.practice": true,
	"template.practice": true, "document.practice": true, "document.id": true,
}

// Every clear column of rows that are decided on: an edit is refused, and no
// read shows anything that was not there.
func TestEditedColumnIsRefused(t *testing.T) {
	s := newScene(t)
	before, errs := s.read(t)
	if len(errs) != 0 {
		t.Fatal(errs)
	}
	for table, columns := range clear {
		for _, name := range strings.Fields(columns) {
			if undecided[table] || undecided[table+"."+name] {
				continue
			}
			t.Run(table+"."+name, func(t *testing.T) {
				refused := false
				for _, rowid := range column(t, s.db, `SELECT rowid FROM `+table+` WHERE practice = ? AND `+name+` IS NOT NULL ORDER BY rowid DESC LIMIT 8`, s.practice) {
					var was any
					must(t, s.db.QueryRow(`SELECT `+name+` FROM `+table+` WHERE rowid = ?`, rowid).Scan(&was))
					s.sql(t, `UPDATE `+table+` SET `+name+` = ? WHERE rowid = ?`, edited(was), rowid)
					refused = s.refused(t, before) || refused
					s.sql(t, `UPDATE `+table+` SET `+name+` = ? WHERE rowid = ?`, was, rowid)
				}
				if refused == hiding[table+"."+name] {
					t.Errorf("refused: %t", refused)
				}
			})
		}
	}
	if after, errs := s.read(t); len(errs) != 0 || !cmp.Equal(before, after) {
		t.Errorf("the scene was not restored: %v", errs)
	}
}

// edited returns another value of the same type.
func edited(v any) any {
	switch v := v.(type) {
	case int64:
		return v + 1000
	case []byte:
		b := append([]byte(nil), v...)
		b[len(b)-1] ^= 1
		return b
	default:
		if s := fmt.Sprint(v); id.Valid(s) {
			return string(id.New[id.Entry]())
		}
		return "other"
	}
}
