package faultproxy

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"testing"
)

// HTTP forwards HTTP requests to one server over TLS and does what servers and
// gateways do now and then: answers of its own, answers that break off or are
// other bytes, none at all. It keeps the Host header, which S3 signs.
type HTTP struct {
	URL string // https://host:port on loopback

	mu       sync.Mutex
	request  func(http.ResponseWriter, *http.Request) bool
	response func(*http.Response) error
}

// Files are the certificate and key that the proxy shows, and the authority
// that the server's certificate is of.
type Files struct{ Cert, Key, CA string }

// NewHTTP begins to forward to target, https://host:port. It ends with the test.
func NewHTTP(t testing.TB, target string, files Files) *HTTP {
	t.Helper()
	onward, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(files.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	certificate, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	p := &HTTP{}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableCompression: true, MaxIdleConnsPerHost: 32}
	reverse := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(onward)
			r.Out.Host = r.In.Host
			r.Out.Header = r.In.Header.Clone()
		},
		ModifyResponse: func(r *http.Response) error {
			if _, f := p.harm(); f != nil { //nolint:bodyclose // harm asks nobody
				return f(r)
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f, _ := p.harm(); f == nil || !f(w, r) { //nolint:bodyclose // harm asks nobody
			reverse.ServeHTTP(w, r)
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	p.URL = server.URL
	return p
}

// Harm sets what is done to requests and answers from now on; nil is nothing.
// request tells whether it has answered; an error of response aborts the
// connection.
func (p *HTTP) Harm(request func(http.ResponseWriter, *http.Request) bool, response func(*http.Response) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.request, p.response = request, response
}

func (p *HTTP) harm() (func(http.ResponseWriter, *http.Request) bool, func(*http.Response) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.request, p.response
}

// CutOff closes the connection without an answer.
func CutOff(w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_ = c.Close()
}

// Flipped is a body of which one bit of the byte At is another.
type Flipped struct {
	io.ReadCloser
	At int64
}

func (f *Flipped) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if f.At >= 0 && f.At < int64(n) {
		p[f.At] ^= 1
	}
	f.At -= int64(n)
	return n, err
}

// Broken is a body that gives Left bytes and then fails.
type Broken struct {
	io.ReadCloser
	Left int64
}

func (b *Broken) Read(p []byte) (int, error) {
	if b.Left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.Left)])
	b.Left -= int64(n)
	return n, err
}
