package api_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"photovault/consent"
	"photovault/vault"
)

// overloaded: four MiB of memory for uploads, and a short wait for it.
func overloaded(o *options) {
	o.config = func(c *vault.Config) { c.UploadBuffers, c.UploadWait = 4, 500*time.Millisecond }
	o.stall = 5 * time.Minute // who holds one holds it until the test ends
}

// hold begins an upload of its own account that takes a buffer and sends no more.
func (s *stack) hold() *wire {
	s.Helper()
	_, token := s.account("provider")
	x := s.declareAs(token, s.consented())
	up := s.create(x.Grant, 3<<20)
	w := s.dial(0)
	w.send(string(make([]byte, 1<<20+100)), s.patchLines(up, x.Grant, 0, 3<<20)...)
	s.eventually("the first MiB is durable", func() bool { return s.offset(up, x.Grant) == 1<<20 })
	return w
}

// More uploads than there is memory for wait and are then told to come again,
// while photos are delivered as ever.
func TestAnOverloadOfUploadsLeavesReadsAlone(t *testing.T) {
	s := newStack(t, overloaded)
	photo := s.ready(s.consented(), small)
	var held []*wire
	for range 4 {
		held = append(held, s.hold())
	}
	var uploads, reads sync.WaitGroup
	for range 8 {
		_, token := s.account("provider")
		x := s.declareAs(token, s.consented())
		up := s.create(x.Grant, 1000)
		uploads.Go(func() {
			began := time.Now()
			a := s.patch(up, x.Grant, 0, make([]byte, 1000))
			a.problem(503, "unavailable")
			if a.header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			if took := time.Since(began); took < 500*time.Millisecond || took > 20*time.Second {
				t.Errorf("told after %v", took)
			}
		})
	}
	for range 8 {
		token := s.forCare(photo.ID, "web", consent.InHeader, 1)
		reads.Go(func() { s.fetch("GET", token).ok(200) })
	}
	reads.Wait()
	uploads.Wait()
	// With one buffer back the others go through, one after the other.
	held[0].abort()
	_, token := s.account("provider")
	x := s.declareAs(token, s.consented())
	up := s.create(x.Grant, 5000)
	s.eventually("the next one is served", func() bool {
		at := s.offset(up, x.Grant)
		return at == 5000 || s.patch(up, x.Grant, at, make([]byte, 5000-at)).status == 204
	})
}

// One grant holds a few places, and no memory while it sends nothing.
func TestOneGrantDoesNotKeepOthersOut(t *testing.T) {
	s := newStack(t, overloaded)
	_, token := s.account("provider")
	x := s.declareAs(token, s.consented())
	var ups []string
	for range 5 {
		ups = append(ups, s.create(x.Grant, 3<<20, partial))
	}
	for _, up := range ups[:4] { // heads only: nothing is in memory for them
		lines := s.patchLines(up, x.Grant, 0, 0)
		lines[len(lines)-1] = "Transfer-Encoding: chunked"
		s.dial(0).send("", lines...)
	}
	s.eventually("the grant's places are taken", func() bool {
		return s.patch(ups[4], x.Grant, 0, make([]byte, 10)).status == http.StatusServiceUnavailable
	})
	y := s.declareAs(token, s.consented()) // another grant, even of the same account
	up := s.create(y.Grant, 2<<20)
	s.patch(up, y.Grant, 0, make([]byte, 2<<20)).ok(204)
}

// One account holds sixteen places with all its grants; the uploads of others go on.
func TestOneAccountOfManyGrantsDoesNotKeepOthersOut(t *testing.T) {
	s := newStack(t, func(o *options) {
		o.config = func(c *vault.Config) { c.UploadWait = 500 * time.Millisecond }
		o.stall = 5 * time.Minute
	})
	patient := s.consented()
	_, token := s.account("provider")
	var held []*wire
	for range 4 {
		x := s.declareAs(token, patient)
		for range 4 {
			w := s.dial(0)
			lines := s.patchLines(s.create(x.Grant, 3<<20, partial), x.Grant, 0, 0)
			lines[len(lines)-1] = "Transfer-Encoding: chunked"
			w.send("", lines...)
			held = append(held, w)
		}
	}
	x := s.declareAs(token, patient)
	up := s.create(x.Grant, 1000)
	body := make([]byte, 1000)
	s.eventually("the account's places are taken", func() bool {
		// Until then the places of one that came before the last are free.
		if a := s.patch(up, x.Grant, 0, body); a.status != http.StatusNoContent {
			a.problem(503, "unavailable")
			if a.header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			return true
		}
		x = s.declareAs(token, patient)
		up = s.create(x.Grant, 1000)
		return false
	})
	_, other := s.account("provider")
	y := s.declareAs(other, patient)
	s.patch(s.create(y.Grant, 1000), y.Grant, 0, body).ok(204)

	held[0].abort()
	s.eventually("a place is free again", func() bool { return s.patch(up, x.Grant, 0, body).status == http.StatusNoContent })
}

// A body that trickles does not hold a buffer for longer than one that stalls.
func TestABodyThatTricklesEnds(t *testing.T) {
	s := newStack(t, func(o *options) { o.stall = time.Second })
	x := s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))
	w := s.dial(0)
	w.send(string(x.sealed[:70_000]), s.patchLines(up, x.Grant, 0, len(x.sealed))...)
	began := time.Now()
	stop := make(chan struct{})
	var trickle sync.WaitGroup
	trickle.Go(func() {
		every := time.NewTicker(100 * time.Millisecond) // well within the stall
		defer every.Stop()
		for i := 70_000; ; i++ {
			select {
			case <-every.C:
			case <-stop:
				return
			}
			if _, err := w.Write(x.sealed[i : i+1]); err != nil {
				return
			}
		}
	})
	w.answer("PATCH").problem(503, "body_stalled")
	close(stop)
	trickle.Wait()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it lasted %v", took)
	}
	if n := s.offset(up, x.Grant); n < 70_000 {
		t.Errorf("offset %d: what arrived is not kept", n)
	}
	// One that is slow and steady goes on for longer than the window, of which
	// each has its 64 KiB; where a busy machine does not keep the pace, try again.
	for attempt := 1; !s.steady(); attempt++ {
		if attempt == 10 {
			t.Fatal("a slow and steady body was ended ten times")
		}
	}
}

// steady sends pieces at a pace, for longer than the stall of a second.
func (s *stack) steady() bool {
	s.Helper()
	const pieces, piece = 25, 20_000
	x := s.sealedBig()
	w := s.dial(0)
	w.send("", s.patchLines(s.create(x.Grant, len(x.sealed)), x.Grant, 0, pieces*piece)...)
	for i := range pieces {
		if _, err := w.Write(x.sealed[i*piece : (i+1)*piece]); err != nil {
			return false
		}
		<-time.After(50 * time.Millisecond) // the pace is what is tested
	}
	a, ok := w.next("PATCH")
	if !ok || a.status == http.StatusServiceUnavailable {
		return false
	}
	if got := a.ok(204).header.Get("Upload-Offset"); got != fmt.Sprint(pieces*piece) {
		s.Errorf("offset %s", got)
	}
	return true
}
