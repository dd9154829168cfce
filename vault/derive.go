package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"photovault/consent"
	"photovault/imaging"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
	"photovault/vault/seal"
	"photovault/vault/secret"
)

// derivation asks for a rendition that is made from stored ones.
type derivation struct {
	photo         id.Photo // becomes a rendition of it
	rendition     string
	purpose       consent.Purpose
	authorization id.Authorization // marketing: whose copies it becomes one of
	sources       []source         // of one patient; photo is among them

	marking id.Event // masked: what it is made by
	with    id.Photo // compare, masked-compare: the source that is not photo
}

type source struct {
	photo     id.Photo
	rendition string
}

// maxDerivations is how many are in memory at once in this process.
const maxDerivations = 2

// derive makes a rendition: it decides, makes the audit intent durable, opens
// the sources in memory under the permit, has what is returned by work sealed
// and stored, and commits it with the entry that says so. work borrows the
// sources, in their order; they and its result are overwritten afterwards. It
// is the one place where stored photos are opened to make others from.
// Errors: ErrDenied, ErrNotFound, ErrOvertaken, ErrBroken, ErrUnavailable, and work's.
func (s *Service) derive(ctx context.Context, who consent.Principal, d derivation, work func(context.Context, [][]byte) (*imaging.Rendition, error)) (*Rendition, error) {
	select {
	case s.deriving <- struct{}{}:
		defer func() { <-s.deriving }()
	case <-ctx.Done():
		return nil, errors.Join(ErrUnavailable, ctx.Err())
	}
	photos, permit, err := s.permitDerivation(ctx, who, &d)
	if err != nil {
		return nil, err
	}
	r, err := s.derivePermitted(ctx, permit, &d, photos, work)
	if errors.Is(err, ErrGone) {
		err = ErrOvertaken
	}
	if err != nil {
		e := permit.Outcome(audit.Failed, Code(err))
		return nil, errors.Join(err, s.log(ctx, who, e))
	}
	return r, nil
}

// permitDerivation decides on current records, and again while they move.
func (s *Service) permitDerivation(ctx context.Context, who consent.Principal, d *derivation) ([]*Photo, *consent.DerivePermit, error) {
	e := entry(who, audit.PhotoDerive, audit.Allowed)
	e.Photo, e.Rendition, e.Purpose, e.Subject = d.photo, d.rendition, string(d.purpose), string(d.authorization)
	catalog := s.Catalogs.ForPractice(who.Practice)
	for attempt := 1; ; attempt++ {
		photos, asked, err := s.derivationQuestion(ctx, who, d)
		if err != nil {
			return nil, nil, s.failed(ctx, who, e, err)
		}
		e.Patient = asked.Photo.Patient
		approval, decision := consent.DecideDerive(*asked)
		if approval == nil {
			return nil, nil, s.deny(ctx, who, e, decision.Refusals...)
		}
		permit, err := consent.CommitDerive(ctx, catalog, approval)
		switch {
		case err == nil:
			return photos, permit, nil
		case !errors.Is(err, consent.ErrSuperseded) || attempt == maxDecisions || ctx.Err() != nil:
			return nil, nil, unavailableUnless(err, ErrBroken)
		}
	}
}

func (s *Service) derivationQuestion(ctx context.Context, who consent.Principal, d *derivation) ([]*Photo, *consent.Derivation, error) {
	asked := &consent.Derivation{Question: consent.Question{Now: s.now(), Who: who, Purpose: d.purpose, Rendition: d.rendition,
		Authorization: d.authorization, Policies: s.Policies}}
	var photos []*Photo
	for _, from := range d.sources {
		photo, err := s.photo(ctx, who, from.photo)
		if err != nil {
			return nil, nil, err
		}
		photos = append(photos, photo)
		asked.Sources = append(asked.Sources, consent.Source{Photo: photo.Subject(), Rendition: from.rendition})
		if from.photo == d.photo {
			asked.Photo = photo.Subject()
		}
	}
	record, err := s.Catalogs.ForPractice(who.Practice).Record(ctx, asked.Photo.Patient)
	asked.Record = record
	return photos, asked, err
}

func (s *Service) derivePermitted(ctx context.Context, permit *consent.DerivePermit, d *derivation, photos []*Photo, work func(context.Context, [][]byte) (*imaging.Rendition, error)) (*Rendition, error) {
	plain := make([][]byte, len(photos))
	defer func() {
		for _, b := range plain {
			wipe(b)
		}
	}()
	g, gctx := errgroup.WithContext(ctx)
	for i, from := range d.sources {
		g.Go(func() (err error) {
			plain[i], err = s.openSource(gctx, permit, photos[i], from.rendition)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	made, err := work(ctx, plain)
	if err != nil {
		return nil, err
	}
	defer wipe(made.Data)
	for _, photo := range photos {
		if photo.ID == d.photo {
			return s.storeDerived(ctx, permit, d, photo, d.beside(photos), made)
		}
	}
	return nil, ErrNotFound
}

// openSource opens one rendition, whole, under a derive permit. The caller
// wipes it. Errors: consent.ErrNoPermit, ErrNotFound, ErrBroken, ErrUnavailable.
func (s *Service) openSource(ctx context.Context, permit *consent.DerivePermit, p *Photo, rendition string) ([]byte, error) {
	r := p.rendition(rendition)
	if r == nil {
		return nil, ErrNotFound
	}
	key, err := s.photoKey(ctx, p)
	if err != nil {
		return nil, err
	}
	defer key.Destroy()
	name := blobs.Name{Practice: p.Practice, Area: blobs.Photos, Object: r.Object}
	sealed, err := fetchObject(ctx, s.Blobs, name, seal.SealedSize(r.Size), true)
	if err != nil {
		return nil, s.missing(ctx, p, r, err)
	}
	defer sealed.Close()
	if err := permit.Spend(p.Practice, p.ID, rendition); err != nil {
		return nil, err
	}
	reader, err := seal.NewReaderAt(sealed, seal.SealedSize(r.Size), key.Bytes(), renditionContext(p.Practice, p.ID, "", rendition, r.Object))
	if err != nil {
		return nil, translate(err)
	}
	plain := make([]byte, r.Size)
	if _, err := reader.ReadAt(plain, 0); err != nil {
		wipe(plain)
		return nil, translate(err)
	}
	return plain, nil
}

// missing tells an object that was removed meanwhile, ErrGone, from damage.
func (s *Service) missing(ctx context.Context, p *Photo, r *Rendition, err error) error {
	if !errors.Is(err, blobs.ErrNotFound) {
		return translate(err)
	}
	switch now, nowErr := s.Catalogs.ForPractice(p.Practice).Photo(ctx, p.ID); {
	case errors.Is(nowErr, ErrNotFound):
		return ErrGone
	case nowErr != nil:
		return nowErr
	case now.State == Removed, now.rendition(r.Name) == nil, now.rendition(r.Name).Object != r.Object:
		return ErrGone
	}
	return translate(err)
}

// photoKey unwraps the photo's own data key. The caller destroys it.
func (s *Service) photoKey(ctx context.Context, p *Photo) (*secret.Key, error) {
	wrapped, err := s.Catalogs.ForPractice(p.Practice).PhotoKey(ctx, p.ID, "")
	if err != nil {
		return nil, err
	}
	key, err := s.Keys.UnwrapDataKey(ctx, PhotoKeyContext(p.Practice, p.ID, ""), wrapped.Wrapped)
	return key, translate(err)
}

// storeDerived seals and puts what was made and commits it. What could not be
// committed is removed again.
func (s *Service) storeDerived(ctx context.Context, permit *consent.DerivePermit, d *derivation, p *Photo, with consent.Photo, made *imaging.Rendition) (*Rendition, error) {
	if err := permit.Store(p.Practice, p.ID, d.rendition, d.authorization); err != nil {
		return nil, err
	}
	made.Name = d.rendition
	if d.authorization != "" {
		return s.storeCopy(ctx, permit, d, p, made)
	}
	key, err := s.photoKey(ctx, p)
	if err != nil {
		return nil, err
	}
	defer key.Destroy()
	r, err := s.put(ctx, key, p, "", made)
	if err == nil {
		r.Marking, r.With = or(d.marking, d.maskedBy(p)), with
		err = s.Catalogs.ForPractice(p.Practice).AddRendition(ctx, p.ID, *r, permit.Outcome(audit.Complete, ""))
	}
	if err != nil {
		return nil, s.unput(ctx, p.Practice, r, err)
	}
	return r, nil
}

// put seals one rendition and puts its object, which is planned as pending
// first. It returns what is to be committed, also beside an error of the put.
func (s *Service) put(ctx context.Context, key *secret.Key, p *Photo, a id.Authorization, made *imaging.Rendition) (*Rendition, error) {
	object := id.New[id.Object]()
	sealed, err := seal.Seal(nil, key.Bytes(), renditionContext(p.Practice, p.ID, a, made.Name, object), made.Data)
	if err != nil {
		return nil, err
	}
	o := Object{ID: object, Area: string(blobs.Photos), Owner: string(p.ID), Size: int64(len(sealed)), Authorization: a}
	if err := s.Catalogs.ForPractice(p.Practice).PlanObjects(ctx, o); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(made.Data)
	r := &Rendition{Name: made.Name, Object: object, ContentType: made.ContentType, Width: made.Width, Height: made.Height,
		Size: int64(len(made.Data)), SHA256: hex.EncodeToString(sum[:])}
	return r, translate(s.Blobs.Put(ctx, blobs.Name{Practice: p.Practice, Area: blobs.Photos, Object: object}, bytes.NewReader(sealed), o.Size))
}

// unput removes what was put and not committed. An object that cannot be
// removed now stays pending, and the sweep takes it.
func (s *Service) unput(ctx context.Context, p id.Practice, r *Rendition, why error) error {
	if r == nil {
		return why
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.abandon(ctx, p, blobs.Photos, r.Object); err != nil {
		s.Logger.Warn("an object that was not committed remains; the sweep will retry", "object", r.Object, "error", err)
	}
	return why
}
