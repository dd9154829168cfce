package webhook_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"photovault/vault/webhook"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var key = func() []byte { b := make([]byte, 32); rand.Read(b); return b }()

func secret() ([]byte, error) {
	return []byte("whsec_" + base64.StdEncoding.EncodeToString(key)), nil
}

// receiver is a real server with TLS; its authority is written to a file.
func receiver(t *testing.T, answer http.HandlerFunc) (*httptest.Server, webhook.Options) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // before a handler waits: only then it is told that the client went
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, r)
	}))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	return s, webhook.Options{URL: s.URL + "/hook", CAFile: file, ServerName: "example.com", Timeout: 30 * time.Second, Secret: secret}
}

func TestAMessageArrivesSigned(t *testing.T) {
	var got *http.Request
	var body []byte
	_, o := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	r, err := webhook.Open(o)
	must(t, err)
	now := time.Now()
	must(t, r.Post(t.Context(), "one", now, []byte(`{"type":"x"}`)))
	if got.Method != "POST" || got.URL.Path != "/hook" || got.Header.Get("Content-Type") != "application/json" || got.Header.Get("webhook-id") != "one" ||
		string(body) != `{"type":"x"}` || got.TLS == nil {
		t.Errorf("%+v %s", got, body)
	}
	if !webhook.Verify(key, got.Header, body, now) {
		t.Error("its signature is not good")
	}
	for name, change := range map[string]func(h http.Header) ([]byte, []byte, time.Time){
		"another body":   func(http.Header) ([]byte, []byte, time.Time) { return key, []byte(`{"type":"y"}`), now },
		"another key":    func(http.Header) ([]byte, []byte, time.Time) { return []byte(strings.Repeat("k", 32)), body, now },
		"another id":     func(h http.Header) ([]byte, []byte, time.Time) { h.Set("webhook-id", "two"); return key, body, now },
		"replayed later": func(http.Header) ([]byte, []byte, time.Time) { return key, body, now.Add(10 * time.Minute) },
		"no signature":   func(h http.Header) ([]byte, []byte, time.Time) { h.Del("webhook-signature"); return key, body, now },
		"a moved stamp": func(h http.Header) ([]byte, []byte, time.Time) {
			h.Set("webhook-timestamp", "1")
			return key, body, now
		},
		"a stamp of words": func(h http.Header) ([]byte, []byte, time.Time) {
			h.Set("webhook-timestamp", "now")
			return key, body, now
		},
	} {
		h := got.Header.Clone()
		k, b, at := change(h)
		if webhook.Verify(k, h, b, at) {
			t.Errorf("%s: taken for good", name)
		}
	}
}

// The published example of the Standard Webhooks specification.
func TestTheSignatureIsTheStandards(t *testing.T) {
	k, err := webhook.ParseSecret([]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	must(t, err)
	got := webhook.Sign(k, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Whatever does not end in a plain success is not taken: it will be sent again.
func TestWhatIsNotTaken(t *testing.T) {
	elsewhere := false
	other, _ := receiver(t, func(http.ResponseWriter, *http.Request) { elsewhere = true })
	for name, answer := range map[string]http.HandlerFunc{
		"a failure": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"a refusal": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		},
		"another page":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) },
		"silence":         func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a cut":           func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"endless headers": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 64<<10)) },
	} {
		t.Run(name, func(t *testing.T) {
			_, o := receiver(t, answer)
			if name == "silence" {
				o.Timeout = time.Second
			}
			r, err := webhook.Open(o)
			must(t, err)
			begun := time.Now()
			err = r.Post(t.Context(), "one", time.Now(), []byte(`{}`))
			if !errors.Is(err, webhook.ErrNotTaken) || strings.Contains(err.Error(), "127.0.0.1") && strings.Contains(err.Error(), "/hook") {
				t.Errorf("%v", err)
			}
			if d := time.Since(begun); d > 30*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
	if elsewhere {
		t.Error("a redirect was followed")
	}
}

func TestAnEndlessAnswerIsNotReadOn(t *testing.T) {
	_, o := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	r, err := webhook.Open(o)
	must(t, err)
	begun := time.Now()
	must(t, r.Post(t.Context(), "one", time.Now(), []byte(`{}`)))
	if d := time.Since(begun); d >= o.Timeout {
		t.Errorf("it was read for %v", d)
	}
}

func TestOnlyTheConfiguredReceiverIsTrusted(t *testing.T) {
	called := false
	_, o := receiver(t, func(http.ResponseWriter, *http.Request) { called = true })
	for name, change := range map[string]func(*webhook.Options){
		"another authority": func(o *webhook.Options) { o.CAFile = "" },
		"another name":      func(o *webhook.Options) { o.ServerName = "receiver.example" },
	} {
		bad := o
		change(&bad)
		r, err := webhook.Open(bad)
		must(t, err)
		if err := r.Post(t.Context(), "one", time.Now(), []byte(`{}`)); !errors.Is(err, webhook.ErrNotTaken) || called {
			t.Errorf("%s: %v, called: %t", name, err, called)
		}
	}
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	r, err := webhook.Open(o)
	must(t, err)
	must(t, r.Post(context.WithoutCancel(t.Context()), "one", time.Now(), []byte(`{}`)))
}

func TestOptionsAreRefused(t *testing.T) {
	good := webhook.Options{URL: "https://receiver.example/hook", Secret: secret}
	must(t, good.Check())
	for name, change := range map[string]func(*webhook.Options){
		"plain HTTP":          func(o *webhook.Options) { o.URL = "http://receiver.example/" },
		"no address":          func(o *webhook.Options) { o.URL = "" },
		"no host":             func(o *webhook.Options) { o.URL = "https:///x" },
		"a password in it":    func(o *webhook.Options) { o.URL = "https://u:p@receiver.example/" },
		"a fragment":          func(o *webhook.Options) { o.URL = "https://receiver.example/#x" },
		"no time":             func(o *webhook.Options) { o.Timeout = time.Millisecond },
		"all the time":        func(o *webhook.Options) { o.Timeout = time.Hour },
		"no secret":           func(o *webhook.Options) { o.Secret = nil },
		"no authority there":  func(o *webhook.Options) { o.CAFile = filepath.Join(t.TempDir(), "none") },
		"a file without any ": func(o *webhook.Options) { o.CAFile = os.Args[0] },
	} {
		o := good
		change(&o)
		if _, err := webhook.Open(o); !errors.Is(err, webhook.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!!", "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65))} {
		if _, err := webhook.ParseSecret([]byte(text)); !errors.Is(err, webhook.ErrOptions) {
			t.Errorf("%q: %v", text, err)
		}
	}
	r, err := webhook.Open(webhook.Options{URL: "https://127.0.0.1:1/", Secret: func() ([]byte, error) { return []byte("short"), nil }})
	must(t, err)
	if err := r.Post(t.Context(), "one", time.Now(), nil); !errors.Is(err, webhook.ErrOptions) {
		t.Errorf("a secret that is none: %v", err)
	}
	if err := r.Post(t.Context(), "one", time.Now(), make([]byte, webhook.MaxBody+1)); !errors.Is(err, webhook.ErrNotTaken) {
		t.Errorf("a message that is too long: %v", err)
	}
}
