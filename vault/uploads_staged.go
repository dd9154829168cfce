package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"photovault/vault/blobs"
	"photovault/vault/id"
)

// staged reads an upload's segments end to end and holds each against the
// digest of what arrived. A segment that is gone or other than it was is
// ErrBroken; the error stays, and what was read up to it counts for nothing.
type staged struct {
	ctx      context.Context
	blobs    blobs.Store
	practice id.Practice
	left     []Segment // the first is open, if open is not nil
	open     io.ReadCloser
	sum      hash.Hash
	n        int64 // bytes read of the first
	err      error
}

func (r *staged) Read(p []byte) (n int, err error) {
	if r.err == nil {
		n, r.err = r.read(p)
	}
	return n, r.err
}

func (r *staged) read(p []byte) (int, error) {
	for {
		if len(r.left) == 0 {
			return 0, io.EOF
		}
		seg := r.left[0]
		if r.open == nil {
			body, size, err := r.blobs.Get(r.ctx, r.name(seg), 0, -1)
			if err != nil {
				return 0, fmt.Errorf("vault: segment at %d: %w", seg.Start, translate(err))
			}
			if size != seg.Size {
				return 0, errors.Join(fmt.Errorf("vault: segment at %d: size: %w", seg.Start, ErrBroken), body.Close())
			}
			r.open, r.sum, r.n = body, sha256.New(), 0
		}
		n, err := r.open.Read(p)
		_, _ = r.sum.Write(p[:n])
		r.n += int64(n)
		if err == io.EOF {
			if err = r.endSegment(seg); err == nil && n == 0 {
				continue
			}
		}
		return n, err
	}
}

// endSegment holds what was read against what arrived.
func (r *staged) endSegment(seg Segment) error {
	err := r.open.Close()
	r.open, r.left = nil, r.left[1:]
	switch {
	case r.n < seg.Size: // the store broke off: nothing is known
		err = fmt.Errorf("%w: segment at %d: %w", ErrUnavailable, seg.Start, io.ErrUnexpectedEOF)
	case r.n > seg.Size || [sha256.Size]byte(r.sum.Sum(nil)) != seg.SHA256:
		err = fmt.Errorf("vault: segment at %d: digest: %w", seg.Start, ErrBroken)
	}
	return err
}

func (r *staged) name(s Segment) blobs.Name {
	return blobs.Name{Practice: r.practice, Area: blobs.Staging, Object: s.Object}
}

// intact reads what is left. Before anything is concluded from bytes that
// were refused, they must be known to be those that arrived.
func (r *staged) intact() error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	if r.err != io.EOF {
		return r.err
	}
	return nil
}

func (r *staged) Close() error {
	if r.open == nil {
		return nil
	}
	return r.open.Close()
}
