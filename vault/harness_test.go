package vault_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"photovault/consent"
	"photovault/imaging"
	"photovault/imaging/codec"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/blobs/dir"
	"photovault/vault/catalog"
	"photovault/vault/envelope"
	"photovault/vault/id"
	"photovault/vault/keys/localkek"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "media-worker" {
		os.Exit(codec.WorkerMain(os.Stdin, os.Stdout, os.Args[2:]))
	}
	os.Exit(m.Run())
}

// fixture is a service on real embedded stores; faults are injected between it
// and the catalog.
type fixture struct {
	*vault.Service
	t        *testing.T
	catalogs *faulty
	store    *stalling
	objects  string
	practice id.Practice
	people   map[consent.Role]consent.Principal
}

// faulty passes everything through until it is told to fail.
type faulty struct {
	vault.Catalogs
	mu   sync.Mutex
	fail map[string]error
}

func (f *faulty) set(what string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[what] = err
}

func (f *faulty) err(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fail[what]
}

func (f *faulty) ForPractice(p id.Practice) vault.Catalog {
	return &faultyCatalog{f.Catalogs.ForPractice(p), f}
}

type faultyCatalog struct {
	vault.Catalog
	f *faulty
}

func (c *faultyCatalog) CommitUse(ctx context.Context, f consent.Fence, u consent.Use, e *audit.Entry) (bool, error) {
	if err := c.f.err("CommitUse"); err != nil {
		return false, err
	}
	return c.Catalog.CommitUse(ctx, f, u, e)
}

func (c *faultyCatalog) WriteAudit(ctx context.Context, e *audit.Entry) error {
	if err := c.f.err("WriteAudit"); err != nil {
		return err
	}
	return c.Catalog.WriteAudit(ctx, e)
}

func (c *faultyCatalog) Versions(ctx context.Context, of vault.Standing) (vault.Versions, error) {
	if err := c.f.err("Versions"); err != nil {
		return vault.Versions{}, err
	}
	return c.Catalog.Versions(ctx, of)
}

// stalling is a store that answers, and then, for one object, sends nothing
// more until the gate is closed.
type stalling struct {
	blobs.Store
	mu     sync.Mutex
	object id.Object
	gate   chan struct{}

	meanwhile func() // once, before the next object is read
	stored    func() // once, after the next object was stored
}

func (s *stalling) Put(ctx context.Context, name blobs.Name, body io.Reader, size int64) error {
	s.mu.Lock()
	stored := s.stored
	s.stored = nil
	s.mu.Unlock()
	err := s.Store.Put(ctx, name, body, size)
	if stored != nil {
		stored()
	}
	return err
}

func (s *stalling) stall(o id.Object) (goOn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.object, s.gate = o, make(chan struct{})
	return sync.OnceFunc(func() { close(s.gate) })
}

func (s *stalling) Get(ctx context.Context, name blobs.Name, off, n int64) (io.ReadCloser, int64, error) {
	s.mu.Lock()
	meanwhile := s.meanwhile
	s.meanwhile = nil
	s.mu.Unlock()
	if meanwhile != nil {
		meanwhile()
	}
	body, size, err := s.Store.Get(ctx, name, off, n)
	return &stallingBody{body, s, name.Object}, size, err
}

type stallingBody struct {
	io.ReadCloser
	of     *stalling
	object id.Object
}

func (b *stallingBody) Read(p []byte) (int, error) {
	b.of.mu.Lock()
	gate := b.of.gate
	held := b.of.object == b.object
	b.of.mu.Unlock()
	if held {
		<-gate
	}
	return b.ReadCloser.Read(p)
}

type memoryCheckpoints struct {
	mu     sync.Mutex
	newest *audit.Checkpoint
}

func (m *memoryCheckpoints) Save(c audit.Checkpoint) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.newest = &c
	return nil
}

func (m *memoryCheckpoints) Newest(id.Practice) (*audit.Checkpoint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newest, nil
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	folder := t.TempDir()
	f := &fixture{t: t, practice: id.New[id.Practice](), objects: filepath.Join(folder, "objects"), people: map[consent.Role]consent.Principal{}}
	must(localkek.Create(filepath.Join(folder, "kek.json"), nil))
	kek, err := localkek.Open(filepath.Join(folder, "kek.json"), nil)
	must(err)
	db, err := catalog.OpenSQLite(t.Context(), filepath.Join(folder, "catalog.db"), kek, catalog.Options{Practice: f.practice})
	must(err)
	must(db.CreatePractice(t.Context(), f.practice, &audit.Entry{Action: audit.PracticeCreate, Outcome: audit.Allowed}))
	store, err := dir.Open(f.objects)
	must(err)
	must(vault.Mark(t.Context(), store, f.practice))
	media, err := imaging.NewPool(imaging.Config{MemoryBytes: 2 << 30, UsualBytes: 2 << 30, WallClock: time.Minute}) // room for the race detector
	must(err)
	f.catalogs, f.store = &faulty{Catalogs: db, fail: map[string]error{}}, &stalling{Store: store}
	f.Service, err = vault.New(vault.Config{Practice: f.practice, Catalogs: f.catalogs, Keys: kek, Blobs: f.store, Media: media,
		Checkpoints: &memoryCheckpoints{}, Logger: slog.New(slog.DiscardHandler), Ingests: 1})
	must(err)
	for _, role := range consent.AccountRoles {
		a, c, _, err := vault.NewAccount(f.practice, "The "+string(role), role, 0, time.Now().UTC())
		must(err)
		must(db.ForPractice(f.practice).AddAccount(t.Context(), a, c, &audit.Entry{Action: audit.AccountCreate, Outcome: audit.Allowed, Subject: string(a.ID)}))
		f.people[role] = consent.Principal{Practice: f.practice, Account: a.ID, Role: role}
	}
	must(f.Prepare(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("background work: %v", err)
		}
		media.Close()
		_ = db.Close()
		_ = store.Close()
		_ = kek.Close()
	})
	return f
}

// add puts a photo of a new patient in and waits until it is ready.
func (f *fixture) add(jpeg []byte) *vault.Photo {
	f.t.Helper()
	ctx, provider := f.t.Context(), f.people[consent.Provider]
	patient, err := f.CreatePatient(ctx, provider, string(id.New[id.Patient]()), "")
	if err != nil {
		f.t.Fatal(err)
	}
	_, err = f.RecordClinical(ctx, provider, consent.Clinical{Patient: patient.ID, Signer: consent.Signer{Name: "x"}, SignedAt: time.Now().Add(-time.Minute)})
	if err != nil {
		f.t.Fatal(err)
	}
	return f.addTo(patient.ID, jpeg)
}

// addTo puts one more photo of a patient in and waits until it is ready.
func (f *fixture) addTo(patient id.Patient, jpeg []byte) *vault.Photo {
	f.t.Helper()
	ctx, provider := f.t.Context(), f.people[consent.Provider]
	p, _, err := f.Declare(ctx, provider, vault.Declaration{Patient: patient, Device: id.New[id.Device](), Capture: id.New[id.Capture]()})
	if err != nil {
		f.t.Fatal(err)
	}
	sealed := f.seal(p, jpeg)
	u, err := f.CreateUpload(ctx, provider, p.ID, int64(len(sealed)), false, vault.Asked{})
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.AppendUpload(ctx, provider, u.ID, vault.Append{Body: bytes.NewReader(sealed), Length: int64(len(sealed))}); err != nil {
		f.t.Fatal(err)
	}
	got := f.settled(p)
	if got.State != vault.Ready {
		f.t.Fatalf("the photo was rejected: %s", got.RejectedCode)
	}
	return got
}

func (f *fixture) seal(p *vault.Photo, jpeg []byte) []byte {
	f.t.Helper()
	list, err := f.UploadKeys(f.t.Context(), f.people[consent.Provider])
	if err != nil {
		f.t.Fatal(err)
	}
	_, pinned, err := f.EvidenceKeys(f.t.Context(), f.practice)
	if err != nil {
		f.t.Fatal(err)
	}
	key, err := list.Pick(pinned, 0, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := envelope.Seal(&sealed, key, f.practice, p.Capture)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := w.Write(jpeg); err != nil {
		f.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.t.Fatal(err)
	}
	return sealed.Bytes()
}

// clinical asks for a token as the provider.
func (f *fixture) clinical(p *vault.Photo, rendition string) consent.Bearer {
	f.t.Helper()
	_, b, err := f.IssueToken(f.t.Context(), f.people[consent.Provider], vault.TokenRequest{Photo: p.ID, Rendition: rendition, Purpose: consent.ForCare})
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

func (f *fixture) open(b consent.Bearer) (*vault.Delivery, error) {
	return f.OpenContent(f.t.Context(), vault.ContentRequest{Token: b, Form: consent.InHeader, Source: "192.0.2.1"})
}

func newCapture() id.Capture { return id.New[id.Capture]() }

// settled waits until the photo is ready or rejected.
func (f *fixture) settled(p *vault.Photo) *vault.Photo {
	f.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		got, err := f.Photo(f.t.Context(), f.people[consent.Provider], p.ID)
		if err != nil || time.Now().After(end) {
			f.t.Fatalf("photo %v: %v", got, err)
		}
		if got.State == vault.Ready || got.State == vault.Rejected {
			return got
		}
	}
}

// stored counts the photos' objects in the store.
func (f *fixture) stored() (n int) {
	f.t.Helper()
	if err := f.Blobs.List(f.t.Context(), f.practice, blobs.Photos, func(o blobs.Name, _ int64) error {
		if o.Object != id.Object(f.practice) { // the mark of the store
			n++
		}
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
	return n
}

func (c *faultyCatalog) CommitDerive(ctx context.Context, p id.Patient, epoch int64, e *audit.Entry) (bool, error) {
	if err := c.f.err("CommitDerive"); err != nil {
		return false, err
	}
	return c.Catalog.CommitDerive(ctx, p, epoch, e)
}

func (c *faultyCatalog) AddRendition(ctx context.Context, p id.Photo, r vault.Rendition, e *audit.Entry) error {
	if err := c.f.err("AddRendition"); err != nil {
		return err
	}
	return c.Catalog.AddRendition(ctx, p, r, e)
}
