package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/blobs/dir"
	"photovault/vault/catalog"
	"photovault/vault/envelope"
	"photovault/vault/id"
	"photovault/vault/keys/localkek"
)

// replicas is how many processes serve at once.
const replicas = 3

// world is one run.
type world struct {
	*schedule
	t          *testing.T
	folder     string
	practice   id.Practice
	people     map[string]consent.Principal
	patients   []*patient
	accounts   map[string]*permission
	campaign   *permission
	campaignID id.Campaign
	sealing    envelope.PublicKey

	kek      *localkek.Service
	store    *dir.Store
	observer *catalog.DB
	lying    func(vault.Catalogs) vault.Catalogs // nil: the catalog is honest
	enemy    *enemy

	background  sync.WaitGroup
	clients     sync.WaitGroup
	closing     bool          // clients begin nothing new
	quiet       time.Duration // in which nothing ran, at the end
	started     [replicas]int
	checkpoints [replicas]*audit.Checkpoint
	opened      []*catalog.DB

	mu       sync.Mutex
	up       [replicas]*replica
	names    map[string]string
	owners   map[id.Object]string
	photos   []*photo
	tokens   []*token
	byToken  map[id.Token]*token
	forged   bool
	findings []string
}

// template is an installation that every run begins with.
type template struct {
	folder   string
	practice id.Practice
	people   map[string]consent.Principal
	patients []id.Patient
	campaign id.Campaign
}

// scratch is a folder in memory where there is one: the simulated crashes are
// those of a process, and the power never fails.
func scratch(t *testing.T) string {
	folder, err := os.MkdirTemp("/dev/shm", "simulation")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

// newTemplate makes an installation, at the time at which every run begins.
func newTemplate(t *testing.T) (out *template) {
	out = &template{folder: scratch(t), practice: id.New[id.Practice](), people: map[string]consent.Principal{}}
	synctest.Test(t, func(t *testing.T) {
		must := func(err error) {
			if err != nil {
				t.Helper()
				t.Fatal(err)
			}
		}
		ctx := t.Context()
		must(localkek.Create(filepath.Join(out.folder, "kek.json"), nil))
		kek, err := localkek.Open(filepath.Join(out.folder, "kek.json"), nil)
		must(err)
		db, err := catalog.OpenSQLite(ctx, filepath.Join(out.folder, "catalog.db"), kek, catalog.Options{Practice: out.practice})
		must(err)
		must(db.CreatePractice(ctx, out.practice, &audit.Entry{Action: audit.PracticeCreate, Outcome: audit.Allowed}))
		store, err := dir.Open(filepath.Join(out.folder, "objects"))
		must(err)
		must(vault.Mark(ctx, store, out.practice))
		for name, role := range map[string]consent.Role{"provider": consent.Provider, "desk": consent.FrontDesk, "marketing": consent.Marketing,
			"agency": consent.Marketing, "privacy": consent.Privacy, "admin": consent.Admin} {
			a, c, _, err := vault.NewAccount(out.practice, name, role, 0, time.Now())
			must(err)
			must(db.ForPractice(out.practice).AddAccount(ctx, a, c, &audit.Entry{Action: audit.AccountCreate, Outcome: audit.Allowed, Subject: string(a.ID)}))
			out.people[name] = consent.Principal{Practice: out.practice, Account: a.ID, Role: role}
		}
		s, err := vault.New(vault.Config{Practice: out.practice, Catalogs: db, Keys: kek, Blobs: store, Media: &media{}, Checkpoints: &outside{},
			Logger: slog.New(slog.DiscardHandler)})
		must(err)
		must(s.RotateUploadKeys(ctx, out.people["admin"]))
		for range 3 {
			p, err := s.CreatePatient(ctx, out.people["provider"], string(id.New[id.Patient]()), "")
			must(err)
			_, err = s.RecordClinical(ctx, out.people["provider"], consent.Clinical{Patient: p.ID, Signer: consent.Signer{Name: "x"}, SignedAt: time.Now().Add(-time.Hour)})
			must(err)
			out.patients = append(out.patients, p.ID)
		}
		slices.Sort(out.patients) // the service goes through them in this order
		ca, err := s.AddCampaign(ctx, out.people["marketing"], consent.Campaign{Name: "spring", Purpose: "advertising", Channels: []string{"website"},
			Recipients: []string{"studio"}, From: time.Now(), Until: time.Now().Add(365 * 24 * time.Hour)})
		must(err)
		out.campaign = ca.ID
		must(db.Close())
		must(store.Close())
		must(kek.Close())
	})
	return out
}

// newWorld is called in a bubble of its own.
func newWorld(t *testing.T, from *template, seed uint64) *world {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	w := &world{schedule: newSchedule(seed), t: t, folder: scratch(t), practice: from.practice, people: from.people,
		enemy: &enemy{stored: map[id.Object]thing{}, spell: map[id.Object]bewitched{}}, names: map[string]string{}, owners: map[id.Object]string{},
		byToken: map[id.Token]*token{}, campaign: &permission{name: "campaign"}, campaignID: from.campaign, accounts: map[string]*permission{}}
	for name := range from.people {
		w.accounts[name] = &permission{name: name}
	}
	must(os.CopyFS(w.folder, os.DirFS(from.folder)))
	for _, f := range []string{"", "/objects"} { // copying follows the umask
		must(os.Chmod(w.folder+f, 0o700))
	}
	must(os.Chmod(filepath.Join(w.folder, "kek.json"), 0o600))
	var err error
	w.kek, err = localkek.Open(filepath.Join(w.folder, "kek.json"), nil)
	must(err)
	w.store, err = dir.Open(filepath.Join(w.folder, "objects"))
	must(err)
	w.observer, err = catalog.OpenSQLite(t.Context(), filepath.Join(w.folder, "catalog.db"), w.kek, catalog.Options{Practice: w.practice})
	must(err)
	for i, p := range from.patients {
		w.patients = append(w.patients, &patient{id: p, name: fmt.Sprintf("patient%d", i+1)})
		w.callIt(string(p), w.patients[i].name)
	}
	w.callIt(string(from.campaign), "campaign")
	keys, err := w.observer.ForPractice(w.practice).UploadKeys(t.Context())
	must(err)
	for _, k := range keys {
		if envelope.Suite(k.Suite) == envelope.P256 {
			w.sealing = envelope.PublicKey{ID: k.ID, Suite: envelope.P256, Key: k.Public, SealUntil: k.SealUntil}
		}
	}
	return w
}

func (w *world) close() {
	for _, db := range append(w.opened, w.observer) {
		_ = db.Close()
	}
	_ = w.store.Close()
	_ = w.kek.Close()
}

// lie puts the catalog of a lying test in the honest one's place.
func (w *world) lie(honest vault.Catalogs) vault.Catalogs {
	if w.lying == nil {
		return honest
	}
	return w.lying(honest)
}

// callIt gives an id the name that it has in the trace.
func (w *world) callIt(v, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[v] = name
}

func (w *world) called(v string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n, ok := w.names[v]; ok {
		return n
	}
	return "-"
}

func (w *world) own(o id.Object, owner string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owners[o] = owner
}

func (w *world) ownerOf(o id.Object) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.owners[o]
}

// tampered notes that bytes were forged: an integrity failure is then no finding.
func (w *world) tampered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forged = true
}

// finding ends the run.
func (w *world) finding(promise, format string, args ...any) {
	w.mu.Lock()
	w.findings = append(w.findings, promise+": "+fmt.Sprintf(format, args...))
	w.mu.Unlock()
	w.note("FINDING", "%s: %s", promise, fmt.Sprintf(format, args...))
}

func (w *world) found() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.findings) > 0
}

// actor is a client or an operator, with chances of its own.
type actor struct {
	w    *world
	name string
	rng  *rand.Rand
	ctx  context.Context
}

func (w *world) actor(name string, stream uint64) *actor {
	return &actor{w, name, rand.New(rand.NewPCG(w.seed, 1000+stream)), context.WithValue(context.Background(), actorKey{}, name)}
}

// client begins an actor.
func (w *world) client(name string, stream uint64, f func(*actor)) {
	a := w.actor(name, stream)
	w.clients.Go(func() { f(a) })
}

// pause lets time pass; it reports whether the actor goes on.
func (a *actor) pause(least, most time.Duration) bool {
	d := least
	if most > least {
		d += time.Duration(a.rng.Int64N(int64(most - least)))
	}
	return a.w.park(&call{actor: a.name, what: "goes on", from: time.Now().Add(d.Truncate(quantum))}).fault != gone
}

func (a *actor) chance(p float64) bool { return a.rng.Float64() < p }

// replica picks one that serves, waiting for one; nil when everything ends.
func (a *actor) replica() *replica {
	for {
		var up []*replica
		a.w.mu.Lock()
		for _, r := range a.w.up {
			if r != nil {
				up = append(up, r)
			}
		}
		a.w.mu.Unlock()
		if len(up) > 0 {
			return up[a.rng.IntN(len(up))]
		}
		if !a.pause(200*time.Millisecond, time.Second) {
			return nil
		}
	}
}

// errEnds tells an actor that everything ends.
var errEnds = fmt.Errorf("simulation: ends: %w", errGone)

// ask is one request to one replica, with a client's patience. What a dead
// replica answered nobody hears.
func (a *actor) ask(what string, f func(context.Context, *replica) error) error {
	r := a.replica()
	if r == nil {
		return errEnds
	}
	return a.askAt(r, what, f)
}

func (a *actor) askAt(r *replica, what string, f func(context.Context, *replica) error) error {
	ctx, cancel := context.WithTimeout(a.ctx, 20*time.Second)
	defer cancel()
	err := f(ctx, r)
	if r.dead.Load() {
		err = errGone
	}
	if err == nil {
		a.w.note(a.name, "%s %s: ok", r.name, what)
		return nil
	}
	code := vault.Code(err)
	a.w.note(a.name, "%s %s: %s", r.name, what, code)
	switch {
	case code == "internal" && !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && !isShort(err):
		a.w.finding("P9", "%s: an error without a code: %v", what, err)
	case code == "integrity_failure" && !a.w.wasTampered():
		a.w.finding("P5", "%s: broken, and nobody touched it: %v", what, err)
	}
	return err
}

func (w *world) wasTampered() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.forged
}

func (w *world) isClosing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closing
}
