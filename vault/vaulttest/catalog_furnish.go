package vaulttest

import (
	"testing"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// Furnished is a practice with something in every table.
type Furnished struct {
	Practice      id.Practice
	Account       *vault.Account // a provider
	Credential    *vault.Credential
	Patient       *vault.Patient
	Clinical      *consent.Clinical
	Authorization *consent.Authorization
	Grant         *vault.Grant  // of Declared
	Declared      *vault.Photo  // with an upload of 100 bytes at 50
	Upload        *vault.Upload // of Declared
	Ready         *vault.Photo  // with its key
	Campaign      *consent.Campaign
	Template      *consent.Template
	Document      *consent.Document
	Token         *consent.Token // for Campaign
	Published     *consent.Token // of a copy of Ready under Authorization
	Uses          []consent.Use  // of Token: one delivered, one incomplete
	UploadKey     *vault.UploadKey
	Takedown      *consent.Takedown // of another patient, confirmed
}

// Fence is the state that a use of Token is approved on, at the patient's epoch.
func (f *Furnished) Fence(epoch int64) consent.Fence {
	return consent.Fence{Patient: f.Patient.ID, Epoch: epoch, Account: f.Account.ID, Version: f.Account.Version}
}

// Furnish fills a practice; it may be called again for further rows of each
// kind. It chains all audit entries but the last few.
func Furnish(t testing.TB, c vault.Catalogs, p id.Practice) *Furnished {
	t.Helper()
	s := &shelf{CatalogUnderTest: CatalogUnderTest{Catalogs: c, Practice: p}, c: c.ForPractice(p), now: time.Now().UTC().Truncate(time.Millisecond)}
	s.n = int(time.Now().UnixNano() % 1e15) // numbers accounts and patients
	f := &Furnished{Practice: p}
	f.Account, f.Credential = s.account(t, consent.Provider)
	f.Patient = s.patient(t)
	f.Clinical, f.Authorization = s.clinical(t, f.Patient.ID), s.authorization(t, f.Patient.ID)
	f.Ready = s.ready(t, f.Patient.ID, f.Account.ID)
	photo, grant := s.newPhoto(f.Patient.ID, f.Account.ID)
	f.Grant = grant
	declared, err := s.c.DeclarePhoto(t.Context(), photo, grant, s.entry(audit.PhotoDeclare))
	must(t, err)
	f.Upload = s.upload(t, declared, 100)
	s.segment(t, f.Upload, 30)
	s.segment(t, f.Upload, 20)
	f.Declared, err = s.c.Photo(t.Context(), declared.ID)
	must(t, err)
	_, _, err = s.c.Integrate(t.Context(), 10000)
	must(t, err)
	f.Campaign = s.campaign(t)
	f.Template, f.Document = s.newTemplate(), s.newDocument(f.Patient.ID)
	must(t, s.c.AddTemplate(t.Context(), f.Template, false, s.entry(audit.TemplateAdd)))
	must(t, s.c.AddDocument(t.Context(), f.Document, s.entry(audit.DocumentAdd)))
	f.Token = s.token(t, f.Ready, f.Account.ID, func(k *consent.Token) { k.Campaign = f.Campaign.ID })
	s.copied(t, f.Ready, f.Authorization.ID, "web")
	f.Published = s.token(t, f.Ready, f.Account.ID, func(k *consent.Token) { k.Campaign, k.Authorization = f.Campaign.ID, f.Authorization.ID })
	for n, outcome := range []consent.UseOutcome{consent.UseComplete, consent.UseIncomplete} {
		u := consent.Use{Practice: p, Token: f.Token.ID, N: n + 1, Outcome: outcome}
		if ok, err := s.c.CommitUse(t.Context(), f.Fence(2), u, s.entry(audit.Release)); !ok || err != nil {
			t.Fatalf("use %d: %t, %v", u.N, ok, err)
		}
		must(t, s.c.FinishUse(t.Context(), u, outcome, s.entry(audit.Release)))
		f.Uses = append(f.Uses, u)
	}
	f.UploadKey = &vault.UploadKey{ID: id.New[id.UploadKey](), Practice: p, Suite: 0x647a, Public: []byte("public"), Wrapped: []byte("wrapped"),
		CreatedAt: s.now, SealUntil: s.now.Add(24 * time.Hour), OpenUntil: s.now.Add(48 * time.Hour)}
	must(t, s.c.AddUploadKey(t.Context(), f.UploadKey, s.entry(audit.UploadKeysRotate)))
	f.Takedown = s.takenDown(t, f.Account.ID, f.Campaign)
	must(t, s.c.RaiseKeyFloor(t.Context(), 1, s.entry(audit.KeysErase)))
	must(t, s.c.KeysErased(t.Context(), 1, s.entry(audit.KeysErase)))
	return f
}
