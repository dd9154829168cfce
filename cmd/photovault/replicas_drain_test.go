package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// clinical asks the n-th replica for a token of the photo, for care.
func (c *cluster) clinical(n int, photo id.Photo, rendition string) (t api.Token) {
	c.Helper()
	c.must(c.client(n, consent.Provider).Post(c.Context(), "/v1/photos/"+string(photo)+"/tokens",
		api.NewToken{Purpose: consent.ForCare, Rendition: rendition, Form: consent.InHeader}, &t))
	return t
}

// stream is a delivery that runs as slowly as it is read: what the system takes
// unread is less than a large photo.
func (c *cluster) stream(n int, photo id.Photo) *http.Response {
	c.Helper()
	res, err := c.fetch(c.narrow(256<<10), n, c.clinical(n, photo, "original"))
	c.must(err)
	if res.StatusCode != http.StatusOK {
		c.Fatalf("stream: %s", res.Status)
	}
	return res
}

// readiness asks on a connection of its own.
func (r *replica) readiness() (status int, p api.Problem, closes bool, err error) {
	over := r.c.wire()
	defer over.CloseIdleConnections()
	res, err := over.Get(r.url("/readyz"))
	if err != nil {
		return 0, p, false, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		err = json.NewDecoder(res.Body).Decode(&p)
	}
	return res.StatusCode, p, res.Close, err
}

// SIGTERM: unready first, and still there for who has not noticed; then an
// upload stops where it is durable, a download and an ingest end, and so does
// the process, with status 0.
func testDrain(t *testing.T, c *cluster) {
	patient := c.patient()
	large := c.large()
	size, sum := original(large)
	r, over := c.replicas[1], c.wire()
	r.kill()
	r.start("--drain-delay", "10s")
	cut := c.upload(1, patient, generatedPhoto(t))
	body := &slowly{pieces: make(chan []byte)}
	answered := make(chan tusAnswer, 1)
	go func() { answered <- cut.patchBody(c.wire(), 1, 0, body, len(cut.sealed)) }()
	const arrived = 200_000
	send := func(from, to int) {
		for at := from; at < to; at += 10_000 {
			body.pieces <- cut.sealed[at : at+10_000]
		}
	}
	send(0, arrived/2)
	kept, err := over.Get(r.url("/healthz")) // a connection that stays
	c.must(err)
	_, err = io.Copy(io.Discard, kept.Body)
	c.must(err)
	c.must(kept.Body.Close())
	working := c.upload(1, patient, largePhoto(t))
	goOn := working.taken(1)
	send(arrived/2, arrived)
	running := c.stream(1, large.ID)
	defer running.Body.Close()

	began := time.Now()
	r.drain()
	c.await("readiness to say no", 8*time.Second, func() bool {
		status, p, closes, err := r.readiness()
		return err == nil && status == http.StatusServiceUnavailable && p.Dependencies["service"] == "down" && closes
	})
	goOn()
	kept, err = over.Get(r.url("/healthz"))
	if err != nil || kept.StatusCode != http.StatusOK || !kept.Close {
		t.Errorf("a request while the server drains: %v, %+v", err, kept)
	}
	if err == nil {
		_ = kept.Body.Close()
	}
	c.await("the listener to close", 30*time.Second, func() bool {
		conn, err := net.Dial("tcp", r.address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	closed := time.Since(began)

	a := <-answered
	if a.err != nil || a.status != http.StatusServiceUnavailable || !a.closes {
		t.Errorf("the upload was answered %+v", a)
	}
	close(body.pieces)
	stopped := time.Since(began)
	if at := cut.offset(over, 2); at != arrived {
		t.Errorf("of %d bytes that had arrived %d are kept", arrived, at)
	}
	if a := cut.patch(over, 2, arrived, len(cut.sealed)); a.status != http.StatusNoContent {
		t.Errorf("another replica does not go on: %+v", a)
	}
	hash := sha256.New()
	if n, err := io.Copy(hash, running.Body); n != size || err != nil || hex.EncodeToString(hash.Sum(nil)) != sum {
		t.Errorf("the running delivery: %d of %d bytes, %v", n, size, err)
	}
	if status := r.gone(); status != exitDone {
		t.Errorf("exit status %d\n%s", status, r.log)
	}
	t.Logf("after SIGTERM: nothing accepted after %v, upload answered after %v, gone after %v",
		closed.Round(10*time.Millisecond), stopped.Round(10*time.Millisecond), time.Since(began).Round(10*time.Millisecond))
	working.ready(0)
	cut.ready(0)
	for _, u := range []*sealedUpload{working, cut} {
		if n := c.ingested(0, patient, u.photo); n != 1 {
			t.Errorf("the log says %d times that the photo is ready", n)
		}
	}
	r.start()
}

// incomplete counts the deliveries of a photo that the log says were cut.
func (c *cluster) incomplete(p *api.Photo) (n int) {
	c.Helper()
	var trail api.Trail
	c.must(c.client(0, consent.Privacy).Get(c.Context(), "/v1/audit/patients/"+string(p.Patient), &trail))
	for _, e := range trail.Entries {
		if e.Action == audit.Release && e.Outcome == audit.Incomplete {
			n++
		}
	}
	return n
}

// A photo in work that does not end in time is given back at once, uncounted.
// A request that does not end is cut and says so; a second signal waits for
// nothing.
func testDrainHasAnEnd(t *testing.T, c *cluster) {
	patient, large := c.patient(), c.large()
	r := c.replicas[1]

	before := c.incomplete(large)
	r.kill()
	r.start("--drain-delay", "0s", "--drain-limit", "100ms")
	c.replicas[0].freeze()
	c.replicas[2].freeze()
	working := c.upload(1, patient, largePhoto(t))
	goOn := working.taken(1)
	stuck := c.stream(1, large.ID) // nobody reads on
	began := time.Now()
	r.drain()
	if status := r.gone(); status != exitFailed || !strings.Contains(r.log.String(), "cut") {
		t.Errorf("exit status %d after requests were cut\n%s", status, r.log)
	}
	took := time.Since(began)
	if took > 20*time.Second { // of the minute that a limit is elsewhere
		t.Errorf("a limit of 100 ms took %v", took)
	}
	goOn()
	_ = stuck.Body.Close()
	if n := c.count(`SELECT attempts + lease_until FROM job WHERE photo = $1`, string(working.photo)); n != 0 {
		t.Errorf("the job was not given back as it was: %d", n)
	}
	c.replicas[0].thaw()
	c.replicas[2].thaw()
	moved := time.Now()
	working.ready(0)
	t.Logf("a limit of 100 ms ended the process after %v; the photo in work was ready at another replica %v later",
		took.Round(10*time.Millisecond), time.Since(moved).Round(10*time.Millisecond))
	if n := c.incomplete(large) - before; n != 1 {
		t.Errorf("%d deliveries more are logged as incomplete", n)
	}

	r.start("--drain-delay", "1m", "--drain-limit", "1m")
	stuck = c.stream(1, large.ID)
	defer stuck.Body.Close()
	r.drain()
	c.await("draining", 30*time.Second, func() bool {
		status, _, _, err := r.readiness()
		return err == nil && status == http.StatusServiceUnavailable
	})
	began = time.Now()
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	if status := r.gone(); status == exitDone || time.Since(began) > 30*time.Second {
		t.Errorf("exit status %d, %v after a second SIGTERM", status, time.Since(began))
	}
	r.start()
}
