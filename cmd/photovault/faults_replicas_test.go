package main

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"photovault/api/client"
	"photovault/consent"
	"photovault/imaging/specimen"
	"photovault/vault/vaulttest/devstack"
	"photovault/vault/vaulttest/faultproxy"
)

// site is what faults are done to in production mode: clients talk to each
// replica, also where it is gone.
func (c *cluster) site() *site {
	s := &site{practice: c.practice, signing: c.settings.UploadSigningKey}
	var mu sync.Mutex
	made := map[consent.Role][]*client.Client{}
	s.clients = func(t testing.TB, role consent.Role) []*client.Client {
		mu.Lock()
		defer mu.Unlock()
		c.TB = t
		if made[role] == nil {
			for n := range c.replicas {
				made[role] = append(made[role], c.client(n, role))
			}
		}
		return made[role]
	}
	s.log = func() string {
		var all strings.Builder
		for _, r := range c.replicas {
			all.WriteString(r.name + ":\n" + r.log.String() + "\n")
		}
		return all.String()
	}
	s.sweep = func(t *testing.T) {
		c.TB = t
		c.replicas[0].kill()
		c.replicas[0].start("--sweep-age", "1ms") // the first sweep runs at start
	}
	s.left = func(t *testing.T) int {
		c.TB = t
		return c.count(`SELECT count(*) FROM object WHERE state <> 'live'`) + c.stored("") - 3*int(s.sent.Load())
	}
	s.check = func(t *testing.T) {
		c.TB = t
		c.clean()
		c.replicas[0].kill()
		c.replicas[0].start()
	}
	return s
}

// bucketProxies stand before the bucket, one for each replica.
func bucketProxies(t *testing.T, on *ground, n int) []*faultproxy.HTTP {
	t.Helper()
	servers := devstack.Need(t)
	var list []*faultproxy.HTTP
	for range n {
		list = append(list, faultproxy.NewHTTP(t, on.bucket.Endpoint, faultproxy.Files{Cert: servers.Cert, Key: servers.Key, CA: servers.CA}))
	}
	before := on.way
	on.way = func(replica int, at *ways) {
		before(replica, at)
		at.bucket = list[replica].URL
	}
	return list
}

// Replicas die at the instants that matter most.
func TestSoakFaultsOfReplicas(t *testing.T) {
	t.Parallel()
	on := sharedGround(t)
	proxies := bucketProxies(t, &on, 2)
	c := newClusterOn(t, 2, on)
	s := c.site()
	endure(t, s, []fault{killedInChunk(c, s), killedInIngest(c, s), killedBeforeCommit(c, proxies)})
}

// killedInChunk: a replica dies with half a segment in its hands. Those bytes
// were not acknowledged; the others are there.
func killedInChunk(c *cluster, s *site) fault {
	var (
		u    *sealedUpload
		over *http.Client
		died chan tusAnswer
		body *slowly
	)
	const acknowledged, more = 20_000, 10_000
	return fault{name: "replica killed in a chunk", kills: true, lasts: 300 * time.Millisecond,
		begin: func(t *testing.T) {
			c.TB = t
			u, over = c.upload(0, c.patient(), specimens()[0]), c.wire()
			if a := u.patch(over, 0, 0, acknowledged); a.status != http.StatusNoContent {
				t.Fatalf("%+v", a)
			}
			body, died = &slowly{pieces: make(chan []byte)}, make(chan tusAnswer, 1)
			go func() { died <- u.patchBody(over, 0, acknowledged, body, len(u.sealed)-acknowledged) }()
			body.pieces <- u.sealed[acknowledged : acknowledged+more]
			body.pieces <- u.sealed[acknowledged+more : acknowledged+2*more]
			c.replicas[0].kill()
		},
		heal: func(t *testing.T) {
			close(body.pieces)
			if a := <-died; a.err == nil {
				t.Errorf("the dead replica answered %+v", a)
			}
			at := u.offset(over, 1)
			if at != acknowledged {
				t.Errorf("offset %d, acknowledged were %d", at, acknowledged)
			}
			if a := u.patch(over, 1, at, len(u.sealed)); a.status != http.StatusNoContent {
				t.Errorf("another replica is kept out: %+v", a)
			}
			c.replicas[0].start()
			u.ready(1)
			s.sent.Add(1)
			over.CloseIdleConnections()
		}}
}

// longWork is a photo that takes a while to be taken in, made once.
var longWork = sync.OnceValue(func() []byte { return specimen.JPEG(specimen.Full(2400, 1800, 99)) })

// killedInIngest: the replica that works on a photo dies; the other takes it.
func killedInIngest(c *cluster, s *site) fault {
	var u *sealedUpload
	return fault{name: "replica killed in an ingest", kills: true, lasts: 300 * time.Millisecond,
		begin: func(t *testing.T) {
			c.TB = t
			u = c.upload(0, c.patient(), longWork())
			c.replicas[1].freeze() // so that it is the first one's
			defer c.replicas[1].thaw()
			u.sendAll(0)
			u.leased()
			c.replicas[0].kill()
		},
		heal: func(t *testing.T) {
			c.replicas[0].start()
			u.ready(1)
			s.sent.Add(1)
		}}
}

// killedBeforeCommit: the last rendition of a photo is in the bucket, and the
// replica that put it dies before it knows, and so before it commits.
func killedBeforeCommit(c *cluster, proxies []*faultproxy.HTTP) fault {
	dead := -1
	return fault{name: "replica killed between Put and commit", kills: true, lasts: 300 * time.Millisecond,
		begin: func(t *testing.T) {
			c.TB = t
			killed := make(chan int, 1)
			var armed atomic.Bool
			armed.Store(true)
			for i, p := range proxies {
				var puts atomic.Int64
				p.Harm(nil, func(r *http.Response) error {
					if r.Request.Method != http.MethodPut || !strings.Contains(r.Request.URL.Path, "/photos/") || r.StatusCode != http.StatusOK {
						return nil
					}
					if puts.Add(1)%3 == 0 && armed.CompareAndSwap(true, false) {
						c.replicas[i].kill()
						killed <- i
						return io.ErrUnexpectedEOF
					}
					return nil
				})
			}
			select {
			case dead = <-killed:
			case <-time.After(30 * time.Second):
				t.Fatal("no photo was stored")
			}
			for _, p := range proxies {
				p.Harm(nil, nil)
			}
			if n := c.count(`SELECT count(*) FROM object WHERE area = 'photos' AND state = 'pending'`); n < 3 {
				t.Errorf("%d renditions are stored and not committed", n)
			}
		},
		heal: func(*testing.T) { c.replicas[dead].start() }}
}
