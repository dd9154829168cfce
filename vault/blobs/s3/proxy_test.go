package s3_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"photovault/vault/blobs/s3"
	"photovault/vault/vaulttest/devstack"
	"photovault/vault/vaulttest/faultproxy"
)

// proxy stands between the store and a real server, does harm when told, and
// remembers what it was asked.
type proxy struct {
	http *faultproxy.HTTP

	mu   sync.Mutex
	seen []*http.Request
}

// behind starts a proxy for the options' endpoint; the options returned lead to it.
func behind(t testing.TB, stack *devstack.Stack, o s3.Options) (*proxy, s3.Options) {
	t.Helper()
	p := &proxy{http: faultproxy.NewHTTP(t, o.Endpoint, faultproxy.Files{Cert: stack.Cert, Key: stack.Key, CA: stack.CA})}
	p.harm(nil, nil)
	o.Endpoint = p.http.URL
	return p, o
}

// harm sets what is done to requests and answers from now on.
func (p *proxy) harm(request func(http.ResponseWriter, *http.Request) bool, response func(*http.Response) error) {
	p.mu.Lock()
	p.seen = nil
	p.mu.Unlock()
	p.http.Harm(func(w http.ResponseWriter, r *http.Request) bool {
		p.mu.Lock()
		p.seen = append(p.seen, r.Clone(r.Context()))
		p.mu.Unlock()
		return request != nil && request(w, r)
	}, response)
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
