package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/seal"
)

// Finding is one thing that is not as it was written. It names rows and
// objects, never a person.
type Finding struct {
	Code     string `json:"code"` // stable
	Where    string `json:"where"`
	Sentence string `json:"sentence"` // what was found
	Do       string `json:"do"`       // what to do about it
}

// remedies by code: what fsck finds, and what to do.
var remedies = map[string]struct{ sentence, do string }{
	"row_broken":        {"the row does not open in its place: it was edited, moved, or put there from elsewhere", "treat it as an attack; restore the row from the newest backup and verify again"},
	"record_broken":     {"the patient's consents and events are not those that the head commits to: one was taken out, put in or rolled back", "treat it as an attack; nothing of this patient is released until the record is restored from the newest backup"},
	"row_unlogged":      {"the row is there, but the log has no entry of its making", "treat it as an attack: it was put there behind the service's back; end what it grants"},
	"row_missing":       {"the log has its making and not its end, but the row is gone", "restore it from the newest backup"},
	"row_rolled_back":   {"the log has an event that the row does not know: an older state was put back", "treat it as an attack; restore from the newest backup; what was released since is in the log"},
	"key_missing":       {"the photo is ready, but its wrapped key is gone", "restore the row of photo_key from the newest backup, or delete the photo"},
	"copies_put_back":   {"the key of copies for marketing is there, but their authorization was ended, or the photo deleted or restricted", "treat it as an attack: it was put back; the service does not open it, and removes it within the hour"},
	"copies_overdue":    {"an authorization ended by date more than a day ago, and the key of its copies is still there", "run the service: its sweep removes it"},
	"object_orphaned":   {"the catalog's list holds an object as live that no photo and no copy for marketing uses", "it opens nothing; remove its row, and find out who can write to the database"},
	"key_refused":       {"no version of the key-encryption key opens the photo's wrapped key", "look at the key service; if its old versions were erased, the photo cannot be had back"},
	"object_missing":    {"an object that is in use is gone from the object store", "restore it from the object store's versions or backup, or delete the photo"},
	"object_size":       {"an object has another size than was sealed", "restore it from the object store's versions or backup"},
	"object_broken":     {"an object does not authenticate: bits flipped, cut, swapped or of another photo", "restore it from the object store's versions or backup; if others are affected, treat it as an attack"},
	"object_extra":      {"the object store holds an object that the catalog does not know", "it opens nothing; remove it, and find out who can write to the store"},
	"object_unlisted":   {"a ready photo uses an object that the catalog's list does not hold as live", "treat it as an attack on the list; restore it, or the sweeper may remove the object"},
	"upload_damaged":    {"a photo was received, and what is stored of it is not what arrived", "restore the staged objects, or the rows of upload_key, from their versions or backup: it is then taken in by itself; or delete the photo and have it sent again"},
	"log_tampered":      {"the audit log is not the one that was written", "treat it as an attack; keep the database as it is, and compare with the newest backup and the checkpoint"},
	"practice_unopened": {"the practice's keys cannot be opened", "look at the key service and at the rows of practice_key"},
}

// FsckReport is what was looked at, and what was found.
type FsckReport struct {
	Practice id.Practice    `json:"practice"`
	Rows     map[string]int `json:"rows"`    // by table
	Objects  int            `json:"objects"` // in the store
	Photos   int            `json:"photos"`  // ready
	Bytes    int64          `json:"bytes"`   // authenticated
	Entries  int64          `json:"entries"` // of the log
	Findings []Finding      `json:"findings"`
}

// Fsck compares catalog, objects and audit log of one practice. It works on
// the stores, beside a running service or without one.
type Fsck struct {
	Catalogs    Catalogs
	Keys        keys.Service
	Blobs       blobs.Store
	Checkpoints Checkpoints
	Practice    id.Practice
	ReadData    bool // also open every object, under a verify permit each
	LogOnly     bool // rows against the log, no objects
	// Progress, which may be nil, is told what is being done and how far it is.
	Progress func(what string, done, of int64)
	// Settle is how long something that is in motion has before it is looked
	// at again; default 3 s.
	Settle time.Duration
}

// Run returns what was found; an error only where it could not be looked at.
func (f *Fsck) Run(ctx context.Context) (*FsckReport, error) {
	first, err := f.pass(ctx, f.ReadData)
	if err != nil || len(first.Findings) == 0 {
		return first, err
	}
	// A service may be running: what was in motion has come to rest by now.
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(cmp.Or(f.Settle, 3*time.Second)):
	}
	again, err := f.pass(ctx, false)
	if err != nil {
		return nil, err
	}
	first.Findings = slices.DeleteFunc(first.Findings, func(x Finding) bool {
		if x.Code == "object_broken" || x.Code == "key_refused" { // by reading
			return false
		}
		return !slices.Contains(again.Findings, x)
	})
	return first, nil
}

// pass is one look at everything.
type pass struct {
	*Fsck
	db     Catalog
	report *FsckReport

	accounts  map[id.Account]*Account
	campaigns map[id.Campaign]*consent.Campaign
	templates map[id.Template]int // versions
	documents map[id.Document]bool
	takedowns map[id.Takedown]*consent.Takedown
	confirmed map[id.Takedown]int // confirmations that there are
	photos    map[id.Photo]*Photo
	wrapped   map[id.Photo]*PhotoKey         // the photo's own
	copies    []*PhotoKey                    // for marketing
	patients  map[id.Patient]*consent.Record // nil: broken
	named     map[id.Patient]bool            // has a row of its own
	volumes   map[id.Account]int64           // versions
	notices   map[id.Notice]bool
	objects   map[id.Object]StoredObject
	staged    []Segment // of uploads that are not taken in yet
	log       logged
}

func (f *Fsck) pass(ctx context.Context, read bool) (*FsckReport, error) {
	p := &pass{Fsck: f, db: f.Catalogs.ForPractice(f.Practice),
		report:   &FsckReport{Practice: f.Practice, Rows: map[string]int{}, Findings: []Finding{}},
		accounts: map[id.Account]*Account{}, campaigns: map[id.Campaign]*consent.Campaign{}, templates: map[id.Template]int{}, documents: map[id.Document]bool{},
		takedowns: map[id.Takedown]*consent.Takedown{}, confirmed: map[id.Takedown]int{}, photos: map[id.Photo]*Photo{}, wrapped: map[id.Photo]*PhotoKey{},
		patients: map[id.Patient]*consent.Record{}, named: map[id.Patient]bool{},
		volumes: map[id.Account]int64{}, notices: map[id.Notice]bool{}, objects: map[id.Object]StoredObject{}}
	if _, err := f.Catalogs.PracticeKey(ctx, f.Practice, keys.Catalog); errors.Is(err, ErrBroken) || errors.Is(err, ErrNotFound) {
		p.find("practice_unopened", "practice "+string(f.Practice))
		return p.report, nil
	}
	steps := []func(context.Context) error{p.rows, p.records, p.trail}
	if !f.LogOnly {
		steps = append(steps, p.store, p.renditions, p.waiting)
	}
	if read {
		steps = append(steps, p.read)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	p.compare()
	p.compareCopies()
	slices.SortFunc(p.report.Findings, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Where, b.Where)) })
	p.report.Findings = slices.Compact(p.report.Findings)
	return p.report, nil
}

func (p *pass) find(code, where string) {
	r := remedies[code]
	p.report.Findings = append(p.report.Findings, Finding{code, where, r.sentence, r.do})
}

func (p *pass) progress(what string, done, of int64) {
	if p.Progress != nil {
		p.Progress(what, done, of)
	}
}

// rows opens every sealed row in its place.
func (p *pass) rows(ctx context.Context) error {
	n := int64(0)
	return p.db.InspectRows(ctx, func(r CheckedRow) error {
		n++
		p.report.Rows[r.Table]++
		p.progress("rows", n, 0)
		switch {
		case errors.Is(r.Err, ErrBroken):
			p.find("row_broken", r.Table+" "+r.ID)
			return nil
		case r.Err != nil:
			return r.Err
		}
		switch v := r.Value.(type) {
		case *Account:
			p.accounts[v.ID] = v
		case *consent.Campaign:
			p.campaigns[v.ID] = v
		case *consent.Template:
			p.templates[v.ID]++
		case *consent.Document:
			p.documents[v.ID] = true
		case *consent.Takedown:
			p.takedowns[v.ID] = v
		case *consent.Confirmation:
			p.confirmed[v.Takedown]++
		case *Photo:
			v.Receipt = nil // not needed, and the largest part
			p.photos[v.ID] = v
		case *PhotoKey:
			if v.Authorization != "" {
				p.copies = append(p.copies, v)
			} else {
				p.wrapped[v.Photo] = v
			}
		case id.Patient:
			p.named[v] = true
		case *consent.Volume:
			p.volumes[v.Account] = v.Version
		case *Notice:
			p.notices[v.ID] = true
		case *Segment:
			p.staged = append(p.staged, *v)
		}
		return nil
	})
}

// records holds each patient's consents against the head.
func (p *pass) records(ctx context.Context) error {
	ids, err := p.db.PatientIDs(ctx)
	if err != nil {
		return err
	}
	for i, patient := range ids {
		p.progress("records", int64(i+1), int64(len(ids)))
		r, err := p.db.Record(ctx, patient)
		switch {
		case errors.Is(err, ErrBroken):
			p.find("record_broken", "patient "+string(patient))
		case err != nil:
			return err
		}
		p.patients[patient] = r
	}
	return nil
}

// trail verifies the log and keeps what it says of rows.
func (p *pass) trail(ctx context.Context) error {
	p.log = newLogged()
	report, err := verifyTrail(ctx, p.Catalogs, p.Checkpoints, p.Practice, func(n int64, e *audit.Entry) {
		p.progress("log", n, 0)
		p.report.Entries = n
		p.log.add(e)
	})
	switch {
	case errors.Is(err, audit.ErrTampered):
		p.find("log_tampered", err.Error())
	case errors.Is(err, ErrBroken):
		p.find("log_tampered", "an entry does not open")
	case err != nil:
		return err
	default:
		p.report.Entries = report.Entries + report.Pending
	}
	return nil
}

// store lists the object store against the catalog's list.
func (p *pass) store(ctx context.Context) error {
	if err := p.db.InspectObjects(ctx, func(o StoredObject) error { p.objects[o.ID] = o; return nil }); err != nil {
		return err
	}
	sizes := map[id.Object]int64{}
	for _, area := range []blobs.Area{blobs.Photos, blobs.Staging} {
		err := p.Blobs.List(ctx, p.Practice, area, func(n blobs.Name, size int64) error {
			if n == markOf(p.Practice) {
				return nil
			}
			p.report.Objects++
			p.progress("objects", int64(p.report.Objects), 0)
			sizes[n.Object] = size
			if o, known := p.objects[n.Object]; !known || o.Area != string(area) {
				p.find("object_extra", n.String())
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: list objects: %w", ErrUnavailable, err)
		}
	}
	for o, row := range p.objects {
		size, there := sizes[o]
		switch where := row.Area + " " + string(o); {
		case row.State != "live":
		case !there:
			p.find("object_missing", where)
		case size != row.Size:
			p.find("object_size", where)
		}
	}
	used := map[id.Object]bool{}
	use := func(r *Rendition) {
		used[r.Object] = true
		if size, there := sizes[r.Object]; there && size != seal.SealedSize(r.Size) {
			p.find("object_size", "photos "+string(r.Object))
		} else if !there {
			p.find("object_missing", "photos "+string(r.Object))
		}
	}
	for _, photo := range p.photos {
		for i := range photo.Renditions {
			if photo.State == Ready {
				use(&photo.Renditions[i])
			}
		}
	}
	for _, key := range p.copies {
		for i := range key.Copies {
			use(&key.Copies[i].Rendition)
		}
	}
	for o, row := range p.objects {
		if row.State == "live" && row.Area == string(blobs.Photos) && !used[o] {
			p.find("object_orphaned", row.Area+" "+string(o))
		}
	}
	return nil
}

// waiting names received photos that cannot be taken in.
func (p *pass) waiting(ctx context.Context) error {
	list, err := p.db.Damaged(ctx)
	for _, photo := range list {
		p.find("upload_damaged", "photo "+string(photo))
	}
	return err
}

// renditions holds ready photos against the lists of objects and keys.
func (p *pass) renditions(context.Context) error {
	for _, photo := range p.photos {
		if photo.State != Ready {
			if p.wrapped[photo.ID] != nil && photo.State == Removed {
				p.find("row_rolled_back", "photo_key "+string(photo.ID))
			}
			continue
		}
		p.report.Photos++
		if p.wrapped[photo.ID] == nil {
			p.find("key_missing", "photo "+string(photo.ID))
		}
		for _, r := range photo.Renditions {
			p.listed(&r, photo.ID, "", "photo "+string(photo.ID)+" "+r.Name)
		}
	}
	for _, key := range p.copies {
		for _, c := range key.Copies {
			p.listed(&c.Rendition, key.Photo, key.Authorization, "copy "+copyName(key)+" "+c.Name)
		}
	}
	return nil
}

func (p *pass) listed(r *Rendition, photo id.Photo, a id.Authorization, where string) {
	if o := p.objects[r.Object]; o.State != "live" || o.Owner != string(photo) || o.Authorization != a {
		p.find("object_unlisted", where)
	}
}

func copyName(k *PhotoKey) string { return string(k.Photo) + "/" + string(k.Authorization) }

// compareCopies holds the keys of marketing's copies against the records that
// allow them.
func (p *pass) compareCopies() {
	for _, key := range p.copies {
		photo := p.photos[key.Photo]
		switch {
		case photo == nil || photo.State != Ready:
			p.find("copies_put_back", "photo_key "+copyName(key))
		case p.patients[photo.Patient] == nil: // found already
		case p.patients[photo.Patient].EndedCopies(key.Authorization, key.Photo):
			p.find("copies_put_back", "photo_key "+copyName(key))
		case !key.KeepUntil.IsZero() && time.Since(key.KeepUntil) > 24*time.Hour:
			p.find("copies_overdue", "photo_key "+copyName(key))
		}
	}
}
