package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

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

// maxDecisions bounds how often one request is decided while others get ahead.
const maxDecisions = 4

// ContentRequest is one attempt to redeem a token.
type ContentRequest struct {
	Token  consent.Bearer
	Form   consent.Form
	Peek   bool   // HEAD or a prefetch: decide and describe, but release nothing
	Range  *Range // InHeader only; nil: all of it
	Source string
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
	for attempt := 0; ; attempt++ {
		d, err := s.openContent(ctx, req)
		if errors.Is(err, consent.ErrSuperseded) {
			if attempt < maxDecisions-1 {
				continue // the record moved, or another use took the number: decide again
			}
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return d, err
	}
}

func (s *Service) openContent(ctx context.Context, req ContentRequest) (*Delivery, error) {
	if !req.Token.Is(consent.TokenPrefix) {
		return nil, ErrUnknownToken
	}
	if err := s.stalled(); err != nil {
		return nil, err
	}
	rel, err := s.Catalogs.Release(ctx, req.Token.Hash())
	if errors.Is(err, ErrNotFound) {
		return nil, ErrUnknownToken
	}
	if err != nil {
		return nil, err
	}
	approval, rendition, refusal := rel.approve(req)
	if refusal != nil {
		return nil, s.refuseRelease(ctx, rel, req, *refusal)
	}
	start, length, err := req.Range.resolve(rendition.Size)
	if err != nil {
		return nil, s.failed(ctx, rel.Holder, rel.entry(req, audit.Failed), err)
	}
	d := &Delivery{ContentType: rendition.ContentType, Size: rendition.Size, Start: start, Length: length, Partial: req.Range != nil, SHA256: rendition.SHA256}
	if req.Peek {
		e := rel.entry(req, audit.Allowed)
		e.Reason = "peek"
		return d, s.log(ctx, rel.Holder, e)
	}
	sealed, key, err := s.fetch(ctx, rel, rendition)
	if err != nil {
		return nil, s.failed(ctx, rel.Holder, rel.entry(req, audit.Failed), err)
	}
	permit, err := consent.Commit(ctx, s.Catalogs.ForPractice(rel.Token.Practice), approval, req.Source)
	if err != nil {
		key.Destroy()
		return nil, errors.Join(unavailableUnless(err, consent.ErrSuperseded), sealed.Close())
	}
	plain, err := s.openRendition(permit, rel, rendition, sealed, key)
	if err != nil {
		e := permit.Outcome(consent.UseIncomplete)
		e.Outcome, e.Reason = audit.Failed, Code(err)
		return nil, errors.Join(err, s.finish(rel.Token.Practice, permit.Use, consent.UseIncomplete, e))
	}
	if _, err := plain.Seek(start, io.SeekStart); err != nil {
		return nil, err
	}
	s.streams.add(d, s, rel, req, permit, plain)
	return d, nil
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

// refuseRelease writes the precise reason down and returns the opaque one.
func (s *Service) refuseRelease(ctx context.Context, rel *Release, req ContentRequest, why consent.Refusal) error {
	e := rel.entry(req, audit.Denied)
	e.Reason = why.Code
	if err := s.log(ctx, rel.Holder, e); err != nil {
		return err
	}
	return ErrNotFound
}

// fetch gets the sealed bytes and the data key, in parallel. The caller owns both.
func (s *Service) fetch(ctx context.Context, rel *Release, r *Rendition) (sealedObject, *secret.Key, error) {
	var (
		object sealedObject
		key    *secret.Key
	)
	t := &rel.Token
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		key, err = s.Keys.UnwrapDataKey(gctx, PhotoKeyContext(t.Practice, t.Photo, ""), rel.Key.Wrapped)
		return err
	})
	g.Go(func() (err error) {
		name := blobs.Name{Practice: t.Practice, Area: blobs.Photos, Object: r.Object}
		object, err = fetchObject(ctx, s.Blobs, name, seal.SealedSize(r.Size), r.Size <= wholeLimit)
		return err
	})
	if err := g.Wait(); err != nil {
		key.Destroy()
		if object != nil {
			err = errors.Join(err, object.Close())
		}
		return nil, nil, translate(err)
	}
	return object, key, nil
}

// openRendition is the one place where a stored photo is opened for release.
// It takes over sealed and key.
func (s *Service) openRendition(permit *consent.Permit, rel *Release, r *Rendition, sealed sealedObject, key *secret.Key) (plaintext, error) {
	defer key.Destroy()
	t := &rel.Token
	if err := permit.Spend(t.Practice, t.Photo, r.Name); err != nil {
		return nil, errors.Join(err, sealed.Close())
	}
	bind := renditionContext(t.Practice, t.Photo, r.Name, r.Object)
	reader, err := seal.NewReaderAt(sealed, seal.SealedSize(r.Size), key.Bytes(), bind)
	if err != nil {
		return nil, errors.Join(translate(err), sealed.Close())
	}
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
// put back from an older version does not open.
func renditionContext(p id.Practice, photo id.Photo, rendition string, object id.Object) []byte {
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
