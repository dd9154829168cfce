package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/seal"
)

// readers is how many photos are read at once.
const fsckReaders = 2

// readable are renditions of a photo under one key: its own, or copies for
// marketing.
type readable struct {
	photo      *Photo
	key        *PhotoKey
	renditions []Rendition
	name       string
}

// read authenticates every rendition and every copy of every ready photo, each
// key under a verify permit of its own, whose entry is durable before a byte is
// opened.
func (p *pass) read(ctx context.Context) error {
	var total int64
	var work []readable
	for _, photo := range slices.Sorted(maps.Keys(p.photos)) {
		if v := p.photos[photo]; v.State == Ready && p.wrapped[photo] != nil {
			work = append(work, readable{v, p.wrapped[photo], v.Renditions, "photo " + string(photo)})
		}
	}
	for _, key := range p.copies {
		if v := p.photos[key.Photo]; v != nil && v.State == Ready {
			one := readable{v, key, nil, "copy " + copyName(key)}
			for _, c := range key.Copies {
				one.renditions = append(one.renditions, c.Rendition)
			}
			work = append(work, one)
		}
	}
	for _, one := range work {
		for _, r := range one.renditions {
			total += r.Size
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fsckReaders)
	found := make(chan verified)
	done := make(chan struct{})
	go func() { // one writer of the report
		defer close(done)
		for v := range found {
			p.report.Bytes += v.bytes
			for _, code := range v.codes {
				p.find(code.code, code.where)
			}
			p.progress("data", p.report.Bytes, total)
		}
	}()
	for _, one := range work {
		g.Go(func() error {
			v, err := p.verify(gctx, one)
			if err == nil {
				found <- v
			}
			return err
		})
	}
	err := g.Wait()
	close(found)
	<-done
	if err != nil {
		return err
	}
	return p.readStaged(ctx)
}

// readStaged holds what is staged against the digests of what arrived. It is
// ciphertext, and stays it.
func (p *pass) readStaged(ctx context.Context) error {
	for _, seg := range p.staged {
		if p.objects[seg.Object].State != "live" {
			continue // taken in or ended meanwhile
		}
		one := &staged{ctx: ctx, blobs: p.Blobs, practice: p.Practice, left: []Segment{seg}}
		err := errors.Join(one.intact(), one.Close())
		switch {
		case err == nil:
			p.report.Bytes += seg.Size
		case errors.Is(err, blobs.ErrNotFound): // found by listing
		case errors.Is(err, ErrBroken):
			p.find("object_broken", "staging "+string(seg.Object))
		default:
			return err
		}
	}
	return nil
}

// verified is what reading one photo showed.
type verified struct {
	bytes int64
	codes []struct{ code, where string }
}

func (v *verified) find(code, where string) {
	v.codes = append(v.codes, struct{ code, where string }{code, where})
}

func (p *pass) verify(ctx context.Context, one readable) (v verified, err error) {
	photo := one.photo
	permit, err := consent.CommitVerify(ctx, p.db, p.Practice, photo.Patient, photo.ID)
	if err != nil {
		return v, err
	}
	for _, r := range one.renditions {
		digest, err := p.digest(ctx, permit, photo, &r, one.key)
		where := one.name + " " + r.Name
		switch {
		case errors.Is(err, errKeyRefused):
			v.find("key_refused", one.name)
		case errors.Is(err, blobs.ErrNotFound): // found by listing
		case errors.Is(err, ErrBroken), err == nil && digest != r.SHA256:
			v.find("object_broken", where)
		case err != nil:
			return v, err
		default:
			v.bytes += r.Size
		}
	}
	if len(v.codes) > 0 {
		e := &audit.Entry{Action: audit.PhotoVerify, Outcome: audit.Failed, Reason: Code(ErrBroken), Patient: photo.Patient, Photo: photo.ID, Purpose: "verify"}
		err = p.db.WriteAudit(ctx, e)
	}
	return v, err
}

var errKeyRefused = errors.New("vault: wrapped key refused")

// digest opens one rendition and returns the SHA-256 of its plaintext in
// hexadecimal; the bytes go nowhere else. Errors: ErrBroken, errKeyRefused,
// ErrUnavailable, consent.ErrNoPermit.
func (p *pass) digest(ctx context.Context, permit *consent.VerifyPermit, photo *Photo, r *Rendition, wrapped *PhotoKey) (string, error) {
	key, err := p.Keys.UnwrapDataKey(ctx, PhotoKeyContext(p.Practice, photo.ID, wrapped.Authorization), wrapped.Wrapped)
	if err != nil {
		if err = translate(err); errors.Is(err, ErrBroken) {
			err = errors.Join(errKeyRefused, err)
		}
		return "", err
	}
	defer key.Destroy()
	in, size, err := p.Blobs.Get(ctx, blobs.Name{Practice: p.Practice, Area: blobs.Photos, Object: r.Object}, 0, -1)
	if err != nil {
		return "", translate(err)
	}
	defer in.Close()
	if size != seal.SealedSize(r.Size) {
		return "", ErrBroken
	}
	if err := permit.Spend(p.Practice, photo.ID, r.Name); err != nil {
		return "", err
	}
	reader, err := seal.NewReader(in, key.Bytes(), renditionContext(p.Practice, photo.ID, wrapped.Authorization, r.Name, r.Object))
	if err != nil {
		return "", translate(err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, reader); err != nil {
		return "", translate(err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
