package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/imaging/specimen"
	"photovault/vault/id"
)

// token asks the n-th replica for one that is good for one use.
func (c *cluster) token(n int, photo id.Photo, rendition string) (t api.Token, err error) {
	err = c.client(n, consent.Marketing).Post(c.Context(), "/v1/photos/"+string(photo)+"/tokens", api.NewToken{Purpose: consent.ForMarketing,
		Rendition: rendition, Recipient: "Clinic website", Channel: "website", Campaign: c.spring(), Form: consent.InHeader, Uses: 1}, &t)
	return t, err
}

// spring is the campaign that releases are for; made once.
func (c *cluster) spring() id.Campaign {
	c.Helper()
	if c.campaign == "" {
		var out api.Campaign
		now := time.Now().UTC()
		c.must(c.client(1, consent.Marketing).Post(c.Context(), "/v1/campaigns", api.NewCampaign{Name: "Spring",
			Purpose: "Show results of treatment to prospective patients", Channels: []string{"website"}, Recipients: []string{"Clinic website"},
			From: now.Add(-time.Hour), Until: now.Add(24 * time.Hour)}, &out))
		c.campaign = out.ID
	}
	return c.campaign
}

// fetch redeems a token at the n-th replica.
func (c *cluster) fetch(over *http.Client, n int, token api.Token) (*http.Response, error) {
	req, err := http.NewRequestWithContext(context.WithoutCancel(c.Context()), http.MethodGet, c.replicas[n].url(token.URL), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token.Token)
	return over.Do(req)
}

// narrow is a client whose system takes no more than that many bytes on its
// behalf, so that a delivery is running for as long as it reads.
func (c *cluster) narrow(buffer int) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.trust, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if tcp, ok := conn.(*net.TCPConn); ok {
				err = tcp.SetReadBuffer(buffer)
			}
			return conn, err
		}}
	c.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// large is a photo whose original streams, and does not fit into the buffers
// between server and client. It is sent once.
func (c *cluster) large() *api.Photo {
	c.Helper()
	if c.big == nil {
		u := c.upload(0, c.patient(), specimen.JPEG(specimen.Options{Width: 5000, Height: 4000, Quality: 97, Seed: 3, GPS: true}))
		u.sendAll(0)
		c.big = u.ready(0)
	}
	return c.big
}

func original(p *api.Photo) (size int64, sum string) {
	for _, r := range p.Renditions {
		if r.Name == "original" {
			size, sum = r.Size, r.SHA256
		}
	}
	return size, sum
}

// A token of one use is raced over all replicas: its bytes leave exactly once.
// A revocation that one replica acknowledged is in force on all.
func testTokensAcrossReplicas(t *testing.T, c *cluster) {
	large := c.large()
	patient, photo := large.Patient, large.ID
	authorization := exampleAuthorization(time.Now().UTC().Add(-time.Minute))
	authorization.Patient, authorization.Scope.Original = patient, true
	var granted api.Authorization
	c.must(c.client(2, consent.Provider).Post(c.Context(), "/v1/authorizations", authorization, &granted))
	size, sum := original(large)
	if size < 8<<20 {
		t.Fatalf("the original has only %d bytes", size)
	}
	over := c.wire()
	for range 4 {
		token, err := c.token(0, photo, "web")
		c.must(err)
		var mu sync.Mutex
		statuses := map[int]int{}
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				res, err := c.fetch(over, i%3, token)
				status := 0
				if err == nil {
					_, err = io.Copy(io.Discard, res.Body)
					status = res.StatusCode
					_ = res.Body.Close()
				}
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				statuses[status]++
			})
		}
		wg.Wait()
		if statuses[http.StatusOK] != 1 || len(statuses) > 3 {
			t.Fatalf("a token of one use over three replicas: %v", statuses)
		}
	}

	// Deliveries run at all replicas, a token waits, and consent is withdrawn.
	type ending struct {
		n    int64
		at   time.Time
		sum  string
		full bool
	}
	var running sync.WaitGroup
	ends, begun := make([]ending, 3), make(chan struct{}, 3)
	for i := range ends {
		token, err := c.token(i, photo, "original")
		c.must(err)
		running.Go(func() {
			res, err := c.fetch(c.narrow(4<<10), i, token)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("stream at %d: %v", i, err)
				begun <- struct{}{}
				return
			}
			defer res.Body.Close()
			hash, piece := sha256.New(), make([]byte, 4<<10)
			for n := 0; ; n++ {
				got, err := res.Body.Read(piece)
				hash.Write(piece[:got])
				ends[i].n += int64(got)
				if n == 0 {
					begun <- struct{}{}
				}
				if err != nil {
					ends[i].at, ends[i].full, ends[i].sum = time.Now(), errors.Is(err, io.EOF), hex.EncodeToString(hash.Sum(nil))
					return
				}
				time.Sleep(5 * time.Millisecond) // 0.8 MB a second
			}
		})
	}
	waiting, err := c.token(2, photo, "web")
	c.must(err)
	for range ends {
		<-begun
	}
	c.must(c.client(1, consent.Provider).Post(c.Context(), "/v1/authorizations/"+string(granted.ID)+"/revoke", api.Revocation{}, nil))
	acknowledged := time.Now()
	for n := range c.replicas {
		res, err := c.fetch(over, n, waiting)
		c.must(err)
		if got, err := io.ReadAll(res.Body); res.StatusCode < 400 {
			t.Errorf("%d bytes left replica %d after the revocation was acknowledged: %v", len(got), n, err)
		}
		_ = res.Body.Close()
		if _, err := c.token(n, photo, "web"); err == nil {
			t.Errorf("replica %d gave a token after the revocation", n)
		}
	}
	running.Wait()
	for i, e := range ends {
		if e.full || e.n >= size || e.sum == sum {
			t.Errorf("the stream at replica %d was not cut: %d of %d bytes", i, e.n, size)
		}
		if cut := e.at.Sub(acknowledged); cut > 2500*time.Millisecond {
			t.Errorf("the stream at replica %d was cut after %v", i, cut)
		} else {
			t.Logf("a stream was cut %v after the revocation was acknowledged, at %d of %d bytes", cut.Round(10*time.Millisecond), e.n, size)
		}
	}
}
