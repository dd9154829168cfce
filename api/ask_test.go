package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"photovault/api"
	"photovault/api/client"
)

// directClient speaks to the service itself, from one source address.
type directClient struct {
	transport *http.Transport
	checked   *http.Client // every exchange is held against the document
}

// from returns the client of a source address of the loopback network.
func (s *stack) from(source string) *directClient {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.direct[source]; ok {
		return d
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	t := &http.Transport{TLSClientConfig: s.ca.client.Clone(), DialContext: dialer.DialContext, MaxIdleConnsPerHost: 64,
		DisableCompression: true}
	d := &directClient{transport: t, checked: &http.Client{Transport: s.contract.over(t), Timeout: time.Minute}}
	s.direct[source] = d
	return d
}

// hangUp closes idle connections of the clients.
func (s *stack) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.direct {
		d.transport.CloseIdleConnections()
	}
}

// serveProxy stands between api/client, which has a transport of its own, and
// the service, and holds every exchange against the document.
func (s *stack) serveProxy() (stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	s.proxy = "https://" + l.Addr().String()
	target := &url.URL{Scheme: "https", Host: s.address}
	p := &http.Server{TLSConfig: s.ca.server.Clone(), ReadHeaderTimeout: time.Minute, Handler: &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: s.contract.over(s.from("127.0.0.1").transport),
	}}
	done := make(chan struct{})
	go func() {
		_ = p.ServeTLS(l, "", "")
		close(done)
	}()
	return func() {
		_ = p.Close()
		<-done
		s.hangUp()
	}
}

// client returns the Go client, whose every exchange is held against the document.
func (s *stack) client(token string) *client.Client {
	s.Helper()
	c, err := client.New(s.proxy, token, s.ca.pem)
	s.must(err)
	return c
}

// answer is what came back, whole.
type answer struct {
	s      *stack
	what   string
	status int
	header http.Header
	body   []byte
}

// tweak changes a request before it is sent.
type tweak func(*asking)

type asking struct {
	*http.Request
	source string
}

func header(key, value string) tweak { return func(a *asking) { a.Header.Set(key, value) } }
func source(address string) tweak    { return func(a *asking) { a.source = address } }

type oddKey struct{}

// odd marks a request that does not fit the document on purpose.
func odd(a *asking) { a.Request = a.WithContext(context.WithValue(a.Context(), oddKey{}, true)) }

// ask makes one request of the service itself; in is []byte, or is encoded as
// JSON, or nil for no body.
func (s *stack) ask(method, path, token string, in any, tweaks ...tweak) answer {
	s.Helper()
	var body io.Reader
	raw, isRaw := in.([]byte)
	switch {
	case isRaw:
		body = bytes.NewReader(raw)
	case in != nil:
		b, err := json.Marshal(in)
		s.must(err)
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, "https://"+s.address+path, body)
	s.must(err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if in != nil && !isRaw {
		req.Header.Set("Content-Type", "application/json")
	}
	a := &asking{Request: req, source: "127.0.0.1"}
	for _, t := range tweaks {
		t(a)
	}
	if s.dry != nil {
		s.dry(a.Request)
		return answer{s: s, what: method + " " + path, header: http.Header{}}
	}
	res, err := s.from(a.source).checked.Do(a.Request)
	s.must(err)
	defer res.Body.Close()
	return answer{s, method + " " + path, res.StatusCode, res.Header, readAll(s, res.Body)}
}

// ok wants the status.
func (a answer) ok(status int) answer {
	a.s.Helper()
	if a.status != status {
		a.s.Fatalf("%s: status %d, %d wanted: %.1000q", a.what, a.status, status, a.body)
	}
	return a
}

// problem wants an error of that status and code.
func (a answer) problem(status int, code string) api.Problem {
	a.s.Helper()
	var p api.Problem
	if err := json.Unmarshal(a.ok(status).body, &p); err != nil {
		a.s.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
	if p.Code != code || p.Status != status {
		a.s.Fatalf("%s: code %s, %s wanted: %s", a.what, p.Code, code, a.body)
	}
	return p
}

// into decodes the answer, which must have the status.
func into[T any](a answer, status int) T {
	a.s.Helper()
	var v T
	if err := json.Unmarshal(a.ok(status).body, &v); err != nil {
		a.s.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
	return v
}
