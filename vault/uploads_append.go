package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
)

// SegmentSize is how many bytes of an upload are made durable at once.
const SegmentSize = 1 << 20

// Append is what one request adds to an upload.
type Append struct {
	Offset int64     // where the bytes begin
	Body   io.Reader // if it is an Interrupter, another request can end a read that waits
	Length int64     // bytes of Body; below 0: as many as come
	// Checksum, if there is one, makes it all or nothing: no byte counts
	// before all of them have come and add up.
	Checksum *Checksum
}

// Interrupter is a body whose reads, also one that waits, end with an error
// from now on.
type Interrupter interface{ Interrupt() }

// AppendUpload adds a body at an offset. Each segment is durable before the
// offset moves over it, so that a body that breaks off keeps what arrived,
// unless it has a checksum: the returned upload tells how far it came, also
// beside an error of the body (ErrShortBody). When the last byte is durable
// the photo is received. A newer request for the same upload ends an older
// one, which keeps what arrived and is told ErrLocked.
// Errors: ErrNotFound, ErrGone, ErrLocked, ErrOffset, ErrTooLarge,
// ErrChecksum, ErrUnavailable, ErrInvalid (upload_pieces), DeniedError upload_final.
func (s *Service) AppendUpload(ctx context.Context, who consent.Principal, u id.Upload, a Append) (*Upload, error) {
	leave, err := s.fair.enter(ctx, s.UploadWait, who)
	if err != nil {
		return nil, err
	}
	defer leave()
	soon, cancel := context.WithTimeout(ctx, storeWithin) // the body may take long, this may not
	defer cancel()
	t := s.uploads.tryTake(ctx, u)
	if t == nil { // only its owner may end what runs
		if _, _, err := s.ownUpload(soon, who, u); err != nil {
			return nil, err
		}
		if t, err = s.uploads.take(ctx, u, ErrLocked); err != nil {
			return nil, err
		}
	}
	defer t.end()
	up, segments, err := s.ownUpload(soon, who, u)
	if err != nil {
		return nil, err
	}
	t.knows(up)
	left := up.Length - up.Offset
	switch {
	case len(up.Parts) > 0:
		e := entry(who, audit.PhotoUpload, audit.Denied)
		e.Patient, e.Photo, e.Subject = up.Patient, up.Photo, string(up.ID)
		return up, s.deny(ctx, who, e, consent.Refusal{Code: "upload_final", Sentence: "An upload that was put together from parts takes no more bytes."})
	case up.Offset != a.Offset:
		return up, ErrOffset
	case a.Length > left:
		return up, ErrTooLarge
	case len(segments) >= maxSegments:
		return up, &InvalidError{Code: "upload_pieces", Defects: []consent.Defect{{Field: "Upload-Offset",
			Sentence: fmt.Sprintf("The upload has come in %d pieces already; cancel it and send larger ones.", maxSegments)}}}
	}
	p := &appending{Service: s, ctx: ctx, turn: t, who: who, up: up, sum: a.Checksum, end: up.Offset, room: maxSegments - len(segments)}
	if i, ok := a.Body.(Interrupter); ok {
		over := make(chan struct{})
		stop := context.AfterFunc(t, func() { defer close(over); i.Interrupt() })
		defer func() {
			if !stop() {
				<-over // the body is the caller's again
			}
		}()
	}
	if a.Length < 0 {
		return up, p.run(io.LimitReader(a.Body, left+1), left, true) // one byte too many tells
	}
	return up, p.run(io.LimitReader(a.Body, a.Length), a.Length, false)
}

// appending is one body on its way into an upload.
type appending struct {
	*Service
	ctx  context.Context
	turn *turn
	who  consent.Principal
	up   *Upload
	sum  *Checksum
	end  int64     // of what was staged
	room int       // segments that the upload may still have
	wait []Segment // staged, and not linked before the checksum matches
}

// run stages up to left bytes; open: fewer are no error.
func (p *appending) run(body io.Reader, left int64, open bool) (err error) {
	if p.sum != nil {
		defer func() {
			if err != nil {
				p.abandon(p.wait...)
			}
		}()
		// What is staged and not linked must not come near the age at which
		// it is swept.
		stop := time.AfterFunc(p.SweepAge/2, func() { p.turn.cancel(errSlow) })
		defer stop.Stop()
	}
	for left > 0 && p.room > 0 {
		got, readErr, err := p.piece(body, min(SegmentSize, left), open && left <= SegmentSize)
		if err != nil {
			return err
		}
		left -= got
		switch {
		case readErr == nil:
		case context.Cause(p.turn) != nil && p.ctx.Err() == nil: // another request, or errSlow
			return context.Cause(p.turn)
		case !errors.Is(readErr, io.EOF) && !errors.Is(readErr, io.ErrUnexpectedEOF):
			return fmt.Errorf("%w: %w", ErrShortBody, readErr)
		case open:
			left = 0
		default:
			return ErrShortBody
		}
	}
	if p.sum == nil {
		return nil
	}
	if !p.sum.matches() {
		return ErrChecksum
	}
	if len(p.wait) == 0 {
		return nil
	}
	return p.link(p.wait)
}

// errSlow: a body with a checksum did not come in its time.
var errSlow = fmt.Errorf("%w: too slow to be checked whole; send it in smaller pieces", ErrShortBody)

// piece stages one segment of at most limit bytes. Memory for it is taken only
// when its first bytes are there: who sends nothing holds nothing. last: the
// upload has no room for more, and is not completed where more comes.
func (p *appending) piece(body io.Reader, limit int64, last bool) (got int64, readErr, err error) {
	first := make([]byte, min(4096, limit))
	n, readErr := io.ReadAtLeast(body, first, 1)
	if n == 0 {
		return 0, readErr, nil
	}
	buffer, err := p.buffer(p.turn)
	if err != nil {
		return 0, nil, err
	}
	defer func() { p.segments <- buffer }()
	copy(buffer, first[:n])
	if readErr == nil && int64(n) < limit {
		var more int
		more, readErr = io.ReadFull(body, buffer[n:limit])
		n += more
	}
	if last && readErr == nil {
		if more, _ := io.ReadFull(body, first[:1]); more > 0 { // that nothing came is no error, however it ended
			return 0, nil, ErrTooLarge
		}
	}
	if p.sum != nil && readErr != nil && context.Cause(p.turn) != nil {
		return 0, readErr, nil // it will not be linked
	}
	// What arrived is kept even if its sender is gone.
	seg, err := p.stage(buffer[:n])
	if err != nil {
		return 0, nil, err
	}
	p.end, p.room = p.end+seg.Size, p.room-1
	if p.sum != nil {
		p.sum.add(buffer[:n])
		p.wait = append(p.wait, seg)
		return seg.Size, readErr, nil
	}
	return seg.Size, readErr, p.link([]Segment{seg})
}

// How long one segment may take to be stored, and to be linked; and what is
// staged in vain to be removed, which the sweep can do as well. Whoever sends
// it waits for an answer no longer than clients do.
const (
	storeWithin   = 15 * time.Second
	abandonWithin = 5 * time.Second
)

// stage puts one segment; it does not count yet.
func (p *appending) stage(data []byte) (Segment, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), storeWithin)
	defer cancel()
	seg := Segment{Start: p.end, Size: int64(len(data)), Object: id.New[id.Object](), SHA256: sha256.Sum256(data)}
	o := Object{ID: seg.Object, Area: string(blobs.Staging), Owner: string(p.up.ID), Size: seg.Size}
	if err := p.Catalogs.ForPractice(p.up.Practice).PlanObjects(ctx, o); err != nil {
		return seg, err
	}
	name := blobs.Name{Practice: p.up.Practice, Area: blobs.Staging, Object: seg.Object}
	if err := p.Blobs.Put(ctx, name, bytes.NewReader(data), seg.Size); err != nil {
		return seg, fmt.Errorf("%w: segment: %w", ErrUnavailable, err)
	}
	return seg, nil
}

// link moves the offset over what was staged.
func (p *appending) link(segments []Segment) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), storeWithin)
	defer cancel()
	e := entry(p.who, audit.PhotoUpload, audit.Complete)
	e.Patient, e.Photo, e.Subject = p.up.Patient, p.up.Photo, string(p.up.ID)
	expires := p.now().Add(p.UploadLife)
	err := p.Catalogs.ForPractice(p.up.Practice).AddSegments(ctx, p.up, segments, expires, e)
	if errors.Is(err, ErrOffset) || errors.Is(err, ErrGone) || errors.Is(err, ErrSwept) || errors.Is(err, ErrNotFound) {
		p.abandon(segments...) // another process was first, ended the upload or swept them; or the account has ended
	}
	if errors.Is(err, ErrNotFound) {
		return p.failed(ctx, p.who, e, err)
	}
	if err != nil {
		return err
	}
	p.up.Offset, p.up.ExpiresAt = p.end, expires
	if p.up.Offset == p.up.Length && !p.up.Partial {
		p.awake()
	}
	return nil
}

// awake lets ingest look for work now.
func (s *Service) awake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// abandon removes what was staged in vain; what it cannot remove now the sweep will.
func (p *appending) abandon(segments ...Segment) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), abandonWithin)
	defer cancel()
	var objects []id.Object
	for _, s := range segments {
		objects = append(objects, s.Object)
	}
	if err := p.Service.abandon(ctx, p.up.Practice, blobs.Staging, objects...); err != nil {
		p.Logger.Warn("segments that do not count remain; the sweep will retry", "upload", p.up.ID, "error", err)
	}
}
