package api_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
)

// enemy owns bucket and database: any SQL, any object. The service goes on
// running, and remembers; a fresh process does not.
type enemy struct {
	*stack
	db      *sql.DB
	patient [2]id.Patient
	photos  []*api.Photo // two of the first patient, one of the second
	revoked id.Authorization
	fired   id.Account // whose account was revoked
	badge   string     // their token
	deleted *api.Photo
	before  map[string][]row // tables as they were before the revocation, the firing and the deletion
	tally   map[string]int
}

// row is one row of a table, column by column.
type row struct {
	columns []string
	values  []any
}

func newEnemy(t *testing.T) *enemy {
	s := newStack(t)
	e := &enemy{stack: s, db: s.stores.raw(s), tally: map[string]int{}}
	e.patient = [2]id.Patient{s.consented(), s.consented()}
	for _, p := range []int{0, 0, 1} {
		n := len(e.photos)
		e.photos = append(e.photos, s.ready(e.patient[p], func() []byte { return jpegOf(64+8*n, 48) }))
	}
	e.deleted = s.ready(e.patient[1], small)
	e.revoked = s.authorize(s.newAuthorization(e.patient[0]))
	e.fired, e.badge = s.account("provider")
	s.authorize(s.newAuthorization(e.patient[1]))
	e.before = map[string][]row{}
	for _, table := range []string{"account", "credential", "subject", "permission", "photo", "photo_key"} {
		e.before[table] = e.rows(table)
	}
	s.revoke(e.revoked)
	s.must(s.catalog.ForPractice(s.practice).RevokeAccount(context.Background(), e.fired,
		&audit.Entry{Action: audit.AccountRevoke, Outcome: audit.Allowed, Subject: string(e.fired)}))
	s.ask("DELETE", "/v1/photos/"+string(e.deleted.ID), s.token("privacy"), nil).ok(200)
	s.forCare(e.photos[0].ID, "web", consent.InHeader, 2)
	e.intact()
	if refused := e.served("nothing yet"); refused != 0 || t.Failed() {
		t.Fatalf("before anything was done: %d refused", refused)
	}
	return e
}

func (e *enemy) rows(table string) (list []row) {
	e.Helper()
	rows, err := e.db.Query(`SELECT * FROM `+table+` WHERE practice = $1`, e.practice)
	e.must(err)
	defer rows.Close()
	columns, err := rows.Columns()
	e.must(err)
	for rows.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		e.must(rows.Scan(into...))
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				values[i] = slices.Clone(b)
			}
		}
		list = append(list, row{columns, values})
	}
	e.must(rows.Err())
	return list
}

func (r row) get(column string) any { return r.values[slices.Index(r.columns, column)] }

func (r row) with(column string, v any) row {
	out := row{r.columns, slices.Clone(r.values)}
	out.values[slices.Index(r.columns, column)] = v
	return out
}

func (e *enemy) exec(query string, args ...any) {
	e.Helper()
	_, err := e.db.Exec(query, args...)
	e.must(err)
}

func (e *enemy) insert(table string, r row) {
	e.Helper()
	var marks []string
	for i := range r.values {
		marks = append(marks, fmt.Sprintf("$%d", i+1))
	}
	e.exec(`INSERT INTO `+table+` (`+strings.Join(r.columns, ", ")+`) VALUES (`+strings.Join(marks, ", ")+`)`, r.values...)
}

// keys are the columns that name a row of a table.
var keyColumns = map[string][]string{"photo_key": {"photo", "authorization_id"}, "token_use": {"token", "n"}, "upload_grant": {"hash"}, "template": {"id", "version"}, "volume": {"account"}}

func (e *enemy) update(table string, r row, column string, v any) {
	e.Helper()
	names, query, args := keyColumns[table], `UPDATE `+table+` SET `+column+` = $1 WHERE practice = $2`, []any{v, e.practice}
	if names == nil {
		names = []string{"id"}
	}
	for _, name := range names {
		args = append(args, r.get(name))
		query += fmt.Sprintf(" AND %s = $%d", name, len(args))
	}
	e.exec(query, args...)
}

// put makes a table what it was.
func (e *enemy) put(table string, rows []row) {
	e.Helper()
	e.exec(`DELETE FROM `+table+` WHERE practice = $1`, e.practice)
	for _, r := range rows {
		e.insert(table, r)
	}
}

func (e *enemy) fsck(read bool) []vault.Finding {
	e.Helper()
	report, err := (&vault.Fsck{Catalogs: e.catalog, Keys: e.keys, Blobs: e.blobs, Checkpoints: e.outside, Practice: e.practice,
		ReadData: read, Settle: 20 * time.Millisecond}).Run(context.Background())
	e.must(err)
	return report.Findings
}

// served asks for every rendition of every photo and reports how many were
// refused; what is served must be the very photo.
func (e *enemy) served(what string) (refused int) {
	e.Helper()
	e.clock.advance(time.Minute) // refused credentials are counted by the minute
	for _, p := range e.photos {
		for _, r := range p.Renditions {
			issued := e.ask("POST", "/v1/photos/"+string(p.ID)+"/tokens", e.token("provider"), api.NewToken{Purpose: consent.ForCare, Rendition: r.Name}, odd)
			if issued.status != 201 {
				refused++
				continue
			}
			switch a := e.fetch("GET", into[api.Token](issued, 201), odd); {
			case a.status != 200:
				refused++
			case digest(a.body) != r.SHA256:
				e.Errorf("%s: another picture was served for photo %s %s", what, p.ID, r.Name)
			}
		}
	}
	for _, gained := range []struct {
		what string
		got  answer
	}{
		{"a dismissed provider's token", e.ask("GET", "/v1/photos?patient="+string(e.patient[0]), e.badge, nil, odd)},
		{"a revoked authorization", e.ask("POST", "/v1/photos/"+string(e.photos[0].ID)+"/tokens", e.token("marketing"), e.forMarketing(), odd)},
		{"a deleted photo", e.ask("POST", "/v1/photos/"+string(e.deleted.ID)+"/tokens", e.token("provider"), api.NewToken{Purpose: consent.ForCare}, odd)},
	} {
		if gained.got.status/100 == 2 {
			e.Errorf("%s: %s was taken again", what, gained.what)
		}
	}
	return refused
}

// attack does one thing, looks whether service or fsck notices, and undoes it.
// silent: it takes nothing and gains nothing, and nobody need notice.
func (e *enemy) attack(kind, what string, read bool, do, undo func()) {
	e.Helper()
	do()
	refused, found := e.served(kind+": "+what), e.fsck(read)
	undo()
	e.tally[kind+" cases"]++
	if refused > 0 {
		e.tally[kind+" refused in service"]++
	}
	if len(found) > 0 {
		e.tally[kind+" found by fsck"]++
	}
	if refused == 0 && len(found) == 0 {
		e.Errorf("%s: %s was noticed by nobody", kind, what)
	}
}

func (e *enemy) renditions() (list []blobs.Name, names []string) {
	for _, p := range e.photos {
		for _, r := range p.Renditions {
			list, names = append(list, e.object(p.ID, r.Name)), append(names, short(p.ID)+"/"+r.Name)
		}
	}
	return list, names
}

func short(p id.Photo) string { return string(p[:4]) }

// pairs calls f for each pair of n things.
func pairs(n int, f func(i, j int)) {
	for i := range n {
		for j := range i {
			f(j, i)
		}
	}
}

func TestAnEnemyWhoOwnsBucketAndDatabase(t *testing.T) {
	e := newEnemy(t)
	e.swapObjects()
	e.swapRows()
	e.swapPhotos()
	e.insertRows()
	e.deleteRows()
	e.rollBack()
	if refused := e.served("all undone"); refused != 0 {
		t.Errorf("the attacks were not undone: %d refused", refused)
	}
	e.intact()
	for _, kind := range []string{"objects swapped", "objects spoiled", "rows swapped", "key and objects swapped", "rows of another practice", "rows inserted", "rows deleted", "rolled back"} {
		t.Logf("%-26s %3d cases, %3d refused in service, %3d found by fsck", kind, e.tally[kind+" cases"], e.tally[kind+" refused in service"], e.tally[kind+" found by fsck"])
	}
}

func (e *enemy) swapObjects() {
	list, names := e.renditions()
	content := make([][]byte, len(list))
	for i, o := range list {
		content[i] = e.stored(o)
	}
	pairs(len(list), func(i, j int) {
		e.attack("objects swapped", names[i]+" and "+names[j], true,
			func() { e.replace(list[i], content[j]); e.replace(list[j], content[i]) },
			func() { e.replace(list[i], content[i]); e.replace(list[j], content[j]) })
	})
	for name, change := range map[string]func([]byte) []byte{"flipped": flip(70), "cut": func(b []byte) []byte { return b[:len(b)-1] },
		"longer": func(b []byte) []byte { return append(b, 0) }} {
		e.attack("objects spoiled", name, true, func() { e.replace(list[0], change(slices.Clone(content[0]))) }, func() { e.replace(list[0], content[0]) })
	}
	e.attack("objects spoiled", "removed", true, func() { e.must(e.blobs.Delete(e.Context(), list[1])) }, func() { e.replace(list[1], content[1]) })
	extra := blobs.Name{Practice: e.practice, Area: blobs.Photos, Object: id.New[id.Object]()}
	e.attack("objects spoiled", "one more", true, func() { e.replace(extra, content[0]) }, func() { e.must(e.blobs.Delete(e.Context(), extra)) })
}

// swapRows exchanges what is sealed between rows of each table.
func (e *enemy) swapRows() {
	for _, table := range []string{"account", "credential", "upload_grant", "patient", "subject", "permission", "photo", "photo_key", "token", "upload_key"} {
		rows := e.rows(table)
		rows = rows[:min(4, len(rows))]
		if len(rows) < 2 {
			e.Errorf("%s: only %d rows", table, len(rows))
		}
		pairs(len(rows), func(i, j int) {
			e.attack("rows swapped", fmt.Sprintf("%s %d and %d", table, i, j), table == "photo_key",
				func() {
					e.update(table, rows[i], "sealed", rows[j].get("sealed"))
					e.update(table, rows[j], "sealed", rows[i].get("sealed"))
				},
				func() {
					e.update(table, rows[i], "sealed", rows[i].get("sealed"))
					e.update(table, rows[j], "sealed", rows[j].get("sealed"))
				})
		})
		other := string(id.New[id.Practice]())
		if table == "account" || table == "patient" || table == "subject" || table == "permission" || table == "photo" || table == "photo_key" {
			e.attack("rows of another practice", table, false,
				func() {
					e.update(table, rows[0], "practice", other)
				},
				func() { e.exec(`UPDATE `+table+` SET practice = $1 WHERE practice = $2`, e.practice, other) })
		}
	}
}

// swapPhotos exchanges wrapped keys and objects of two photos together.
func (e *enemy) swapPhotos() {
	keys := map[string]row{}
	for _, r := range e.rows("photo_key") {
		keys[fmt.Sprint(r.get("photo"))] = r
	}
	pairs(len(e.photos), func(i, j int) {
		a, b := e.photos[i], e.photos[j]
		swap := func() {
			for _, r := range a.Renditions {
				x, y := e.object(a.ID, r.Name), e.object(b.ID, r.Name)
				first, second := e.stored(x), e.stored(y)
				e.replace(x, second)
				e.replace(y, first)
			}
		}
		e.attack("key and objects swapped", short(a.ID)+" and "+short(b.ID), true,
			func() {
				swap()
				e.update("photo_key", keys[string(a.ID)], "sealed", keys[string(b.ID)].get("sealed"))
				e.update("photo_key", keys[string(b.ID)], "sealed", keys[string(a.ID)].get("sealed"))
			},
			func() {
				e.update("photo_key", keys[string(a.ID)], "sealed", keys[string(a.ID)].get("sealed"))
				e.update("photo_key", keys[string(b.ID)], "sealed", keys[string(b.ID)].get("sealed"))
				swap()
			})
	})
}

// insertRows puts copies and forgeries in: users, roles, consents.
func (e *enemy) insertRows() {
	for _, table := range []string{"account", "patient", "subject", "permission", "photo", "photo_key"} {
		now := e.rows(table)
		fresh := now[0].with(map[bool]string{true: "photo", false: "id"}[table == "photo_key"], string(id.New[id.Photo]()))
		switch table {
		case "patient":
			fresh = fresh.with("record_index", []byte("another"))
		case "photo":
			fresh = fresh.with("capture", string(id.New[id.Capture]()))
		}
		e.attack("rows inserted", "a copy in "+table, false, func() { e.insert(table, fresh) }, func() { e.put(table, now) })
		forged := fresh.with("sealed", []byte(`{"role":"admin"}`))
		e.attack("rows inserted", "a forgery in "+table, false, func() { e.insert(table, forged) }, func() { e.put(table, now) })
	}
	// A consent of one patient under another.
	now := e.rows("permission")
	for _, r := range now {
		if fmt.Sprint(r.get("patient")) == string(e.patient[1]) {
			e.attack("rows inserted", "a permission moved to another patient", false,
				func() { e.update("permission", r, "patient", string(e.patient[0])) }, func() { e.put("permission", now) })
			break
		}
	}
}

// deleteRows takes out what speaks against a release, and what belongs to one.
func (e *enemy) deleteRows() {
	for _, table := range []string{"account", "subject", "permission", "photo", "photo_key", "patient"} {
		now := e.rows(table)
		for i, r := range now[:min(6, len(now))] {
			if table == "permission" {
				r = now[len(now)-1-i] // revocations are among the last
			}
			if table == "patient" {
				continue // the head is what counts; below, both go
			}
			e.attack("rows deleted", fmt.Sprintf("%s %d", table, i), false, func() {
				name := map[bool]string{true: "photo", false: "id"}[table == "photo_key"]
				e.exec(`DELETE FROM `+table+` WHERE practice = $1 AND `+name+` = $2`, e.practice, r.get(name))
			}, func() { e.put(table, now) })
		}
	}
	events := e.rows("permission")
	e.attack("rows deleted", "every event", false, func() {
		e.exec(`DELETE FROM permission WHERE practice = $1 AND kind = 'event'`, e.practice)
	}, func() { e.put("permission", events) })
}

// rollBack puts whole tables back to before: with the service running, and for
// a process that has seen nothing.
func (e *enemy) rollBack() {
	sets := map[string][]string{
		"accounts with their credentials": {"account", "credential"}, "heads": {"subject"}, "whole records": {"subject", "permission"},
		"photos": {"photo"}, "photos with their keys": {"photo", "photo_key"},
		"records and photos":     {"subject", "permission", "photo", "photo_key"},
		"everything but the log": {"account", "credential", "subject", "permission", "photo", "photo_key"},
	}
	for name, tables := range sets {
		now := map[string][]row{}
		for _, table := range tables {
			now[table] = e.rows(table)
		}
		do := func() {
			for _, table := range tables {
				e.put(table, e.before[table])
			}
		}
		undo := func() {
			for _, table := range tables {
				e.put(table, now[table])
			}
		}
		e.attack("rolled back", name, false, do, undo)
		do()
		fresh := e.reopen(e.stack)
		report, err := (&vault.Fsck{Catalogs: fresh, Keys: e.keys, Blobs: e.blobs, Checkpoints: e.outside, Practice: e.practice, Settle: time.Millisecond}).Run(e.Context())
		e.must(err)
		e.tally["rolled back cases"]++
		if len(report.Findings) == 0 {
			e.Errorf("rolled back, and the process started anew: %s was noticed by nobody", name)
		} else {
			e.tally["rolled back found by fsck"]++
		}
		e.must(fresh.Close())
		undo()
	}
}
