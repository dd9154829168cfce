package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
	"photovault/vault/envelope"
	"photovault/vault/id"
)

// sealedUpload is a photo that is sent by hand: each request to the replica
// that the test chooses.
type sealedUpload struct {
	c        *cluster
	photo    id.Photo
	plain    [sha256.Size]byte
	sealed   []byte
	grant    string
	location string
}

// upload declares a photo at the n-th replica and begins its upload there.
func (c *cluster) upload(n int, patient id.Patient, jpeg []byte) *sealedUpload {
	c.Helper()
	cl := c.client(n, consent.Provider)
	var list envelope.SignedKeys
	c.must(cl.Get(c.Context(), "/v1/upload-keys", &list))
	key, err := list.Pick(c.settings.UploadSigningKey, 0, time.Now())
	c.must(err)
	capture := id.New[id.Capture]()
	var declared api.PhotoDeclared
	c.must(cl.Post(c.Context(), "/v1/photos", api.NewPhoto{Patient: string(patient), Device: string(id.New[id.Device]()), Capture: string(capture)}, &declared))
	u := &sealedUpload{c: c, photo: declared.Photo.ID, plain: sha256.Sum256(jpeg), grant: declared.Grant}
	var sealed bytes.Buffer
	w, err := envelope.Seal(&sealed, key, c.practice, capture)
	c.must(err)
	_, err = w.Write(jpeg)
	c.must(err)
	c.must(w.Close())
	u.sealed = sealed.Bytes()
	res := u.send(c.wire(), n, http.MethodPost, "/v1/uploads", map[string]string{"Upload-Length": strconv.Itoa(len(u.sealed))}, http.NoBody, 0)
	if res.status != http.StatusCreated {
		c.Fatalf("upload: %+v", res)
	}
	u.location = res.location
	return u
}

type tusAnswer struct {
	status   int
	offset   int
	location string
	closes   bool
	err      error
}

// send makes one request. A transport error is in the answer.
func (u *sealedUpload) send(over *http.Client, n int, method, path string, header map[string]string, body io.Reader, size int64) tusAnswer {
	req, err := http.NewRequestWithContext(context.WithoutCancel(u.c.Context()), method, u.c.replicas[n].url(path), body)
	if err != nil {
		return tusAnswer{err: err}
	}
	req.Header.Set("Authorization", "Bearer "+u.grant)
	req.ContentLength = size
	req.Header.Set("Tus-Resumable", "1.0.0")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := over.Do(req)
	if err != nil {
		return tusAnswer{err: err}
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	offset, bad := strconv.Atoi(res.Header.Get("Upload-Offset"))
	if bad != nil {
		offset = -1
	}
	return tusAnswer{res.StatusCode, offset, res.Header.Get("Location"), res.Close, err}
}

// patch sends bytes [from, to) to the n-th replica.
func (u *sealedUpload) patch(over *http.Client, n, from, to int) tusAnswer {
	return u.patchBody(over, n, from, bytes.NewReader(u.sealed[from:to]), to-from)
}

func (u *sealedUpload) patchBody(over *http.Client, n, from int, body io.Reader, size int) tusAnswer {
	return u.send(over, n, http.MethodPatch, u.location, map[string]string{
		"Upload-Offset": strconv.Itoa(from), "Content-Type": "application/offset+octet-stream"}, io.LimitReader(body, int64(size)), int64(size))
}

func (u *sealedUpload) offset(over *http.Client, n int) int {
	u.c.Helper()
	res := u.send(over, n, http.MethodHead, u.location, nil, http.NoBody, 0)
	if res.status != http.StatusOK && res.status != http.StatusNoContent {
		u.c.Fatalf("HEAD at %s: %+v", u.c.replicas[n].name, res)
	}
	return res.offset
}

// ready waits until the photo is, and compares it with what was sealed.
func (u *sealedUpload) ready(n int) *api.Photo {
	u.c.Helper()
	ctx, cancel := context.WithTimeout(u.c.Context(), 2*time.Minute)
	defer cancel()
	cl := u.c.client(n, consent.Provider)
	p, err := cl.Await(ctx, u.photo)
	u.c.must(err)
	var receipt vault.Receipt
	u.c.must(cl.Get(ctx, "/v1/photos/"+string(u.photo)+"/receipt", &receipt))
	if receipt.Findings.InputSHA256 != hex.EncodeToString(u.plain[:]) || len(p.Renditions) != 3 {
		u.c.Errorf("photo %s is another than was sent: %d renditions", u.photo, len(p.Renditions))
	}
	return p
}

// slowly is a body that ends when told: first what is there, then nothing
// until more comes.
type slowly struct{ pieces chan []byte }

func (s *slowly) Read(p []byte) (int, error) {
	b, ok := <-s.pieces
	if !ok {
		return 0, io.EOF
	}
	return copy(p, b), nil
}

// Chunks of one upload go to one replica after the other, some of them to two
// at once; one replica dies in the middle of one.
func testUploadAcrossReplicas(t *testing.T, c *cluster) {
	u := c.upload(0, c.patient(), generatedPhoto(t))
	over := c.wire()
	const step = 256 << 10
	at, conflicts := 0, 0
	for n := 0; at < len(u.sealed)/2; n++ {
		to := min(at+step, len(u.sealed))
		answers := make([]tusAnswer, 2)
		var wg sync.WaitGroup
		for i := range answers { // the same bytes at two replicas
			wg.Go(func() { answers[i] = u.patch(over, (n+i)%3, at, to) })
		}
		wg.Wait()
		won := 0
		for _, a := range answers {
			switch {
			case a.err == nil && a.status == http.StatusNoContent && a.offset == to:
				won++
			case a.err == nil && (a.status == http.StatusConflict || a.status == http.StatusLocked):
				conflicts++
			default:
				t.Errorf("a duplicate at %d: %+v", at, a)
			}
		}
		if won != 1 {
			t.Fatalf("%d of two at %d were acknowledged: %+v", won, at, answers)
		}
		at = to
	}
	if conflicts == 0 {
		t.Error("nobody lost")
	}

	// A replica dies with a request in its hands. Pieces of a segment that is
	// not durable yet go with it, nothing else does.
	body := &slowly{pieces: make(chan []byte)}
	died := make(chan tusAnswer, 1)
	go func() { died <- u.patchBody(over, 1, at, body, len(u.sealed)-at) }()
	body.pieces <- u.sealed[at : at+1000]
	body.pieces <- u.sealed[at+1000 : at+2000]
	c.replicas[1].kill()
	began := time.Now()
	if got := u.offset(over, 2); got != at {
		t.Errorf("offset %d, acknowledged were %d", got, at)
	}
	if a := u.patch(over, 2, at, at+step/2); a.status != http.StatusNoContent {
		t.Errorf("another replica is kept out: %+v", a)
	}
	t.Logf("after SIGKILL in mid-PATCH another replica took the upload on in %v", time.Since(began).Round(time.Millisecond))
	at += step / 2
	close(body.pieces)
	if a := <-died; a.err == nil {
		t.Errorf("the dead replica answered %+v", a)
	}
	c.replicas[1].start()
	for n := 0; at < len(u.sealed); n++ {
		to := min(at+step, len(u.sealed))
		if a := u.patch(over, n%3, at, to); a.status != http.StatusNoContent || a.offset != to {
			t.Fatalf("%s at %d: %+v", c.replicas[n%3].name, at, a)
		}
		at = to
	}
	u.ready(0)
	if n := c.count(`SELECT count(*) FROM object WHERE owner = $1 AND state = 'live'`, string(u.photo)); n != 3 {
		t.Errorf("%d objects of the photo", n)
	}
}
