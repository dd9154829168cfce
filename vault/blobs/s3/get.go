package s3

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"photovault/vault/blobs"
)

// Get implements blobs.Store. A read of the whole object is verified against
// the SHA-256 that the server keeps: the last bytes are withheld when it
// differs. Reading is limited by ctx and by the server's silence.
func (s *Store) Get(ctx context.Context, name blobs.Name, off, n int64) (io.ReadCloser, int64, error) {
	if !name.Valid() {
		return nil, 0, blobs.ErrName
	}
	if err := live(ctx); err != nil {
		return nil, 0, err
	}
	if off < 0 || off > maxObject || n == 0 || n > maxObject {
		return s.getNothing(ctx, name, off, n)
	}
	lasting, cancel := context.WithCancel(ctx)
	budget := time.AfterFunc(s.o.Budget, cancel)
	var body *body
	var size int64
	err := try(lasting, func() (err error) {
		body, size, err = s.getOnce(lasting, name, off, n)
		return err
	})
	inTime := budget.Stop()
	if err == nil && !inTime {
		err = errors.Join(context.DeadlineExceeded, body.Close())
	}
	if err != nil {
		cancel()
		if code(err) == "InvalidRange" && n < 0 {
			return s.getNothing(ctx, name, off, n)
		}
		return nil, 0, s.getError(ctx, err)
	}
	body.caller, body.cancel = ctx, cancel
	return body, size, nil
}

func (s *Store) getError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, blobs.ErrSize):
		return err
	case code(err) == "NoSuchKey":
		return blobs.ErrNotFound
	case code(err) == "InvalidRange":
		return fmt.Errorf("%w: s3: the range leaves the object", blobs.ErrSize)
	}
	return s.unavailable(ctx, "get", err)
}

// getOnce asks for the range: what comes is exactly that, or an error.
func (s *Store) getOnce(ctx context.Context, name blobs.Name, off, n int64) (*body, int64, error) {
	o := minio.GetObjectOptions{}
	whole := off == 0 && n < 0
	switch {
	case whole:
		o.Set(checksumMode, "ENABLED")
	case n < 0:
		o.Set("Range", fmt.Sprintf("bytes=%d-", off))
	default:
		o.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	}
	r, info, header, err := s.core.GetObject(ctx, s.o.Bucket, s.key(name), o)
	if err != nil {
		return nil, 0, err
	}
	b := &body{r: r, left: info.Size}
	size, err := info.Size, error(nil)
	if whole {
		err = b.expect(info.ChecksumSHA256)
	} else {
		size, err = rangeOf(header, off, n, info.Size)
	}
	if err == nil && info.Size < 0 {
		err = errLength
	}
	if err != nil {
		return nil, 0, errors.Join(err, r.Close())
	}
	return b, size, nil
}

const checksumMode = "x-amz-checksum-mode"

var errLength = fmt.Errorf("%w: s3: get: the answer does not say which bytes it holds", blobs.ErrUnavailable)

// rangeOf returns the whole size out of a Content-Range (RFC 9110, 14.4),
// which must be the one asked for.
func rangeOf(header http.Header, off, n, length int64) (int64, error) {
	r, ok := strings.CutPrefix(header.Get("Content-Range"), "bytes ")
	span, total, ok2 := strings.Cut(r, "/")
	first, last, ok3 := strings.Cut(span, "-")
	size, err1 := strconv.ParseInt(total, 10, 64)
	from, err2 := strconv.ParseInt(first, 10, 64)
	to, err3 := strconv.ParseInt(last, 10, 64)
	if !ok || !ok2 || !ok3 || err1 != nil || err2 != nil || err3 != nil || from != off || to < from || to >= size || to-from+1 != length {
		return 0, errLength
	}
	if n < 0 && to != size-1 {
		return 0, errLength
	}
	if n >= 0 && length != n {
		if off+n > size {
			return 0, fmt.Errorf("%w: %d bytes from %d of an object of %d", blobs.ErrSize, n, off, size)
		}
		return 0, errLength
	}
	return size, nil
}

// getNothing answers a range that HTTP cannot express, or that leaves the
// object: it has no bytes, or is refused.
func (s *Store) getNothing(ctx context.Context, name blobs.Name, off, n int64) (io.ReadCloser, int64, error) {
	limited, cancel := s.budgeted(ctx, 0)
	defer cancel()
	var size int64
	err := try(limited, func() error {
		info, err := s.core.StatObject(limited, s.o.Bucket, s.key(name), minio.StatObjectOptions{})
		size = info.Size
		return err
	})
	if code(err) == "NoSuchKey" { // a HEAD does not say whether it is the bucket that is missing
		if ready := s.Ready(ctx); ready != nil {
			return nil, 0, ready
		}
	}
	switch {
	case err != nil:
		return nil, 0, s.getError(ctx, err)
	case off < 0 || off > size || n > size-off || n < 0 && off != size:
		return nil, 0, fmt.Errorf("%w: %d bytes from %d of an object of %d", blobs.ErrSize, n, off, size)
	}
	return io.NopCloser(strings.NewReader("")), size, nil
}

// body reads a range that the server promised.
type body struct {
	caller context.Context // of Get
	cancel context.CancelFunc
	r      io.ReadCloser
	left   int64
	sum    hash.Hash // of a whole object; else nil
	want   [sha256.Size]byte
}

// expect sets the checksum that the object must have; "" is none.
func (b *body) expect(checksum string) error {
	if checksum == "" {
		return nil
	}
	want, err := base64.StdEncoding.DecodeString(checksum)
	if err != nil || len(want) != sha256.Size {
		return fmt.Errorf("%w: the one kept is malformed", ErrChecksum)
	}
	b.sum = sha256.New()
	copy(b.want[:], want)
	if b.left == 0 {
		return b.verify()
	}
	return nil
}

func (b *body) Read(p []byte) (int, error) {
	if err := live(b.caller); err != nil {
		return 0, err
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if b.sum != nil {
		b.sum.Write(p[:n])
	}
	switch {
	case b.left == 0:
		if err := b.verify(); err != nil {
			return 0, fmt.Errorf("%w: get: %w", blobs.ErrUnavailable, err)
		}
		return n, nil
	case err == nil:
		return n, nil
	case b.caller.Err() != nil:
		return n, live(b.caller)
	default: // not wrapped: a part must not pass for the whole
		return n, fmt.Errorf("%w: s3: get: %d bytes are missing: %s", blobs.ErrUnavailable, b.left, describe(err))
	}
}

func (b *body) verify() error {
	if b.sum != nil && [sha256.Size]byte(b.sum.Sum(nil)) != b.want {
		return ErrChecksum
	}
	return nil
}

func (b *body) Close() error {
	b.cancel()
	return b.r.Close()
}
