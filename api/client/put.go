package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"photovault/api"
	"photovault/vault"
	"photovault/vault/envelope"
	"photovault/vault/id"
)

// PutOptions describes the photo that Put sends.
type PutOptions struct {
	Photo  api.NewPhoto      // Device and Capture are made when empty
	Suite  envelope.Suite    // 0: the default suite
	Pinned ed25519.PublicKey // the practice's upload-signing key; required
	// Practice the photo belongs to; the envelope is bound to it.
	Practice id.Practice
	// Chunk is how many bytes one request carries; default 4 MiB.
	Chunk int64
	// Progress, if set, is told how many of total sealed bytes are durable.
	Progress func(done, total int64)
}

// Put declares a photo, seals it to the practice's current upload key, and
// uploads it; a broken connection is resumed where the service left off.
// It returns the photo as declared: use Await for what became of it.
func (c *Client) Put(ctx context.Context, jpeg io.Reader, o PutOptions) (*api.Photo, error) {
	if o.Photo.Device == "" {
		o.Photo.Device = string(id.New[id.Device]())
	}
	if o.Photo.Capture == "" {
		o.Photo.Capture = string(id.New[id.Capture]())
	}
	key, err := c.uploadKey(ctx, o)
	if err != nil {
		return nil, err
	}
	var sealed bytes.Buffer
	w, err := envelope.Seal(&sealed, key, o.Practice, id.Capture(o.Photo.Capture))
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(w, jpeg); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	var declared api.PhotoDeclared
	if err := c.Post(ctx, "/v1/photos", o.Photo, &declared); err != nil {
		return nil, err
	}
	if s := declared.Photo.State; s != vault.Declared && s != vault.Receiving {
		return &declared.Photo, nil // an earlier Put of this capture got through
	}
	err = c.With(declared.Grant).upload(ctx, sealed.Bytes(), o)
	if Code(err) == "already_received" { // as did the last request, whose answer was lost
		err = nil
	}
	return &declared.Photo, err
}

// uploadKey fetches the practice's upload keys and picks one to seal to,
// trusting only what the pinned key has signed.
func (c *Client) uploadKey(ctx context.Context, o PutOptions) (envelope.PublicKey, error) {
	var list envelope.SignedKeys
	if err := c.Get(ctx, "/v1/upload-keys", &list); err != nil {
		return envelope.PublicKey{}, err
	}
	if list.Practice != o.Practice {
		return envelope.PublicKey{}, fmt.Errorf("client: the upload keys are of another practice: %w", envelope.ErrRefused)
	}
	return list.Pick(o.Pinned, o.Suite, time.Now())
}

// upload sends the sealed photo by tus, resuming after failures that can pass.
func (c *Client) upload(ctx context.Context, sealed []byte, o PutOptions) error {
	if o.Chunk == 0 {
		o.Chunk = 4 << 20
	}
	total := int64(len(sealed))
	location, err := retry(ctx, func() (string, error) { return c.tusCreate(ctx, total) })
	if err != nil {
		return err
	}
	offset := int64(0)
	for offset < total {
		if o.Progress != nil {
			o.Progress(offset, total)
		}
		first := true
		offset, err = retry(ctx, func() (int64, error) {
			if !first { // ask how far it came before sending again
				at, err := c.tusOffset(ctx, location)
				if err != nil {
					return 0, err
				}
				offset = at
			}
			first = false
			if offset == total {
				return offset, nil
			}
			return c.tusPatch(ctx, location, offset, sealed[offset:min(total, offset+o.Chunk)])
		})
		if err != nil {
			return err
		}
	}
	if o.Progress != nil {
		o.Progress(total, total)
	}
	return nil
}

// retry repeats f after failures that can pass: broken connections, 423, 429, 5xx, 409.
func retry[T any](ctx context.Context, f func() (T, error)) (T, error) {
	return backoff.Retry(ctx, func() (T, error) {
		v, err := f()
		var e *Error
		if errors.As(err, &e) {
			switch s := e.Problem.Status; {
			case s == 409 && e.Problem.Code == "offset_mismatch", s == 423, s == 429, s >= 500:
			default:
				return v, backoff.Permanent(err)
			}
		}
		return v, err
	}, backoff.WithMaxElapsedTime(2*time.Minute))
}

func (c *Client) tusRequest(ctx context.Context, method, path string, body []byte, header map[string]string) (http.Header, error) {
	req, err := c.request(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := c.do(req)
	if err != nil {
		return nil, err
	}
	return res.Header, res.Body.Close()
}

func (c *Client) tusCreate(ctx context.Context, total int64) (string, error) {
	h, err := c.tusRequest(ctx, "POST", "/v1/uploads", nil, map[string]string{"Upload-Length": strconv.FormatInt(total, 10)})
	if err != nil {
		return "", err
	}
	return h.Get("Location"), nil
}

func (c *Client) tusOffset(ctx context.Context, location string) (int64, error) {
	h, err := c.tusRequest(ctx, "HEAD", location, nil, nil)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(h.Get("Upload-Offset"), 10, 64)
}

func (c *Client) tusPatch(ctx context.Context, location string, offset int64, body []byte) (int64, error) {
	h, err := c.tusRequest(ctx, "PATCH", location, body, map[string]string{
		"Upload-Offset": strconv.FormatInt(offset, 10), "Content-Type": "application/offset+octet-stream"})
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(h.Get("Upload-Offset"), 10, 64)
}

// Await polls until the photo is ready or rejected, or ctx ends.
func (c *Client) Await(ctx context.Context, photo id.Photo) (*api.Photo, error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		var p api.Photo
		if err := c.Get(ctx, "/v1/photos/"+string(photo), &p); err != nil {
			return nil, err
		}
		switch p.State {
		case "ready":
			return &p, nil
		case "rejected":
			return &p, fmt.Errorf("%w: %s", ErrRejected, p.RejectedCode)
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return &p, ctx.Err()
		case <-t.C:
		}
	}
}

// ErrRejected reports a photo that the service could not accept; the code says why.
var ErrRejected = errors.New("client: the photo was rejected")
