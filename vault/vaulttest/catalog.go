package vaulttest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
	"photovault/vault/seal"
)

// CatalogUnderTest is a fresh database with two practices in it, that writes
// messages to every audience.
type CatalogUnderTest struct {
	Catalogs        vault.Catalogs
	Practice, Other id.Practice
	Replicas        []vault.Catalogs // other handles of the same database
}

// Catalog is the conformance suite of vault.Catalogs. open is called for each
// group of tests; what it opens is closed by t.Cleanup.
func Catalog(t *testing.T, open func(t *testing.T) CatalogUnderTest) {
	for _, group := range []struct {
		name string
		run  func(*testing.T, *shelf)
	}{
		{"accounts", testAccounts},
		{"patients", testPatients},
		{"records", testRecords},
		{"campaigns", testCampaigns},
		{"templates and documents", testPapers},
		{"takedowns", testTakedowns},
		{"takedowns of others", testTakedownsApart},
		{"outbox", testOutbox},
		{"photos", testPhotos},
		{"uploads", testUploads},
		{"ingest", testIngest},
		{"deletion", testDeletion},
		{"objects", testObjects},
		{"derivations", testDerivations},
		{"copies for marketing", testCopies},
		{"releases", testReleases},
		{"volume", testVolume},
		{"volume raced", testVolumeRaced},
		{"audit log", testAuditLog},
		{"upload keys", testUploadKeys},
		{"practices are apart", testPracticesApart},
		{"a use and a revocation are ordered", testUseAgainstRevocation},
		{"a use is taken once", testUseTakenOnce},
	} {
		t.Run(group.name, func(t *testing.T) {
			u := open(t)
			s := &shelf{CatalogUnderTest: u, c: u.Catalogs.ForPractice(u.Practice), now: time.Now().UTC().Truncate(time.Millisecond)}
			group.run(t, s)
		})
	}
}

// shelf makes rows. Every helper fails the test when the catalog refuses.
type shelf struct {
	CatalogUnderTest
	c   vault.Catalog
	now time.Time
	n   int
}

func (s *shelf) entry(a audit.Action) *audit.Entry {
	return &audit.Entry{Action: a, Outcome: audit.Allowed, Source: "192.0.2.1"}
}

func (s *shelf) account(t testing.TB, role consent.Role) (*vault.Account, *vault.Credential) {
	t.Helper()
	s.n++
	a, c, _, err := newAccount(s.Practice, "Account "+strconv.Itoa(s.n), role, s.now)
	must(t, err)
	must(t, s.c.AddAccount(t.Context(), a, c, s.entry(audit.AccountCreate)))
	return a, c
}

// newAccount makes an account's rows without storing them.
func newAccount(p id.Practice, name string, role consent.Role, now time.Time) (*vault.Account, *vault.Credential, consent.Bearer, error) {
	b := consent.NewBearer(consent.CredentialPrefix)
	a := &vault.Account{ID: id.New[id.Account](), Practice: p, Name: name, Role: role, Version: 1, CreatedAt: now}
	c := &vault.Credential{ID: id.New[id.Credential](), Practice: p, Account: a.ID, Hash: b.Hash(), ExpiresAt: now.Add(time.Hour)}
	return a, c, b, nil
}

func (s *shelf) patient(t testing.TB) *vault.Patient {
	t.Helper()
	s.n++
	p := &vault.Patient{ID: id.New[id.Patient](), Practice: s.Practice, RecordNumber: "MRN-" + strconv.Itoa(s.n), Name: "Somebody", CreatedAt: s.now}
	must(t, s.c.AddPatient(t.Context(), p, nil, s.entry(audit.PatientCreate)))
	return p
}

func (s *shelf) clinical(t testing.TB, p id.Patient) *consent.Clinical {
	t.Helper()
	c := &consent.Clinical{ID: id.New[id.Consent](), Practice: s.Practice, Patient: p, Signer: consent.Signer{Name: "Somebody"}, SignedAt: s.now, RecordedAt: s.now}
	must(t, s.c.AddClinical(t.Context(), c, s.entry(audit.ConsentRecord)))
	return c
}

func (s *shelf) authorization(t testing.TB, p id.Patient, change ...func(*consent.Authorization)) *consent.Authorization {
	t.Helper()
	a := &consent.Authorization{ID: id.New[id.Authorization](), Practice: s.Practice, Patient: p, Description: "all of them",
		Scope: consent.Scope{AllPhotos: true}, Discloser: "the practice", Recipients: []string{"our website"}, Purposes: []string{"advertising"},
		Channels: []string{"website"}, ExpiryEvent: "end of treatment", Signer: consent.Signer{Name: "Somebody"}, SignedAt: s.now,
		Statements: consent.Statements{RightToRevoke: true, Conditioning: true, Redisclosure: true}, CopyGivenAt: s.now, RecordedAt: s.now}
	for _, f := range change {
		f(a)
	}
	must(t, s.c.AddAuthorization(t.Context(), a, s.entry(audit.AuthorizeRecord)))
	return a
}

func (s *shelf) event(p id.Patient, kind consent.EventKind, subject string) *consent.Event {
	return &consent.Event{ID: id.New[id.Event](), Practice: s.Practice, Patient: p, Kind: kind, Subject: subject, ReceivedAt: s.now, EnteredAt: s.now}
}

func (s *shelf) newPhoto(p id.Patient, by id.Account) (*vault.Photo, *vault.Grant) {
	photo := &vault.Photo{ID: id.New[id.Photo](), Practice: s.Practice, Patient: p, Device: id.New[id.Device](), Capture: id.New[id.Capture](),
		State: vault.Declared, Version: 1, Kind: "before", BodySite: "left cheek", DeclaredBy: by, DeclaredAt: s.now}
	return photo, &vault.Grant{Practice: s.Practice, Photo: photo.ID, Account: by, Hash: consent.NewBearer(consent.GrantPrefix).Hash(), ExpiresAt: s.now.Add(time.Hour)}
}

func (s *shelf) declared(t testing.TB, p id.Patient, by id.Account) *vault.Photo {
	t.Helper()
	photo, grant := s.newPhoto(p, by)
	out, err := s.c.DeclarePhoto(t.Context(), photo, grant, s.entry(audit.PhotoDeclare))
	must(t, err)
	return out
}

func (s *shelf) upload(t testing.TB, p *vault.Photo, length int64) *vault.Upload {
	t.Helper()
	u := &vault.Upload{ID: id.New[id.Upload](), Practice: s.Practice, Photo: p.ID, Owner: p.DeclaredBy, Length: length, CreatedAt: s.now, ExpiresAt: s.now.Add(time.Hour)}
	must(t, s.c.AddUpload(t.Context(), u, s.entry(audit.PhotoUpload)))
	return u
}

// planned records a pending object.
func (s *shelf) planned(t testing.TB, area blobs.Area, owner string, size int64) vault.Object {
	t.Helper()
	o := vault.Object{ID: id.New[id.Object](), Area: string(area), Owner: owner, Size: size}
	must(t, s.c.PlanObjects(t.Context(), o))
	return o
}

// segment adds size bytes at u.Offset and moves it.
func (s *shelf) segment(t testing.TB, u *vault.Upload, size int64) vault.Segment {
	t.Helper()
	o := s.planned(t, blobs.Staging, string(u.ID), size)
	seg := vault.Segment{Start: u.Offset, Size: size, Object: o.ID, SHA256: sha256.Sum256([]byte(o.ID))}
	must(t, s.c.AddSegments(t.Context(), u, []vault.Segment{seg}, s.now.Add(2*time.Hour), s.entry(audit.PhotoUpload)))
	u.Offset += size
	return seg
}

func (s *shelf) received(t testing.TB, p id.Patient, by id.Account) (*vault.Photo, *vault.Upload) {
	t.Helper()
	photo := s.declared(t, p, by)
	u := s.upload(t, photo, 100)
	s.segment(t, u, 60)
	s.segment(t, u, 40)
	return photo, u
}

// claim leases the photo's job; other jobs that are due go back. The catalog's
// clock may be a minute ahead.
func (s *shelf) claim(t testing.TB, photo id.Photo) *vault.Job {
	t.Helper()
	for {
		j, err := s.Catalogs.ClaimJob(t.Context(), time.Now().Add(2*time.Minute), time.Minute)
		must(t, err)
		if j == nil {
			t.Fatal("no job is due")
		}
		if j.Photo == photo {
			return j
		}
		must(t, s.Catalogs.ForPractice(j.Practice).RetryJob(t.Context(), j, time.Now().Add(time.Hour)))
	}
}

// ingested returns what a commit of the photo needs, its objects planned.
func (s *shelf) ingested(t testing.TB, photo id.Photo) (*vault.Photo, *vault.PhotoKey) {
	t.Helper()
	p, err := s.c.Photo(t.Context(), photo)
	must(t, err)
	ready := *p
	for _, name := range vault.RenditionNames {
		o := s.planned(t, blobs.Photos, string(photo), seal.SealedSize(1000))
		ready.Renditions = append(ready.Renditions, vault.Rendition{Name: name, Object: o.ID, ContentType: "image/jpeg", Width: 4, Height: 3, Size: 1000})
	}
	ready.ReadyAt = s.now
	ready.Receipt = &vault.Receipt{Photo: photo, Practice: s.Practice, IssuedAt: s.now, Software: "test"}
	return &ready, &vault.PhotoKey{Photo: photo, Wrapped: []byte("wrapped")}
}

func (s *shelf) ready(t testing.TB, p id.Patient, by id.Account) *vault.Photo {
	t.Helper()
	photo, u := s.received(t, p, by)
	j := s.claim(t, photo.ID)
	ready, key := s.ingested(t, photo.ID)
	must(t, s.c.CommitPhoto(t.Context(), j, ready, key, s.entry(audit.PhotoIngest)))
	segments, err := s.c.DeadObjects(t.Context(), string(u.ID))
	must(t, err)
	for _, o := range segments {
		must(t, s.c.ForgetObject(t.Context(), o.ID))
	}
	out, err := s.c.Photo(t.Context(), photo.ID)
	must(t, err)
	return out
}

func (s *shelf) token(t testing.TB, photo *vault.Photo, by id.Account, change ...func(*consent.Token)) *consent.Token {
	t.Helper()
	k := &consent.Token{ID: id.New[id.Token](), Hash: consent.NewBearer(consent.TokenPrefix).Hash(), Practice: s.Practice, Account: by,
		Patient: photo.Patient, Photo: photo.ID, Rendition: "web", Purpose: consent.ForCare, Form: consent.InHeader, Uses: 5,
		IssuedAt: s.now, ExpiresAt: s.now.Add(time.Hour)}
	for _, f := range change {
		f(k)
	}
	must(t, s.addToken(t.Context(), k, s.entry(audit.TokenIssue)))
	return k
}

// addToken adds one under a cap that it does not reach.
func (s *shelf) addToken(ctx context.Context, k *consent.Token, e *audit.Entry) error {
	warnings, err := s.c.AddToken(ctx, k, consent.Allowance{Cap: consent.Cap{Hour: 1000, Day: 1000}}, e)
	if err == nil && len(warnings) > 0 {
		err = fmt.Errorf("warned of a cap that is far: %v", warnings)
	}
	return err
}

// entries counts the log's entries.
func (s *shelf) entries(t testing.TB) int {
	t.Helper()
	n := 0
	must(t, s.c.AuditRecords(t.Context(), 0, func(audit.Record) error { n++; return nil }))
	return n
}

// logs runs act and checks that it added that many entries to the log.
func (s *shelf) logs(t testing.TB, n int, act func() error) error {
	t.Helper()
	before := s.entries(t)
	err := act()
	if got := s.entries(t) - before; got != n {
		t.Errorf("%d audit entries were written, want %d (error: %v)", got, n, err)
	}
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func wantConflict(t testing.TB, err error, code string) {
	t.Helper()
	var c *vault.ConflictError
	if !errors.As(err, &c) || c.Code != code {
		t.Errorf("error %v, want conflict %s", err, code)
	}
}

// wantNothingWithoutEntry: a change without its audit entry is refused.
func wantNothingWithoutEntry(t testing.TB, change func(ctx context.Context) error) {
	t.Helper()
	if change(t.Context()) == nil {
		t.Error("a change was made without an audit entry")
	}
}
