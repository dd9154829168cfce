package s3_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"testing"

	"photovault/vault/blobs/s3"
	"photovault/vault/vaulttest/devstack"
)

// proxy stands between the store and a real server, and does harm when told.
// It keeps the Host header, which is signed.
type proxy struct {
	address string

	mu       sync.Mutex
	request  func(http.ResponseWriter, *http.Request) bool // true: it has answered
	response func(*http.Response) error                    // an error aborts the connection
	seen     []*http.Request
}

// behind starts a proxy for the options' endpoint; the options returned lead to it.
func behind(t testing.TB, stack *devstack.Stack, o s3.Options) (*proxy, s3.Options) {
	t.Helper()
	target, err := url.Parse(o.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(stack.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	certificate, err := tls.LoadX509KeyPair(stack.Cert, stack.Key)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableCompression: true, MaxIdleConnsPerHost: 16}
	reverse := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.Out.Header = r.In.Header.Clone()
		},
		ModifyResponse: func(r *http.Response) error {
			if f := p.onResponse(); f != nil {
				return f(r)
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.seen = append(p.seen, r.Clone(r.Context()))
		f := p.request
		p.mu.Unlock()
		if f == nil || !f(w, r) {
			reverse.ServeHTTP(w, r)
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	p.address = server.Listener.Addr().String()
	o.Endpoint = "https://" + p.address
	return p, o
}

func (p *proxy) onResponse() func(*http.Response) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.response
}

// harm sets what is done to requests and answers from now on.
func (p *proxy) harm(request func(http.ResponseWriter, *http.Request) bool, response func(*http.Response) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.request, p.response, p.seen = request, response, nil
}

// requests are those since the last harm.
func (p *proxy) requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// answer sends an S3 error.
func answer(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>secret=%s key=AKIA</Message><Resource>/x?y=z</Resource></Error>`, code, code)
}

// isObject: the request is for an object, not for the bucket.
func isObject(r *http.Request, method string) bool {
	return r.Method == method && r.URL.RawQuery == "" && len(r.URL.Path) > 90
}

// flipped changes one bit of the byte at.
type flipped struct {
	io.ReadCloser
	at int64
}

func (f *flipped) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if f.at >= 0 && f.at < int64(n) {
		p[f.at] ^= 1
	}
	f.at -= int64(n)
	return n, err
}

// broken gives left bytes and then fails.
type broken struct {
	io.ReadCloser
	left int64
}

func (b *broken) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// cutOff closes the connection without an answer.
func cutOff(w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	c.Close()
}
