package transit_test

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
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"photovault/vault/vaulttest/devstack"
)

// proxy stands between the code under test and the real server, and does what
// servers and networks do now and then.
type proxy struct {
	address string
	calls   atomic.Int64
	logins  atomic.Int64
	ended   chan struct{} // closed when the test ends

	tokens sync.Map // that calls of the engine have carried

	mu    sync.Mutex
	fault func(w http.ResponseWriter, r *http.Request) (handled bool)
}

func newProxy(t testing.TB, stack *devstack.Stack, address string) *proxy {
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(stack.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	cert, err := tls.LoadX509KeyPair(stack.Cert, stack.Key)
	if err != nil {
		t.Fatal(err)
	}
	over := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 32}
	onward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: over, ErrorLog: log.New(io.Discard, "", 0)}
	p := &proxy{ended: make(chan struct{})}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		fault := p.fault
		p.mu.Unlock()
		p.calls.Add(1)
		if strings.HasPrefix(r.URL.Path, "/v1/auth/approle-") {
			p.logins.Add(1)
		} else if strings.HasPrefix(r.URL.Path, "/v1/transit-") {
			p.tokens.Store(r.Header.Get("X-Vault-Token"), true)
		}
		if fault == nil || !fault(w, r) {
			onward.ServeHTTP(w, r)
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(func() {
		p.set(nil)
		close(p.ended)
		server.CloseClientConnections()
		server.Close()
		over.CloseIdleConnections()
	})
	p.address = server.URL
	return p
}

func (p *proxy) set(fault func(http.ResponseWriter, *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}

// answer makes every call end with this answer.
func answer(status int, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

// hang makes every call wait until the caller has long gone.
func (p *proxy) hang(http.ResponseWriter, *http.Request) bool {
	select {
	case <-p.ended:
	case <-time.After(time.Second):
	}
	panic(http.ErrAbortHandler)
}

// seen is which tokens calls of the engine have carried.
func (p *proxy) seen() (tokens []string) {
	p.tokens.Range(func(token, _ any) bool {
		tokens = append(tokens, token.(string))
		return true
	})
	return tokens
}
