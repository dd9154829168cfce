package catalog_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
	"photovault/vault/vaulttest"
)

// clear is the closed list of columns that are not sealed. Whoever holds the
// database file and its key reads these: random ids, counters, times, states,
// hashes of random secrets, a keyed hash of the record number. A column is
// added here only when it can name nobody.
var clear = map[string]string{
	"practice_key": "practice purpose version wrapped created_at",
	"account":      "practice id version",
	"credential":   "practice id account hash",
	"upload_grant": "practice hash photo account expires_at",
	"patient":      "practice id record_index",
	"subject":      "practice id epoch",
	"permission":   "practice id patient kind",
	"photo":        "practice id patient device capture state version",
	"photo_key":    "practice photo authorization_id keep_until",
	"object":       "practice id area owner size state changed_at authorization_id",
	"upload":       "practice id photo owner length received expires_at partial",
	"segment":      "practice upload start_at size object",
	"job":          "practice photo not_before attempts lease_until damaged",
	"token":        "practice id hash account patient photo expires_at campaign authorization_id counted_at",
	"volume":       "practice account version",
	"campaign":     "practice id version",
	"template":     "practice id version",
	"document":     "practice id patient",
	"takedown":     "practice id patient release_id state due_at version",

	"takedown_confirmation": "practice takedown n",
	"outbox":                "practice id audience not_before attempts lease_until",

	"token_use":   "practice token n version",
	"audit_entry": "practice id ord patient mac seq head",
	"upload_key":  "practice id seal_until version",
	"key_floor":   "practice below version",
}

func TestClearColumnsAreTheClosedList(t *testing.T) {
	raw := newStore(t).raw(t)
	got := map[string]string{}
	for _, table := range column(t, raw, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version'`) {
		columns := column(t, raw, `SELECT name FROM pragma_table_info('`+table+`')`)
		got[table] = strings.Join(slices.DeleteFunc(columns, func(c string) bool { return c == "sealed" }), " ")
		if key := column(t, raw, `SELECT name FROM pragma_table_info('`+table+`') WHERE pk = 1`); len(key) != 1 || key[0] != "practice" {
			t.Errorf("%s: the primary key begins with %v, not with the practice", table, key)
		}
	}
	if d := cmp.Diff(clear, got); d != "" {
		t.Error(d)
	}
}

// column returns the first column of a query.
func column(t testing.TB, db *sql.DB, query string, args ...any) (list []string) {
	t.Helper()
	rows, err := db.Query(query, args...)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var s string
		must(t, rows.Scan(&s))
		list = append(list, s)
	}
	must(t, rows.Err())
	return list
}

// checkPlans: every statement finds its rows by an index.
func checkPlans(t *testing.T, queries map[string]bool) {
	raw := newStore(t).raw(t)
	placeholder := regexp.MustCompile(`\?(\d+)`)
	if len(queries) < 50 {
		t.Errorf("only %d statements were run", len(queries))
	}
	for q := range queries {
		if strings.Contains(q, "$") {
			t.Errorf("SQLite numbers $N by order of appearance: %s", q)
		}
		n := 0
		for _, m := range placeholder.FindAllStringSubmatch(q, -1) {
			i, _ := strconv.Atoi(m[1])
			n = max(n, i)
		}
		rows, err := raw.Query("EXPLAIN QUERY PLAN "+q, make([]any, n)...)
		must(t, err)
		for rows.Next() {
			var a, b, c int
			var detail string
			must(t, rows.Scan(&a, &b, &c, &detail))
			if strings.Contains(detail, "SCAN") {
				t.Errorf("%s\n%s", detail, q)
			}
		}
		must(t, rows.Err())
		rows.Close()
	}
}

// Nothing that names a person, and no free text, stands in a clear column or,
// readable, in a file.
func TestNothingThatNamesAPersonIsInTheClear(t *testing.T) {
	s := newStore(t)
	db := s.open(t)
	f := vaulttest.Furnish(t, db, s.practice)
	c := db.ForPractice(s.practice)
	const canary = "CANARY"
	canaries := func(field string) string { return canary + "-" + field }
	entry := &audit.Entry{Action: audit.Release, Outcome: audit.Intent, Patient: f.Patient.ID, Recipient: canaries("recipient"),
		Reason: canaries("reason"), Source: canaries("source"), Channel: canaries("channel")}
	must(t, c.AddPatient(t.Context(), &vault.Patient{ID: id.New[id.Patient](), Practice: s.practice, RecordNumber: canaries("number"), Name: canaries("name")}, nil, entry))
	cl := *f.Clinical
	cl.ID, cl.Signer = id.New[id.Consent](), consent.Signer{Name: canaries("signer"), Authority: canaries("authority")}
	must(t, c.AddClinical(t.Context(), &cl, entry))
	au := *f.Authorization
	au.ID, au.Description, au.Recipients, au.ExpiryEvent = id.New[id.Authorization](), canaries("description"), []string{canaries("recipients")}, canaries("event")
	must(t, c.AddAuthorization(t.Context(), &au, entry))
	photo := *f.Declared
	photo.ID, photo.Capture, photo.State, photo.View, photo.BodySite = id.New[id.Photo](), id.New[id.Capture](), vault.Declared, canaries("view"), canaries("site")
	grant := *f.Grant
	grant.Photo, grant.Hash = photo.ID, consent.NewBearer(consent.GrantPrefix).Hash()
	_, err := c.DeclarePhoto(t.Context(), &photo, &grant, entry)
	must(t, err)
	k := *f.Token
	k.ID, k.Hash, k.Recipient = id.New[id.Token](), consent.NewBearer(consent.TokenPrefix).Hash(), canaries("token")
	_, err = c.AddToken(t.Context(), &k, consent.Allowance{Cap: consent.Cap{Hour: 9, Day: 9}}, entry)
	must(t, err)
	_, err = c.ConfirmTakedown(t.Context(), &consent.Confirmation{Practice: s.practice, Takedown: f.Takedown.ID, Text: canaries("evidence")}, entry)
	must(t, err)
	b := consent.NewBearer(consent.CredentialPrefix)
	a := &vault.Account{ID: id.New[id.Account](), Practice: s.practice, Name: canaries("account"), Role: consent.EMR, Version: 1}
	must(t, c.AddAccount(t.Context(), a, &vault.Credential{ID: id.New[id.Credential](), Practice: s.practice, Account: a.ID, Hash: b.Hash()}, entry))
	must(t, c.PlanObjects(t.Context(), vault.Object{ID: id.New[id.Object](), Area: string(blobs.Photos), Owner: string(photo.ID)}))

	raw := s.raw(t)
	for table, columns := range clear {
		for _, name := range strings.Fields(columns) {
			query := `SELECT CAST(` + name + ` AS TEXT) FROM ` + table + ` WHERE ` + name + ` IS NOT NULL`
			for _, value := range column(t, raw, query) {
				if strings.Contains(strings.ToUpper(value), canary) {
					t.Errorf("%s.%s holds %q", table, name, value)
				}
			}
		}
		if !slices.Contains(column(t, raw, `SELECT name FROM pragma_table_info('`+table+`')`), "sealed") {
			continue
		}
		for _, value := range column(t, raw, `SELECT sealed FROM `+table) {
			if strings.Contains(value, canary) || strings.Contains(value, "{") && strings.Contains(value, `":"`) {
				t.Errorf("%s.sealed is readable", table)
			}
		}
	}
	files, err := filepath.Glob(s.path + "*")
	must(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		for _, word := range []string{canary, string(f.Patient.ID), fmt.Sprint(b)} {
			if bytes.Contains(content, []byte(word)) {
				t.Errorf("%s holds %s", filepath.Base(file), word)
			}
		}
	}
	if len(files) < 4 {
		t.Errorf("only %v were looked at", files)
	}
}
