package devstack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
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
	process *process
}

// OwnTransit starts one. It ends at cleanup.
func (s *Stack) OwnTransit(t testing.TB) *OwnTransit {
	t.Helper()
	o := &OwnTransit{stack: s, dir: t.TempDir()}
	t.Cleanup(func() { o.Kill(t) })
	o.Start(t)
	return o
}

// Start starts it, unsealed, at the same address and with the same storage.
func (o *OwnTransit) Start(t testing.TB) {
	t.Helper()
	o.run(t, http.StatusOK)
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
	o.run(t, http.StatusServiceUnavailable, "-sealed")
}

// run starts it and waits for an answer of /sys/health with this status.
func (o *OwnTransit) run(t testing.TB, status int, more ...string) {
	t.Helper()
	if o.process != nil {
		t.Fatal("devstack: the transit server runs already")
	}
	answers := o.health(t, status)
	for n := 1; ; n++ {
		first := o.Address == ""
		if first {
			o.listen = fmt.Sprintf("127.0.0.1:%d", freePort(t))
		}
		args := append([]string{"-dir", o.dir, "-listen", o.listen, "-cert", o.stack.Cert, "-key", o.stack.Key}, more...)
		o.process = launch(t, exec.CommandContext(context.WithoutCancel(t.Context()), o.stack.Transitd, args...)) // until Kill
		taken, err := o.process.await(t.Context(), answers)
		if err == nil {
			return
		}
		if !taken || n == tries {
			t.Fatalf("devstack: the transit server does not answer %d: %v", status, err)
		}
		if o.process = nil; !first {
			time.Sleep(again)
		}
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
	<-o.process.ended
	o.process = nil
}

// health asks the server whether it is in this state.
func (o *OwnTransit) health(t testing.TB, status int) func(context.Context) error {
	t.Helper()
	pem, err := os.ReadFile(o.stack.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s/v1/sys/health", o.listen), nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		if resp.StatusCode != status {
			err = fmt.Errorf("it answers %d", resp.StatusCode)
		}
		return errors.Join(err, resp.Body.Close())
	}
}
