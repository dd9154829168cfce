package transittest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"photovault/vault/vaulttest/devstack"
)

// Root speaks to the server with a token, without the client library: what it
// finds does not depend on the code under test.
type Root struct {
	address, token string
	http           *http.Client
	wrapTTL        string // asks for the answer in a response-wrapping token
}

func newRoot(t testing.TB, server devstack.Transit, ca string) *Root {
	t.Helper()
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("transittest: no authority")
	}
	over := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(over.CloseIdleConnections)
	return &Root{address: server.Address, token: server.RootToken, http: &http.Client{Transport: over, Timeout: 30 * time.Second}}
}

// As is the same server under another token.
func (r *Root) As(token string) *Root { return &Root{address: r.address, token: token, http: r.http} }

// Do sends a request to /v1/path and returns status and answer; the answer is
// nil where it is not JSON.
func (r *Root) Do(ctx context.Context, method, path string, body any) (int, map[string]any, error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.address+"/v1/"+path, in)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("X-Vault-Request", "true")
	if r.token != "" {
		req.Header.Set("X-Vault-Token", r.token)
	}
	if r.wrapTTL != "" {
		req.Header.Set("X-Vault-Wrap-TTL", r.wrapTTL)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	var answer map[string]any
	if json.Unmarshal(b, &answer) != nil {
		answer = nil
	}
	return resp.StatusCode, answer, nil
}

// Must is Do for what has to succeed.
func (r *Root) Must(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	status, answer, err := r.Do(t.Context(), method, path, body)
	if err != nil || status >= 300 {
		t.Fatalf("transittest: %s %s: %d %v %v", method, path, status, answer["errors"], err)
	}
	return answer
}

// wrapped is Must with the answer in a response-wrapping token.
func (r *Root) wrapped(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	w := *r
	w.wrapTTL = "60s"
	return w.Must(t, method, path, body)
}

// Text is one text of the answer's data.
func (r *Root) Text(t testing.TB, method, path string, body any, field string) string {
	t.Helper()
	answer := r.Must(t, method, path, body)
	data, _ := answer["data"].(map[string]any)
	text, _ := data[field].(string)
	if text == "" {
		t.Fatalf("transittest: %s %s: no %s", method, path, field)
	}
	return text
}

// Seal seals the server. Only for a server of one's own.
func (r *Root) Seal(t testing.TB) {
	t.Helper()
	r.Must(t, http.MethodPut, "sys/seal", nil)
}

// Unseal unseals it.
func (r *Root) Unseal(t testing.TB, key string) {
	t.Helper()
	if answer := r.Must(t, http.MethodPut, "sys/unseal", map[string]any{"key": key}); fmt.Sprint(answer["sealed"]) != "false" {
		t.Fatal("transittest: still sealed")
	}
}
