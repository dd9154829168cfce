package api_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
)

// marketed asks for a marketing token of the photo.
func (s *stack) marketed(p id.Photo, change ...func(*api.NewToken)) api.Token {
	s.Helper()
	in := s.forMarketing()
	in.Uses = consent.Marketing.Terms(consent.InHeader).Uses
	for _, f := range change {
		f(&in)
	}
	return into[api.Token](s.ask("POST", "/v1/photos/"+string(p)+"/tokens", s.token("marketing"), in), 201)
}

// copiesOf returns the key of marketing's copies, or nil.
func (s *stack) copiesOf(p id.Photo, a id.Authorization) *vault.PhotoKey {
	s.Helper()
	k, err := s.catalog.ForPractice(s.practice).PhotoKey(context.Background(), p, a)
	if errors.Is(err, vault.ErrNotFound) {
		return nil
	}
	s.must(err)
	return k
}

func (s *stack) kept(o id.Object) bool {
	s.Helper()
	r, _, err := s.blobs.Get(context.Background(), blobs.Name{Practice: s.practice, Area: blobs.Photos, Object: o}, 0, -1)
	if errors.Is(err, blobs.ErrNotFound) {
		return false
	}
	s.must(err)
	s.must(r.Close())
	return true
}

// intact runs fsck over everything and wants nothing found, once what the
// service has in motion is at rest.
func (s *stack) intact() {
	s.Helper()
	for began := time.Now(); ; {
		report, err := (&vault.Fsck{Catalogs: s.catalog, Keys: s.keys, Blobs: s.blobs, Checkpoints: s.outside, Practice: s.practice,
			ReadData: true, Settle: 20 * time.Millisecond}).Run(context.Background())
		s.must(err)
		if len(report.Findings) == 0 {
			return
		}
		if time.Since(began) > 30*time.Second {
			s.Errorf("fsck found %+v", report.Findings)
			return
		}
	}
}

// Marketing never opens the clinical objects: its copies are under a key of
// their own, which ends with the authorization, at once; the clinical album stays.
func TestMarketingsCopiesFollowTheirAuthorization(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo, other := s.ready(patient, small), s.ready(patient, small)
	web := rendition(s, photo, "web")
	derived := func() int {
		return s.logged(func(e vault.Logged) bool {
			return e.Action == audit.PhotoDerive && e.Outcome == audit.Complete && e.Photo == photo.ID
		})
	}
	first := s.authorize(s.newAuthorization(patient))
	if s.copiesOf(photo.ID, first) != nil {
		t.Error("copies were made before anybody asked")
	}
	token := s.marketed(photo.ID)
	key := s.copiesOf(photo.ID, first)
	if key == nil || len(key.Copies) != 1 || key.Copies[0].Object == s.object(photo.ID, "web").Object || key.Copies[0].SHA256 != web.SHA256 {
		t.Fatalf("the copies are %+v", key)
	}
	s.wantPhoto(s.fetch("GET", token), web)
	s.marketed(photo.ID)
	if n := derived(); n != 1 {
		t.Errorf("%d copies were made of one rendition", n)
	}
	thumb := s.marketed(photo.ID, func(in *api.NewToken) { in.Rendition = "thumb" })
	s.wantPhoto(s.fetch("GET", thumb), rendition(s, photo, "thumb"))
	if again := s.copiesOf(photo.ID, first); len(again.Copies) != 2 || string(again.Wrapped) != string(key.Wrapped) {
		t.Errorf("the second copy is under another key: %+v", again)
	}
	s.intact()

	restore := s.rewrite(s.object(photo.ID, "web"), flip(100))
	s.wantPhoto(s.fetch("GET", token), web) // the clinical object is not what it opens
	restore()

	copies := s.copiesOf(photo.ID, first).Copies
	s.revoke(first)
	if s.copiesOf(photo.ID, first) != nil {
		t.Error("the key outlived its authorization")
	}
	s.fetch("GET", token).problem(404, "not_found")
	s.wantPhoto(s.fetch("GET", s.forCare(photo.ID, "web", consent.InHeader, 1)), web)
	_, err := s.service.Sweep(t.Context())
	s.must(err)
	for _, c := range copies {
		if s.kept(c.Object) {
			t.Errorf("the object of %s is kept", c.Name)
		}
	}
	if n := s.logged(func(e vault.Logged) bool {
		return e.Action == audit.ConsentRevoke && slices.Contains(e.Records, "ended-copies/"+string(photo.ID)+"/"+string(first))
	}); n != 1 {
		t.Errorf("%d entries say that the key went with the revocation", n)
	}

	// A renewed authorization makes new ones under a new key.
	second := s.authorize(s.newAuthorization(patient))
	s.fetch("GET", token).problem(404, "not_found")
	renewed := s.marketed(photo.ID)
	s.wantPhoto(s.fetch("GET", renewed), web)
	s.wantPhoto(s.fetch("GET", s.marketed(other.ID)), rendition(s, other, "web"))
	if again := s.copiesOf(photo.ID, second); string(again.Wrapped) == string(key.Wrapped) || again.Copies[0].Object == copies[0].Object {
		t.Error("the old key was taken again")
	}

	// A restriction on one photo ends its copies only, and ending it brings none back.
	restricted := into[api.Event](s.ask("POST", "/v1/patients/"+string(patient)+"/restrictions", s.token("front-desk"),
		api.NewRestriction{Photo: photo.ID, Purposes: []consent.Purpose{consent.ForMarketing}, Reason: "asked by phone"}), 201)
	if s.copiesOf(photo.ID, second) != nil || s.copiesOf(other.ID, second) == nil {
		t.Error("the restriction took the wrong copies")
	}
	s.ask("POST", "/v1/events/"+string(restricted.ID)+"/end", s.token("front-desk"), nil)
	s.fetch("GET", renewed).problem(404, "not_found")
	s.intact()
}

func TestCopiesUnderAnAuthorizationThatExpiredAreSwept(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	with := s.newAuthorization(patient)
	expires := s.clock.now().Add(10 * time.Minute).UTC().Truncate(time.Millisecond)
	with.ExpiresAt = &expires
	a := s.authorize(with)
	token := s.marketed(photo.ID, func(in *api.NewToken) { in.TTLSeconds = 900 })
	s.fetch("GET", token).ok(200)
	key := s.copiesOf(photo.ID, a)
	swept, err := s.service.Sweep(t.Context())
	s.must(err)
	if swept.Copies != 0 || s.copiesOf(photo.ID, a) == nil {
		t.Fatal("swept before its time")
	}
	s.clock.advance(11 * time.Minute)
	s.fetch("GET", token).problem(404, "not_found") // before any sweep
	swept, err = s.service.Sweep(t.Context())
	s.must(err)
	if swept.Copies != 1 || s.copiesOf(photo.ID, a) != nil || s.kept(key.Copies[0].Object) {
		t.Errorf("swept %+v, and the copies are there", swept)
	}
	if n := s.logged(func(e vault.Logged) bool { return e.Action == audit.CopiesEnd && e.Patient == patient }); n != 1 {
		t.Errorf("%d entries", n)
	}
	s.wantPhoto(s.fetch("GET", s.forCare(photo.ID, "web", consent.InHeader, 1)), rendition(s, photo, "web"))
	s.intact()
}

// What an enemy who owns the database does with the keys of copies.
func TestKeysOfCopiesAreBoundToTheirAuthorization(t *testing.T) {
	s := newStack(t)
	e := &enemy{stack: s, db: s.stores.raw(s), tally: map[string]int{}}
	patient := s.consented()
	photo := s.ready(patient, small)
	first := s.authorize(s.newAuthorization(patient))
	token := s.marketed(photo.ID)
	s.fetch("GET", token).ok(200)
	narrower := s.newAuthorization(patient)
	narrower.Recipients = []string{"Another Studio"}
	second := s.authorize(narrower)
	another := s.marketed(photo.ID, func(in *api.NewToken) { in.Recipient = "Another Studio" })
	s.fetch("GET", another).ok(200)
	of := func(a id.Authorization) row {
		for _, r := range e.rows("photo_key") {
			if r.get("authorization_id") == string(a) {
				return r
			}
		}
		t.Fatalf("no key under %q", a)
		return row{}
	}
	refused := func(what string, token api.Token) {
		t.Helper()
		if a := s.fetch("GET", token, odd); a.status/100 == 2 {
			t.Errorf("%s: %d bytes were released", what, len(a.body))
		}
	}
	found := func(what, code string) {
		t.Helper()
		if list := e.fsck(true); !slices.ContainsFunc(list, func(f vault.Finding) bool { return f.Code == code }) {
			t.Errorf("%s: fsck found %+v, want %s", what, list, code)
		}
	}
	a, b, own := of(first), of(second), of("")
	for what, with := range map[string]row{"another authorization's": b, "the photo's own": own} {
		e.update("photo_key", a, "sealed", with.get("sealed"))
		refused("the key is "+what, token)
		found("the key is "+what, "row_broken")
		e.update("photo_key", a, "sealed", a.get("sealed"))
	}
	e.exec(`UPDATE token SET authorization_id = $1 WHERE practice = $2 AND id = $3`, second, s.practice, token.ID)
	refused("the token names another authorization", token)
	e.exec(`UPDATE token SET authorization_id = '' WHERE practice = $1 AND id = $2`, s.practice, token.ID)
	refused("the token names none", token)
	e.exec(`UPDATE token SET authorization_id = $1 WHERE practice = $2 AND id = $3`, first, s.practice, token.ID)
	s.fetch("GET", token).ok(200)

	mine, theirs := s.copiesOf(photo.ID, first).Copies[0].Object, s.copiesOf(photo.ID, second).Copies[0].Object
	at := func(o id.Object) blobs.Name { return blobs.Name{Practice: s.practice, Area: blobs.Photos, Object: o} }
	bytesOf := s.stored(at(mine))
	for what, with := range map[string]blobs.Name{"another authorization's": at(theirs), "the photo's own": s.object(photo.ID, "web")} {
		s.replace(at(mine), s.stored(with))
		refused("the object is "+what, token)
		found("the object is "+what, "object_broken")
	}
	s.replace(at(mine), bytesOf)
	s.fetch("GET", token).ok(200)

	// After the revocation the row, and the object, are put back.
	s.revoke(first)
	_, err := s.service.Sweep(t.Context())
	s.must(err)
	s.replace(at(mine), bytesOf)
	e.insert("photo_key", a)
	refused("the key was put back", token)
	found("the key was put back", "copies_put_back")
	s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token("marketing"), s.forMarketing(), odd).problem(403, "authorization_revoked")
	e.exec(`DELETE FROM photo_key WHERE practice = $1 AND authorization_id = $2`, s.practice, first)
	found("only the object was put back", "object_extra")
	e.exec(`INSERT INTO object (practice, id, area, owner, size, state, changed_at, authorization_id) VALUES ($1, $2, 'photos', $3, $4, 'live', 1, $5)`,
		s.practice, mine, photo.ID, len(bytesOf), first)
	found("the object and its place in the list", "object_orphaned")
	s.fetch("GET", another).ok(200)
}
