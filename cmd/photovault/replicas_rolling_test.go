package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"photovault/api"
	"photovault/api/client"
	"photovault/consent"
	"photovault/imaging/specimen"
	"photovault/vault"
	"photovault/vault/id"
)

// balancer hands each connection to a replica that says it is ready, and to
// the next one where that does not take it. It looks every 100 ms, and sees
// bytes, not requests.
type balancer struct {
	c        *cluster
	listener net.Listener
	next     atomic.Int64
	ready    []atomic.Bool
	done     sync.WaitGroup
	ctx      context.Context
	stop     context.CancelFunc
}

func (c *cluster) balancer() *balancer {
	c.Helper()
	l, err := (&net.ListenConfig{}).Listen(c.Context(), "tcp", "127.0.0.1:0")
	c.must(err)
	ctx, stop := context.WithCancel(c.Context())
	b := &balancer{c: c, listener: l, ready: make([]atomic.Bool, len(c.replicas)), ctx: ctx, stop: stop}
	for i := range c.replicas {
		address := c.replicas[i].address // stays
		b.done.Go(func() { b.look(ctx, i, address) })
	}
	b.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.done.Go(func() { b.forward(conn) })
		}
	})
	c.await("a ready replica", time.Minute, func() bool { return b.ready[0].Load() })
	return b
}

func (b *balancer) close() {
	b.stop()
	_ = b.listener.Close()
	b.done.Wait()
}

func (b *balancer) look(ctx context.Context, i int, address string) {
	over := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: b.c.trust, MinVersion: tls.VersionTLS12}}}
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/readyz", nil)
		if err != nil {
			return
		}
		res, err := over.Do(req)
		b.ready[i].Store(err == nil && res.StatusCode == http.StatusOK)
		if err == nil {
			_ = res.Body.Close()
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

func (b *balancer) forward(in net.Conn) {
	defer in.Close()
	for range 3 * len(b.ready) {
		i := int(b.next.Add(1)) % len(b.ready)
		if !b.ready[i].Load() {
			continue
		}
		out, err := net.DialTimeout("tcp", b.c.replicas[i].address, time.Second)
		if err != nil {
			continue
		}
		defer out.Close()
		defer context.AfterFunc(b.ctx, func() { _, _ = in.Close(), out.Close() })()
		var up sync.WaitGroup
		up.Go(func() {
			_, _ = io.Copy(out, in) // ends with either side
			_ = out.(*net.TCPConn).CloseWrite()
		})
		_, _ = io.Copy(in, out)
		_ = in.Close()
		up.Wait()
		return
	}
}

// tally is what the load of a rolling restart came to.
type tally struct {
	mu       sync.Mutex
	photos   map[id.Photo][sha256.Size]byte // of acknowledged uploads
	failed   []error                        // uploads
	reads    int
	again    int // reads tried again before their first byte
	unserved []error
}

// Each replica is drained and started again while photos are sent and read
// through a balancer. No upload fails, each read is served.
func testRollingRestart(t *testing.T, c *cluster) {
	rounds := 1
	if n, err := strconv.Atoi(os.Getenv("PHOTOVAULT_SOAK_ROUNDS")); err == nil {
		rounds = max(1, min(n, 20))
	}
	b := c.balancer()
	defer b.close()
	through, err := client.New("https://"+b.listener.Addr().String(), c.tokens[consent.Provider], c.ca)
	c.must(err)
	patient, shown := c.patient(), c.large().ID
	load, stop := context.WithCancel(c.Context())
	defer stop()
	sum := &tally{photos: map[id.Photo][sha256.Size]byte{}}
	var work sync.WaitGroup
	for i := range 3 {
		work.Go(func() { sum.send(load, c, through, patient, int64(i)) })
	}
	for range 3 {
		work.Go(func() { sum.read(load, through, shown) })
	}
	var slowest time.Duration
	for range rounds {
		for _, r := range c.replicas {
			began := time.Now()
			r.drain()
			if status := r.gone(); status != exitDone {
				t.Errorf("%s: exit status %d\n%s", r.name, status, r.log)
			}
			slowest = max(slowest, time.Since(began))
			r.start()
			c.await("readiness", time.Minute, func() bool { status, _, _, err := r.readiness(); return err == nil && status == http.StatusOK })
		}
	}
	stop()
	work.Wait()
	for p, want := range sum.photos {
		ctx, cancel := context.WithTimeout(c.Context(), 2*time.Minute)
		_, err := through.Await(ctx, p)
		var receipt vault.Receipt
		if err == nil {
			err = through.Get(ctx, "/v1/photos/"+string(p)+"/receipt", &receipt)
		}
		cancel()
		if err != nil || receipt.Findings.InputSHA256 != hex.EncodeToString(want[:]) {
			t.Errorf("an acknowledged photo is lost or another: %v", err)
		}
	}
	t.Logf("%d restarts: uploads %d, failed %d; reads %d, tried again before the first byte %d, not served %d; slowest drain %v",
		rounds*len(c.replicas), len(sum.photos), len(sum.failed), sum.reads, sum.again, len(sum.unserved), slowest.Round(10*time.Millisecond))
	for _, err := range append(sum.failed, sum.unserved...) {
		t.Error(err)
	}
	if len(sum.photos) < 3*rounds || sum.reads < 3*rounds {
		t.Error("there was hardly any load")
	}
}

// send uploads photos until load ends; the one it is at is finished.
func (s *tally) send(load context.Context, c *cluster, through *client.Client, patient id.Patient, seed int64) {
	for n := int64(0); load.Err() == nil; n++ {
		photo := specimen.JPEG(specimen.Full(800, 600, uint64(seed*1000+n)))
		p, err := through.Put(context.WithoutCancel(load), bytes.NewReader(photo), client.PutOptions{Photo: api.NewPhoto{Patient: string(patient)},
			Pinned: c.settings.UploadSigningKey, Practice: c.practice, Chunk: 16 << 10})
		s.mu.Lock()
		if err != nil {
			s.failed = append(s.failed, err)
		} else {
			s.photos[p.ID] = sha256.Sum256(photo)
		}
		s.mu.Unlock()
	}
}

// read asks for tokens and fetches with them. What broke before its first byte
// is tried again, as browsers do.
func (s *tally) read(load context.Context, through *client.Client, photo id.Photo) {
	for load.Err() == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(load), 2*time.Minute)
		for {
			var token api.Token
			var got bytes.Buffer
			err := through.Post(ctx, "/v1/photos/"+string(photo)+"/tokens", api.NewToken{Purpose: consent.ForCare, Rendition: "web", Form: consent.InHeader}, &token)
			if err == nil {
				_, err = through.Content(ctx, token, &got)
			}
			s.mu.Lock()
			if err != nil && got.Len() == 0 && ctx.Err() == nil {
				s.again++
				s.mu.Unlock()
				continue
			}
			s.reads++
			if err != nil {
				s.unserved = append(s.unserved, err)
			}
			s.mu.Unlock()
			break
		}
		cancel()
	}
}
