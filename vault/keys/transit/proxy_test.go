package transit_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"photovault/vault/vaulttest/devstack"
	"photovault/vault/vaulttest/faultproxy"
)

// proxy stands between the code under test and the real server, and does what
// servers and networks do now and then.
type proxy struct {
	http    *faultproxy.HTTP
	address string
	calls   atomic.Int64
	logins  atomic.Int64
	ended   chan struct{} // closed when the test ends

	tokens sync.Map // that calls of the engine have carried
}

func newProxy(t testing.TB, stack *devstack.Stack, address string) *proxy {
	t.Helper()
	p := &proxy{http: faultproxy.NewHTTP(t, address, faultproxy.Files{Cert: stack.Cert, Key: stack.Key, CA: stack.CA}), ended: make(chan struct{})}
	p.address = p.http.URL
	p.set(nil)
	t.Cleanup(func() { // before the proxy's own, which waits for those that hang
		p.set(nil)
		close(p.ended)
	})
	return p
}

// set is what is done to requests from now on; it tells whether it has answered.
func (p *proxy) set(fault func(http.ResponseWriter, *http.Request) bool) {
	p.http.Harm(func(w http.ResponseWriter, r *http.Request) bool {
		p.calls.Add(1)
		if strings.HasPrefix(r.URL.Path, "/v1/auth/approle-") {
			p.logins.Add(1)
		} else if strings.HasPrefix(r.URL.Path, "/v1/transit-") {
			p.tokens.Store(r.Header.Get("X-Vault-Token"), true)
		}
		return fault != nil && fault(w, r)
	}, nil)
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

// hang makes every call wait until the caller has gone.
func (p *proxy) hang(_ http.ResponseWriter, r *http.Request) bool {
	_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice
	select {
	case <-p.ended:
	case <-r.Context().Done():
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
