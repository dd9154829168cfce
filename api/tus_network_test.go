package api_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
)

// Networks and the libraries above them send a request again, or a later one
// before an earlier one. A model that knows only tus says what each must be answered.
func TestReplayedAndSwappedPatchesLeaveOneExactFile(t *testing.T) {
	s := newStack(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 5 {
		x := s.declare(s.consented(), small())
		up := s.create(x.Grant, len(x.sealed))
		type piece struct{ from, to int }
		var sent []piece // as a network may deliver them: in order, some again, some before their turn
		for at := 0; at < len(x.sealed); {
			p := piece{at, min(len(x.sealed), at+1+random.IntN(len(x.sealed)/4))}
			sent = append(sent, p)
			at = p.to
			for random.IntN(2) == 0 {
				sent = append(sent, sent[random.IntN(len(sent))])
			}
		}
		for i := range sent {
			if j := i + 1; j < len(sent) && random.IntN(3) == 0 {
				sent[i], sent[j] = sent[j], sent[i]
			}
		}
		offset, replays, early := 0, 0, 0
		deliver := func(p piece) {
			a := s.patch(up, x.Grant, p.from, x.sealed[p.from:p.to])
			switch {
			case offset == len(x.sealed): // the photo is received, and may be taken in already
				if a.status != 409 && a.status != 404 {
					t.Errorf("%v after the end: %d", p, a.status)
				}
				return
			case p.from == offset:
				if got := a.ok(204).header.Get("Upload-Offset"); got != strconv.Itoa(p.to) {
					t.Errorf("%v: offset %s", p, got)
				}
				offset = p.to
				return
			case p.from < offset:
				replays++
			default:
				early++
			}
			a.problem(409, "offset_mismatch")
			if got := s.offset(up, x.Grant); got != offset {
				t.Errorf("%v moved the offset from %d to %d", p, offset, got)
			}
		}
		for _, p := range sent {
			deliver(p)
		}
		for offset < len(x.sealed) { // the client asks, and sends what came before its turn
			deliver(piece{offset, len(x.sealed)})
		}
		t.Logf("%d deliveries: %d replays, %d before their turn", len(sent), replays, early)
		s.await(x.Photo.ID, vault.Ready)
		receipt := into[vault.Receipt](s.ask("GET", "/v1/photos/"+string(x.Photo.ID)+"/receipt", s.token("provider"), nil), 200)
		if receipt.Findings.InputSHA256 != digest(small()) {
			t.Error("another photo is stored")
		}
	}
}

// The same request twice at once counts once.
func TestAPatchSentTwiceAtOnceCountsOnce(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))
	for at := 0; at < len(x.sealed); at += 700_000 {
		body := x.sealed[at:min(len(x.sealed), at+700_000)]
		var counted, refused atomic.Int64
		var both sync.WaitGroup
		for range 3 {
			both.Go(func() {
				switch a := s.patch(up, x.Grant, at, body); a.status {
				case 204:
					counted.Add(1)
				case 404, 409, 423: // 404: the photo is whole, and taken in
					refused.Add(1)
				default:
					t.Errorf("%d %.300s", a.status, a.body)
				}
			})
		}
		both.Wait()
		if counted.Load() > 1 {
			t.Fatalf("%d counted, %d refused", counted.Load(), refused.Load())
		}
		// One that another took over may have been kept in part: the client asks and goes on.
		s.eventually("the piece is there", func() bool {
			a := s.ask("HEAD", up, x.Grant, nil, tus)
			n, err := strconv.Atoi(a.header.Get("Upload-Offset"))
			return a.status == 404 || err == nil && (n >= at+len(body) || s.patch(up, x.Grant, n, x.sealed[n:at+len(body)]).status == 204)
		})
	}
	s.receivedWhole(x)
}

// A tablet that slept goes on where it was. When its grant ended meanwhile the
// answer says what to do, and what it had sent is still there.
func TestATabletThatSlept(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	x := s.declare(patient, small())
	up := s.create(x.Grant, len(x.sealed))
	half := len(x.sealed) / 2
	s.patch(up, x.Grant, 0, x.sealed[:half]).ok(204)
	s.clock.advance(time.Hour)
	if n := s.offset(up, x.Grant); n != half {
		t.Fatalf("offset %d after an hour, %d were acknowledged", n, half)
	}
	s.patch(up, x.Grant, half, x.sealed[half:]).ok(204)
	s.await(x.Photo.ID, vault.Ready)

	x = s.declare(patient, small())
	s.clock.advance(vault.GrantLife - 30*time.Minute)
	_, fresh := s.account("provider") // as if he had signed in again meanwhile
	up = s.create(x.Grant, len(x.sealed))
	s.patch(up, x.Grant, 0, x.sealed[:half]).ok(204)
	s.clock.advance(time.Hour)
	for _, a := range []answer{
		s.ask("HEAD", up, x.Grant, nil, tus).ok(401),
		s.patch(up, x.Grant, half, x.sealed[half:]).ok(401),
		s.ask("POST", "/v1/uploads", x.Grant, nil, tus, header("Upload-Length", strconv.Itoa(len(x.sealed)))).ok(401),
	} {
		if a.header.Get("WWW-Authenticate") == "" {
			t.Error("401 without WWW-Authenticate")
		}
	}
	if p := s.patch(up, x.Grant, half, x.sealed[half:]).problem(401, "unauthenticated"); !bytes.Contains([]byte(p.Detail), []byte("declare the photo again")) {
		t.Errorf("what to do is not told: %s", p.Detail)
	}
	s.ask("POST", "/v1/photos", fresh, x.in, odd) // a colleague who declares the same capture gets no hold of it
	if a := s.ask("HEAD", up, fresh, nil, tus); a.status != 404 {
		t.Errorf("a colleague sees the upload: %d", a.status)
	}
	again := into[api.PhotoDeclared](s.ask("POST", "/v1/photos", s.token("provider"), x.in), 201)
	if again.Photo.ID != x.Photo.ID || again.Photo.State != vault.Receiving {
		t.Fatalf("declared again: %+v", again.Photo)
	}
	if n := s.offset(up, again.Grant); n != half {
		t.Fatalf("offset %d under the new grant, %d were acknowledged", n, half)
	}
	s.patch(up, again.Grant, half, x.sealed[half:]).ok(204)
	s.await(x.Photo.ID, vault.Ready)
}

// Connections that begin and do not go on end by themselves, and keep nobody out.
func TestSlowConnectionsEndAndKeepNobodyOut(t *testing.T) {
	const each = 50
	s := newStack(t, func(o *options) { o.head, o.stall = 4*time.Second, 4*time.Second })
	photo := s.ready(s.consented(), small)
	x := s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))
	over := make(chan struct{})
	var all sync.WaitGroup
	var ended, answered atomic.Int64
	// slow sends text byte by byte, never the last, until its connection ends.
	slow := func(c net.Conn, text string) {
		all.Go(func() {
			defer c.Close()
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				_ = c.SetReadDeadline(time.Now().Add(3 * time.Minute))
				b, err := io.ReadAll(c)
				if err == nil || len(b) > 0 || !isTimeout(err) {
					ended.Add(1)
				}
				if bytes.HasPrefix(b, []byte("HTTP/1.1 408")) || bytes.HasPrefix(b, []byte("HTTP/1.1 503")) {
					answered.Add(1)
				}
			}()
			pace := time.NewTicker(50 * time.Millisecond)
			defer pace.Stop()
			for i := 0; ; i++ {
				select {
				case <-gone:
					return
				case <-pace.C:
					if len(text) > 0 {
						_, _ = io.WriteString(c, text[i%len(text):i%len(text)+1])
					}
				}
			}
		})
	}
	began := time.Now()
	for range each {
		c, err := net.Dial("tcp", s.address) // says nothing, not even hello
		s.must(err)
		slow(c, "")
		c, err = net.Dial("tcp", s.address)
		s.must(err)
		slow(c, "\x16\x03\x01") // the beginning of one, over and over
		h, err := tls.Dial("tcp", s.address, s.ca.client)
		s.must(err)
		_, err = io.WriteString(h, "GET /healthz HTTP/1.1\r\nX-Slow: ")
		s.must(err)
		slow(h, "x")
	}
	for range 3 { // as many as one grant may have at once
		b := s.dial(0)
		b.send("0123456789", s.patchLines(up, x.Grant, 0, len(x.sealed))...)
		slow(b.Conn, "x")
	}
	reads := 0
	go func() { all.Wait(); close(over) }()
	for open := true; open; {
		s.fetch("GET", s.forCare(photo.ID, "web", consent.InHeader, 1)).ok(200)
		reads++
		select {
		case <-over:
			open = false
		default:
		}
	}
	took := time.Since(began)
	t.Logf("%d slow connections ended after at most %v, %d of them with an answer; %d photos were delivered meanwhile", ended.Load(), took.Round(time.Millisecond), answered.Load(), reads)
	if ended.Load() != 3*each+3 || took > 2*time.Minute {
		t.Errorf("%d of %d ended in %v", ended.Load(), 3*each+3, took)
	}
	if answered.Load() < each/2 {
		t.Errorf("%d were told", answered.Load())
	}
	at := s.offset(up, x.Grant) // what came of the slow ones is kept
	s.eventually("the upload goes on", func() bool {
		at = s.offset(up, x.Grant)
		return s.patch(up, x.Grant, at, bytes.Repeat([]byte("x"), 10)).status == 204
	})
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
