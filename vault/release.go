package vault

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/canon"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/seal"
	"photovault/vault/secret"
)

// wholeLimit is the size in bytes up to which a rendition is authenticated
// whole before its first byte leaves; larger ones stream chunk by chunk.
const wholeLimit = 4 << 20

// maxDecisions bounds how often one request is decided while others get ahead:
// of a token with consent.MaxUses, each may be taken by another request first.
const maxDecisions = 2 * consent.MaxUses

// maxNoted is how many refusals of one token for one reason, and how many
// peeks, are written down within an hour, one by one. What comes after changes
// nothing and is not written.
const maxNoted = 20

// ContentRequest is one attempt to redeem a token.
type ContentRequest struct {
	Token consent.Bearer
	Form  consent.Form
	Peek  bool   // HEAD or a prefetch: decide and describe, but release nothing
	Range *Range // InHeader only; nil: all of it
	// Of is the tag of what the range is meant for: of anything else all is released. Empty: of whatever there is.
	Of string
	// Known are tags of what the client has: of that nothing is released. "*" is any.
	Known  []string
	Source string
}

// tag names the rendition to whoever holds the token, and nobody else: it is
// another for each token, so that two who compare theirs learn nothing.
func (r *ContentRequest) tag(o id.Object) string {
	h := hmac.New(sha256.New, []byte(r.Token))
	h.Write(canon.Encode("photovault/tag/v1", string(o)))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// Range asks for a part, in bytes. End < 0 means to the end; Start < 0 means
// the last -Start bytes (RFC 9110 §14.1.2).
type Range struct{ Start, End int64 }

// ErrRange: the range lies outside the rendition; see RangeError.
var ErrRange = errors.New("vault: range not satisfiable")

// RangeError tells the size that a range must fit.
type RangeError struct{ Size int64 }

func (e *RangeError) Error() string { return ErrRange.Error() }
func (e *RangeError) Unwrap() error { return ErrRange }

// resolve returns the first byte and the number of bytes of the range.
func (r *Range) resolve(size int64) (start, length int64, err error) {
	if r == nil {
		return 0, size, nil
	}
	start, end := r.Start, r.End
	if start < 0 {
		start, end = max(0, size+start), size-1
	}
	if end < 0 || end >= size {
		end = size - 1
	}
	if start > end {
		return 0, 0, &RangeError{size}
	}
	return start, end - start + 1, nil
}

// ErrUnknownToken is an ErrNotFound, and looks like any other from outside; it
// tells a guess, which is counted, from a token that is spent.
var ErrUnknownToken = fmt.Errorf("%w: no such token", ErrNotFound)

// OpenContent redeems a token: it decides on current state, makes the use and
// its audit intent durable, and only then opens the rendition. Everything
// that a stranger could learn from is one error: ErrNotFound.
// Errors: ErrNotFound (ErrUnknownToken), RangeError, ErrBroken, ErrUnavailable.
func (s *Service) OpenContent(ctx context.Context, req ContentRequest) (*Delivery, error) {
	if !req.Token.Is(consent.TokenPrefix) {
		return nil, ErrUnknownToken
	}
	got := &fetched{}
	defer got.drop()
	for attempt := 1; ; attempt++ {
		d, err := s.openContent(ctx, req, got)
		if !errors.Is(err, consent.ErrSuperseded) {
			return d, err
		}
		if attempt == maxDecisions {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		select { // the record moved, or another request took the use: decide again
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		case <-time.After(rand.N(time.Duration(attempt) * time.Millisecond)):
		}
	}
}

func (s *Service) openContent(ctx context.Context, req ContentRequest, got *fetched) (*Delivery, error) {
	rel, err := s.Catalogs.Release(ctx, req.Token.Hash())
	if errors.Is(err, ErrNotFound) {
		return nil, ErrUnknownToken
	}
	if err != nil {
		return nil, err
	}
	if err := s.stalled(rel.Token.Practice); err != nil {
		return nil, err
	}
	rel.Policies = s.Policies
	approval, rendition, refusal := rel.approve(req)
	if refusal != nil {
		return nil, s.refuseRelease(ctx, rel, req, *refusal)
	}
	tag := req.tag(rendition.Object)
	known := slices.Contains(req.Known, tag) || slices.Contains(req.Known, "*")
	if known || req.Of != "" && req.Of != tag {
		req.Range = nil
	}
	start, length, err := req.Range.resolve(rendition.Size)
	if err != nil {
		return nil, s.failed(ctx, rel.Holder, rel.entry(req, audit.Failed), err)
	}
	d := &Delivery{ContentType: rendition.ContentType, Size: rendition.Size, Start: start, Length: length, Partial: req.Range != nil, SHA256: rendition.SHA256,
		Tag: tag, Known: known}
	if req.Peek || known {
		return d, s.peeked(ctx, rel, req)
	}
	if err := s.fetch(ctx, rel, rendition, got); err != nil {
		if errors.Is(err, blobs.ErrNotFound) && s.removed(ctx, req, rendition) {
			return nil, consent.ErrSuperseded
		}
		return nil, s.failed(ctx, rel.Holder, rel.entry(req, audit.Failed), err)
	}
	asked := time.Now()
	permit, err := consent.Commit(ctx, s.Catalogs.ForPractice(rel.Token.Practice), approval, req.Source)
	if err != nil {
		return nil, unavailableUnless(err, consent.ErrSuperseded)
	}
	plain, err := s.openRendition(permit, rel, rendition, got)
	if err == nil {
		if _, seekErr := plain.Seek(start, io.SeekStart); seekErr != nil {
			err = errors.Join(fmt.Errorf("%w: %w", ErrBroken, seekErr), plain.Close())
		}
	}
	if err != nil {
		if errors.Is(err, blobs.ErrNotFound) && s.removed(ctx, req, rendition) {
			err = ErrNotFound
		}
		e := permit.Outcome(consent.UseIncomplete)
		e.Outcome, e.Reason = audit.Failed, Code(err)
		return nil, errors.Join(err, s.finish(rel.Token.Practice, permit.Use, consent.UseIncomplete, e))
	}
	s.streams.add(ctx, d, s, rel, req, permit, plain, asked)
	return d, nil
}

// removed: the photo, or marketing's copy of it, ended while it was fetched.
// Its object is gone because it was removed, which is no damage.
func (s *Service) removed(ctx context.Context, req ContentRequest, r *Rendition) bool {
	rel, err := s.Catalogs.Release(ctx, req.Token.Hash())
	if err != nil {
		return errors.Is(err, ErrNotFound)
	}
	rel.Policies = s.Policies
	_, now, refusal := rel.approve(req)
	return refusal != nil || now.Object != r.Object
}

// approve decides the use; it returns the refusal as the audit log names it.
func (rel *Release) approve(req ContentRequest) (*consent.Approval, *Rendition, *consent.Refusal) {
	if rel.Token.Form != req.Form {
		return nil, nil, &consent.Refusal{Code: "token_form"}
	}
	approval, refusal := consent.DecideUse(&rel.Redemption)
	if refusal != nil {
		return nil, nil, refusal
	}
	rendition := rel.Photo.rendition(rel.Token.Rendition)
	if rel.Token.Authorization != "" {
		rendition = rel.Key.copyOf(rendition)
	}
	if rendition == nil || rel.Key == nil {
		return nil, nil, &consent.Refusal{Code: "photo_revoked"}
	}
	return approval, rendition, nil
}

func (rel *Release) entry(req ContentRequest, o audit.Outcome) *audit.Entry {
	t := &rel.Token
	return &audit.Entry{Practice: t.Practice, Actor: t.Account, Role: string(rel.Holder.Role), Action: audit.Release, Outcome: o,
		Patient: t.Patient, Photo: t.Photo, Rendition: t.Rendition, Purpose: string(t.Purpose), Recipient: t.Recipient,
		Channel: t.Channel, Subject: string(t.ID), Source: req.Source}
}

// refuseRelease writes the precise reason down, up to maxNoted times, and returns the opaque one: a link that is spent stands in other people's
// histories, and trying it for ever must not fill the log.
func (s *Service) refuseRelease(ctx context.Context, rel *Release, req ContentRequest, why consent.Refusal) error {
	if s.refused.again(string(rel.Token.ID)+" "+why.Code, s.now()) >= maxNoted {
		return ErrNotFound
	}
	e := rel.entry(req, audit.Denied)
	e.Reason, e.Records = why.Code, []string{rel.Record.Basis()}
	if err := s.log(ctx, rel.Holder, e); err != nil {
		return err
	}
	return ErrNotFound
}

// peeked writes down that somebody asked what the token would deliver.
func (s *Service) peeked(ctx context.Context, rel *Release, req ContentRequest) error {
	if s.refused.again(string(rel.Token.ID)+" peek", s.now()) >= maxNoted {
		return nil
	}
	e := rel.entry(req, audit.Allowed)
	e.Reason = "peek"
	return s.log(ctx, rel.Holder, e)
}

// fetched are the sealed bytes of a rendition and the photo's data key. They
// are kept while a request is decided again.
type fetched struct {
	object  id.Object
	wrapped []byte
	sealed  sealedObject
	key     *secret.Key
}

// drop lets go of what was not taken over.
func (f *fetched) drop() {
	f.key.Destroy()
	if f.sealed != nil {
		_ = f.sealed.Close() // nothing was read of it
	}
	*f = fetched{}
}

// fetch gets both, in parallel, unless they are here.
func (s *Service) fetch(ctx context.Context, rel *Release, r *Rendition, got *fetched) error {
	if got.object == r.Object && bytes.Equal(got.wrapped, rel.Key.Wrapped) {
		return nil
	}
	got.drop()
	t := &rel.Token
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		got.key, err = s.Keys.UnwrapDataKey(gctx, PhotoKeyContext(t.Practice, t.Photo, t.Authorization), rel.Key.Wrapped)
		return err
	})
	g.Go(func() (err error) {
		name := blobs.Name{Practice: t.Practice, Area: blobs.Photos, Object: r.Object}
		got.sealed, err = fetchObject(ctx, s.Blobs, name, seal.SealedSize(r.Size), r.Size <= wholeLimit)
		return err
	})
	if err := g.Wait(); err != nil {
		got.drop()
		return translate(err)
	}
	got.object, got.wrapped = r.Object, rel.Key.Wrapped
	return nil
}

// openRendition is the one place where a stored photo is opened for release.
// It takes over what was fetched.
func (s *Service) openRendition(permit *consent.Permit, rel *Release, r *Rendition, got *fetched) (plaintext, error) {
	t := &rel.Token
	if err := permit.Spend(t.Practice, t.Photo, t.Authorization, r.Name); err != nil {
		return nil, err
	}
	sealed, bind := got.sealed, renditionContext(t.Practice, t.Photo, t.Authorization, r.Name, r.Object)
	reader, err := seal.NewReaderAt(sealed, seal.SealedSize(r.Size), got.key.Bytes(), bind)
	if err != nil {
		return nil, translate(err)
	}
	got.sealed = nil
	stream := &openObject{plain: reader, size: r.Size, sealed: sealed}
	if r.Size > wholeLimit {
		return stream, nil
	}
	whole := make([]byte, r.Size)
	_, err = reader.ReadAt(whole, 0)
	if err = errors.Join(err, stream.Close()); err != nil {
		clear(whole)
		return nil, translate(err)
	}
	return &wholePhoto{Reader: bytes.NewReader(whole), bytes: whole}, nil
}

// renditionContext binds a container to its place: what is moved, swapped or
// put back from an older version does not open. Copies for marketing are bound
// to their authorization, too.
func renditionContext(p id.Practice, photo id.Photo, a id.Authorization, rendition string, object id.Object) []byte {
	if a != "" {
		return canon.Encode("photovault/marketing-copy/v1", string(p), string(photo), string(a), rendition, string(object))
	}
	return canon.Encode("photovault/rendition/v1", string(p), string(photo), rendition, string(object))
}

// translate turns errors of lower layers into those a client may see.
func translate(err error) error {
	switch {
	case errors.Is(err, seal.ErrAuth), errors.Is(err, blobs.ErrNotFound), errors.Is(err, blobs.ErrSize), errors.Is(err, keys.ErrRefused):
		return fmt.Errorf("%w: %w", ErrBroken, err)
	case errors.Is(err, blobs.ErrUnavailable), errors.Is(err, keys.ErrUnavailable):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

func unavailableUnless(err, except error) error {
	if errors.Is(err, except) || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
