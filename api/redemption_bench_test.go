package api_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"photovault/api"
	"photovault/consent"
	"photovault/imaging/specimen"
)

// BenchmarkRedemption, on the stores of production mode, has another peer: a
// presigned GET of the same bytes from the same MinIO, which decrypts them
// with SSE-S3. PHOTOVAULT_TEST_STORES=real runs it there.
//
// BenchmarkRedemption fetches a web rendition of about 200 kB over loopback
// TLS, each time deciding again and writing use and audit entries durably; the
// floor is the same bytes from a bare fasthttp handler with the same TLS and
// the same client, in the same run.
func BenchmarkRedemption(b *testing.B) {
	s := newStack(b)
	photo := s.ready(s.consented(), func() []byte {
		return specimen.JPEG(specimen.Options{Width: 2000, Height: 1125, Quality: 92, Seed: 3})
	})
	web := rendition(s, photo, "web")
	if web.Size < 150_000 || web.Size > 260_000 {
		b.Fatalf("the web rendition has %d bytes, about 200,000 wanted", web.Size)
	}
	body := s.fetch("GET", s.forCare(photo.ID, "web", consent.InHeader, 1)).ok(200).body
	floor, own := s.bare(body), s.ca.client
	peer, theirs := s.presigned(body)
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("photovault/clients=%d", clients), func(b *testing.B) {
			tokens := func() []string {
				out := make([]string, clients)
				for i := range out {
					in := api.NewToken{Purpose: consent.ForCare, Uses: consent.MaxUses, TTLSeconds: 3600}
					issued := into[api.Token](s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token("provider"), in), 201)
					out[i] = issued.Token
				}
				return out
			}
			s.fetches(b, "https://"+s.address+"/v1/content", own, clients, web.Size, tokens)
		})
		none := func() []string { return make([]string, clients) }
		b.Run(fmt.Sprintf("floor/clients=%d", clients), func(b *testing.B) {
			s.fetches(b, floor, own, clients, web.Size, none)
		})
		if peer != "" {
			b.Run(fmt.Sprintf("presigned/clients=%d", clients), func(b *testing.B) {
				s.fetches(b, peer, theirs, clients, web.Size, none)
			})
		}
	}
}

// bare serves the bytes from a fasthttp handler and nothing else.
func (s *stack) bare(body []byte) (url string) {
	s.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	server := &fasthttp.Server{NoDefaultServerHeader: true, Handler: func(c *fasthttp.RequestCtx) {
		c.SetContentType("image/jpeg")
		c.SetBody(body)
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(tls.NewListener(l, s.ca.server))
	}()
	s.Cleanup(func() {
		s.hangUp()
		_ = server.Shutdown()
		<-done
	})
	return "https://" + l.Addr().String() + "/"
}

// fetches measures batches in which each client fetches as often as its token
// can be used; making tokens is not measured. It reports per fetch.
func (s *stack) fetches(b *testing.B, url string, trust *tls.Config, clients int, size int64, tokens func() []string) {
	transport := &http.Transport{TLSClientConfig: trust.Clone(), MaxIdleConnsPerHost: clients, DisableCompression: true}
	defer transport.CloseIdleConnections()
	get := &http.Client{Transport: transport}
	fetch := func(token string, buffer []byte) error {
		req, err := http.NewRequestWithContext(context.Background(), "GET", url, nil)
		if err != nil {
			return err
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := get.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{res.Body}, buffer)
		if err == nil && (n != size || res.StatusCode != 200) {
			err = fmt.Errorf("status %d, %d bytes", res.StatusCode, n)
		}
		return err
	}
	var (
		mu    sync.Mutex
		took  []time.Duration
		errs  error
		busy  time.Duration
		trips int64
		keys  int64
		gets  int64
	)
	var before, after runtime.MemStats
	var allocs, allocated uint64
	b.SetBytes(size * int64(clients) * consent.MaxUses) // of a batch
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		batch := tokens()
		runtime.ReadMemStats(&before)
		tripsBefore, keysBefore, getsBefore := s.catalog.RoundTrips(), s.keys.unwrapped.Load(), s.blobs.gets.Load()
		b.StartTimer()
		began := time.Now()
		var wg sync.WaitGroup
		for _, token := range batch {
			wg.Go(func() {
				buffer := make([]byte, 64<<10)
				own := make([]time.Duration, 0, consent.MaxUses)
				var err error
				for range consent.MaxUses {
					at := time.Now()
					err = errors.Join(err, fetch(token, buffer))
					own = append(own, time.Since(at))
				}
				mu.Lock()
				defer mu.Unlock()
				took, errs = append(took, own...), errors.Join(errs, err)
			})
		}
		wg.Wait()
		busy += time.Since(began)
		trips += s.catalog.RoundTrips() - tripsBefore
		keys += s.keys.unwrapped.Load() - keysBefore
		gets += s.blobs.gets.Load() - getsBefore
		b.StopTimer()
		runtime.ReadMemStats(&after)
		allocs += after.Mallocs - before.Mallocs
		allocated += after.TotalAlloc - before.TotalAlloc
		b.StartTimer()
	}
	if errs != nil {
		b.Fatal(errs)
	}
	n := float64(len(took))
	slices.Sort(took)
	b.ReportMetric(float64(busy.Nanoseconds())/n, "ns/op")
	b.ReportMetric(float64(allocs)/n, "allocs/op") // of client and service together
	b.ReportMetric(float64(allocated)/n, "B/op")
	b.ReportMetric(n/busy.Seconds(), "req/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(trips)/n, "sql/op")
	b.ReportMetric(float64(keys)/n, "keys/op")
	b.ReportMetric(float64(gets)/n, "objects/op")
}
