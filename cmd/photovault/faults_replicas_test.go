package main

import (
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"photovault/api/client"
	"photovault/consent"
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
	endure(t, s, []fault{killedInChunk(c, s),
		killedAt(c, proxies, 1, "replica killed in an ingest"), killedAt(c, proxies, 3, "replica killed between Put and commit")})
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

// killedAt: a replica that takes a photo in dies at the n-th of its three
// renditions: that one is in the bucket, and the replica dies before it knows.
// At the last one nothing but the commit is left to do.
func killedAt(c *cluster, proxies []*faultproxy.HTTP, n int, name string) fault {
	dead := -1
	// planned is how many renditions there are of the photo that the object is of.
	planned := func(object string) (of int) {
		_ = c.db.QueryRow(`SELECT count(*) FROM object o JOIN object this ON this.practice = o.practice AND this.owner = o.owner
			WHERE this.id = $1 AND o.area = 'photos' AND o.state = 'pending'`, object).Scan(&of) // an error is none
		return of
	}
	return fault{name: name, kills: true, lasts: 300 * time.Millisecond,
		begin: func(t *testing.T) {
			c.TB = t
			killed := make(chan int, 1)
			var armed atomic.Bool
			armed.Store(true)
			for i, p := range proxies {
				p.Harm(nil, func(r *http.Response) error {
					q := r.Request
					if q.Method != http.MethodPut || !strings.Contains(q.URL.Path, "/photos/") || r.StatusCode != http.StatusOK ||
						planned(path.Base(q.URL.Path)) != n || !armed.CompareAndSwap(true, false) {
						return nil
					}
					c.replicas[i].kill()
					killed <- i
					return io.ErrUnexpectedEOF
				})
			}
			select {
			case dead = <-killed:
			case <-time.After(time.Minute):
				t.Fatal("no photo was stored")
			}
			for _, p := range proxies {
				p.Harm(nil, nil)
			}
		},
		heal: func(*testing.T) { c.replicas[dead].start() }}
}
