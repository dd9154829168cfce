package devstack

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// OwnTransit is a HashiCorp Vault server of one test's own, which it may seal,
// kill and start again. Its storage is files, so that all it knew is there again.
type OwnTransit struct {
	Transit
	stack   *Stack
	dir     string
	listen  string
	process *exec.Cmd
	output  bytes.Buffer
}

// OwnTransit starts one. It ends at cleanup.
func (s *Stack) OwnTransit(t testing.TB) *OwnTransit {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &OwnTransit{stack: s, dir: t.TempDir(), listen: ln.Addr().String()}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Kill(t) })
	o.Start(t)
	return o
}

// Start starts it, unsealed, at the same address and with the same storage.
func (o *OwnTransit) Start(t testing.TB) {
	t.Helper()
	o.run(t)
	o.await(t, http.StatusOK)
	b, err := os.ReadFile(filepath.Join(o.dir, "init.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &o.Transit); err != nil {
		t.Fatal(err)
	}
	o.Address = "https://" + o.listen
}

// StartSealed starts it sealed: it answers, and refuses.
func (o *OwnTransit) StartSealed(t testing.TB) {
	t.Helper()
	o.run(t, "-sealed")
	o.await(t, http.StatusServiceUnavailable)
}

func (o *OwnTransit) run(t testing.TB, more ...string) {
	t.Helper()
	if o.process != nil {
		t.Fatal("devstack: the transit server runs already")
	}
	args := append([]string{"-dir", o.dir, "-listen", o.listen, "-cert", o.stack.Cert, "-key", o.stack.Key}, more...)
	o.process = exec.CommandContext(context.WithoutCancel(t.Context()), o.stack.Transitd, args...) // until Kill
	o.process.Stderr = &o.output
	if err := o.process.Start(); err != nil {
		t.Fatal(err)
	}
}

// Kill ends it at once, as a crash does. It may be called when it does not run.
func (o *OwnTransit) Kill(t testing.TB) {
	t.Helper()
	if o.process == nil {
		return
	}
	if err := o.process.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = o.process.Wait() // it was killed, and says so
	o.process = nil
}

// await waits for an answer of /sys/health with this status.
func (o *OwnTransit) await(t testing.TB, status int) {
	t.Helper()
	pem, err := os.ReadFile(o.stack.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		got, err := health(ctx, client, o.listen)
		if err == nil && got == status {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("devstack: transit server answers %d, want %d: %v", got, status, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func health(ctx context.Context, client *http.Client, address string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s/v1/sys/health", address), nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
