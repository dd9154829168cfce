package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"photovault/api"
	"photovault/api/client"
	"photovault/consent"
	"photovault/imaging/specimen"
	"photovault/vault/id"
	"photovault/vault/vaulttest/history"
)

// token asks the n-th replica for one.
func (c *cluster) token(n int, photo id.Photo, rendition string, uses int) (t api.Token, err error) {
	err = c.client(n, consent.Marketing).Post(c.Context(), "/v1/photos/"+string(photo)+"/tokens", api.NewToken{Purpose: consent.ForMarketing,
		Rendition: rendition, Recipient: "Clinic website", Channel: "website", Campaign: c.spring(), Form: consent.InHeader, Uses: uses, TTLSeconds: 900}, &t)
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
	return &http.Client{Transport: tr, Timeout: 3 * time.Minute}
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
	c.raceRevocations(10)
	c.cutStreams(2)
}

// The same for as long as make soak wants: ten rounds of the race for each of
// its own, and a third as many rounds of three streams.
func TestSoakRevocationsAcrossReplicas(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("PHOTOVAULT_SOAK_ROUNDS"))
	if err != nil {
		t.Skip("left out: part of make soak")
	}
	onCluster(t, []clusterTest{
		{"streams are cut", func(_ *testing.T, c *cluster) { c.cutStreams((n + 2) / 3) }},
		{"fetches race a revocation", func(_ *testing.T, c *cluster) { c.raceRevocations(10 * n) }},
	})
}

// authorize records an authorization for all photos of the patient.
func (c *cluster) authorize(n int, p id.Patient) id.Authorization {
	c.Helper()
	in := exampleAuthorization(time.Now().UTC().Add(-time.Minute))
	in.Patient, in.Scope.Original = p, true
	var out api.Authorization
	c.must(c.client(n, consent.Provider).Post(c.Context(), "/v1/authorizations", in, &out))
	return out.ID
}

// revoke returns nil when it is acknowledged, also by the answer that an
// attempt before did it.
func (c *cluster) revoke(n int, a id.Authorization) error {
	err := c.client(n, consent.Provider).Post(c.Context(), "/v1/authorizations/"+string(a)+"/revoke", api.Revocation{}, nil)
	if answer := new(client.Error); errors.As(err, &answer) && answer.Problem.Code == "already_revoked" {
		return nil
	}
	return err
}

// Of the tokens of a round half are of one use; four fetchers share each, and
// each asks another replica.
const (
	racingFetchers = 32
	usesOfMany     = 6
	roundsOfOne    = 25 // rounds that one patient lasts: a record is read whole for each decision
)

// raceRevocations checks what every client saw as a history.
func (c *cluster) raceRevocations(rounds int) {
	c.Helper()
	over := c.wire()
	over.Transport.(*http.Transport).MaxIdleConnsPerHost = racingFetchers + 1 // no handshake for each request
	var (
		all   history.Seen
		photo *api.Photo
	)
	for n := range rounds {
		if n%roundsOfOne == 0 {
			u := c.upload(0, c.patient(), specimen.JPEG(specimen.Options{Width: 320, Height: 240, Seed: 5}))
			u.sendAll(0)
			photo = u.ready(0)
		}
		a := c.authorize(n%3, photo.Patient)
		round := history.Round{Fetchers: racingFetchers, Revoke: func() error { return c.revoke((n+1)%3, a) }}
		var tokens []api.Token
		for i := range racingFetchers / 4 {
			uses := 1 + i%2*(usesOfMany-1)
			token, err := c.token(i%3, photo.ID, "thumb", uses)
			c.must(err)
			round.Uses, tokens = append(round.Uses, uses), append(tokens, token)
		}
		round.Fetch = func(f, token int) (history.Outcome, int64, error) { return c.redeem(over, f%3, tokens[token]) }
		seen, err := round.Run()
		if err != nil {
			c.Fatalf("round %d: %v", n, err)
		}
		all.Add(seen)
		if all.Rounds%100 == 0 && all.Rounds < rounds {
			c.Log(all) // how far it is
		}
	}
	c.Log(all)
	if all.Twice != 0 || all.LateBytes != 0 || all.Late < rounds*racingFetchers {
		c.Error("a release too many")
	}
	if all.Released < rounds || all.Raced < rounds*7/10 {
		c.Error("there was no race")
	}
}

// redeem fetches once and says what it came to.
func (c *cluster) redeem(over *http.Client, n int, token api.Token) (history.Outcome, int64, error) {
	res, err := c.fetch(over, n, token)
	if err != nil {
		return history.Broken, 0, nil // it may have been committed
	}
	defer res.Body.Close()
	got, err := io.Copy(io.Discard, res.Body)
	switch {
	case res.StatusCode == http.StatusNotFound && err == nil:
		return history.Refused, 0, nil
	case res.StatusCode == http.StatusServiceUnavailable, res.StatusCode == http.StatusTooManyRequests:
		return history.Busy, 0, nil
	case res.StatusCode != http.StatusOK:
		return 0, 0, fmt.Errorf("status %d, %w", res.StatusCode, err)
	case err != nil:
		return history.Broken, got, nil
	}
	return history.Released, got, nil
}

// cutStreams has a delivery run at each replica when consent is withdrawn at
// one of them, and prints how long after the acknowledgement their last bytes came.
func (c *cluster) cutStreams(rounds int) {
	c.Helper()
	u := c.upload(0, c.patient(), specimen.JPEG(specimen.Options{Width: 3600, Height: 2400, Quality: 98, Seed: 2}))
	u.sendAll(0)
	large := u.ready(0)
	size, _ := original(large)
	if size <= 4<<20 { // then it is handed over whole, and does not stream
		c.Fatalf("the original has only %d bytes", size)
	}
	var took []time.Duration
	for n := range rounds {
		a := c.authorize(2, large.Patient)
		var running sync.WaitGroup
		ends, begun := make([]ending, 3), make(chan struct{}, 3)
		for i := range ends {
			token, err := c.token(i, large.ID, "original", 1)
			c.must(err)
			running.Go(func() { ends[i] = c.slowly(i, token, begun) })
		}
		for range ends {
			<-begun
		}
		c.must(c.revoke(n%3, a))
		acknowledged := time.Now()
		for at := range c.replicas {
			if _, err := c.token(at, large.ID, "web", 1); err == nil {
				c.Errorf("replica %d gave a token after the revocation", at)
			}
		}
		running.Wait()
		for i, e := range ends {
			if e.whole || e.n == 0 || e.n >= size {
				c.Errorf("the stream at replica %d was not cut: %d of %d bytes", i, e.n, size)
			}
			took = append(took, max(0, e.last.Sub(acknowledged)))
		}
	}
	slices.Sort(took)
	at := func(percent int) time.Duration {
		return took[max(0, (len(took)*percent+99)/100-1)].Round(time.Millisecond)
	}
	c.Logf("from the acknowledgement to the last byte of a running stream, %d streams over 3 replicas: median %v, p99 %v, longest %v", len(took), at(50), at(99), at(100))
	limit := 30 * time.Second // a busy machine is no failure
	if os.Getenv("PHOTOVAULT_SOAK_ROUNDS") != "" {
		limit = 2500 * time.Millisecond // two seconds, and the machine's own delays
	}
	if at(100) > limit {
		c.Errorf("a stream went on for %v", at(100))
	}
}

// ending is how a delivery came to its end.
type ending struct {
	n     int64
	last  time.Time // when the last byte came
	whole bool
}

// slowly reads a delivery at 0.2 MB a second, until it ends: it is cut long
// before its end, also on a busy machine.
func (c *cluster) slowly(n int, token api.Token, begun chan<- struct{}) (e ending) {
	first := sync.OnceFunc(func() { begun <- struct{}{} })
	defer first()
	res, err := c.fetch(c.narrow(4<<10), n, token)
	if err != nil || res.StatusCode != http.StatusOK {
		c.Errorf("stream at %d: %v", n, err)
		return e
	}
	defer res.Body.Close()
	piece := make([]byte, 4<<10)
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for {
		got, err := res.Body.Read(piece)
		if e.n += int64(got); got > 0 {
			e.last = time.Now()
		}
		first()
		if err != nil {
			e.whole = errors.Is(err, io.EOF)
			return e
		}
		<-pace.C
	}
}
