package transit_test

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"photovault/vault/keys"
	"photovault/vault/keys/transit"
	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest/devstack"
)

// proxied is a service behind a proxy, with one key that it has wrapped.
type proxied struct {
	*transit.Service
	proxy   *proxy
	setup   *transittest.Setup
	context keys.Context
	wrapped []byte
}

func behindProxy(t *testing.T, change func(*transit.Options)) *proxied {
	t.Helper()
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{})
	p := newProxy(t, stack, stack.Transit.Address)
	o := patient(x.Service)
	o.Address = p.address
	if change != nil {
		change(&o)
	}
	s := &proxied{Service: open(t, o), proxy: p, setup: x, context: photoContext()}
	s.wrapped = wraps(t, s.Service, s.context)
	return s
}

// wraps waits until the service makes a data key: it may have a token that
// hardly lasts.
func wraps(t testing.TB, s *transit.Service, c keys.Context) (wrapped []byte) {
	t.Helper()
	until(t, "a data key", func() bool {
		k, w, err := s.NewDataKey(t.Context(), c)
		if err != nil && (!errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrRefused)) {
			t.Fatal(err)
		}
		k.Destroy()
		wrapped = w
		return err == nil
	})
	return wrapped
}

// calls are all that a service is asked.
func (s *proxied) calls(ctx context.Context) map[string]error {
	k, w, err := s.NewDataKey(ctx, s.context)
	if k != nil || w != nil {
		k.Destroy()
	}
	_, unwrapErr := s.UnwrapDataKey(ctx, s.context, s.wrapped)
	_, rewrapErr := s.Rewrap(ctx, []keys.Wrapped{{Context: s.context, Key: s.wrapped}})
	_, versionsErr := s.Versions(ctx)
	return map[string]error{"NewDataKey": err, "UnwrapDataKey": unwrapErr, "Rewrap": rewrapErr, "Versions": versionsErr, "Ready": s.Ready(ctx)}
}

// serves waits until the service serves again and returns how long that took.
func serves(t testing.TB, s *transit.Service, c keys.Context, wrapped []byte) time.Duration {
	t.Helper()
	began := time.Now()
	until(t, "served", func() bool {
		k, err := s.UnwrapDataKey(t.Context(), c, wrapped)
		if err != nil && (!errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrRefused)) {
			t.Fatalf("meanwhile: %v", err)
		}
		k.Destroy()
		return err == nil
	})
	return time.Since(began)
}

// Whatever a server in trouble answers, no wrapped key is called refused.
func TestTroubleIsNeverARefusal(t *testing.T) {
	abort := func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	for _, test := range []struct {
		name  string
		fault func(http.ResponseWriter, *http.Request) bool
		says  string // in the error
	}{
		{"sealed", answer(503, `{"errors":["Vault is sealed"]}`), "vault operator unseal"},
		{"standby or starting", answer(503, `{"errors":["local node not active but active cluster node not found"]}`), "503"},
		{"internal error", answer(500, `{"errors":["1 error occurred: internal error"]}`), "500"},
		{"gateway", answer(502, `<html>Bad Gateway</html>`), "proxy"},
		{"over its limit", answer(429, `{"errors":["request path: rate limit quota exceeded"]}`), "429"},
		{"not yet consistent", answer(412, `{"errors":["required index state not present"]}`), "412"},
		{"permission", answer(403, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`), "policies"},
		{"wrong mount", answer(404, `{"errors":["no handler for route"]}`), "check the mount"},
		{"the key is gone", answer(400, `{"errors":["encryption key not found"]}`), ""},
		{"the key was replaced by one of another type", answer(400, `{"errors":["message decryption not supported for key type ed25519"]}`), ""},
		{"a firewall", answer(400, `<html>cipher: message authentication failed</html>`), "proxy"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "https://127.0.0.1:1/v1/elsewhere", http.StatusTemporaryRedirect)
			return true
		}, "active node"},
		{"an empty answer", answer(200, ``), ""},
		{"another answer", answer(200, `{"data":{"plaintext":"AAAA","ciphertext":"vault:v1:AAAA","batch_results":[{}]}}`), ""},
		{"no data", answer(204, ``), ""},
		{"a long answer", answer(200, strings.Repeat(" ", 2<<20)), ""},
		{"cut off", abort, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := behindProxy(t, nil)
			s.proxy.set(test.fault)
			_, err := s.UnwrapDataKey(t.Context(), s.context, s.wrapped)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v does not say %q", err, test.says)
			}
			errs := s.calls(t.Context()) // by now the breaker may be open
			errs["first"] = err
			for name, err := range errs {
				if !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrRefused) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v, want ErrUnavailable", name, err)
				}
				if err != nil && strings.Contains(err.Error(), string(s.wrapped[12:40])) {
					t.Errorf("%s: the error shows the wrapped key", name)
				}
			}
		})
	}
}

// Words of the engine that are not known decide nothing: its key does.
func TestOtherWordsForARefusalAreARefusal(t *testing.T) {
	s := behindProxy(t, nil)
	decrypt := "/v1/" + s.setup.Mount + "/decrypt/" + s.setup.Key
	s.proxy.set(func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Path == decrypt && answer(400, `{"errors":["le texte est refusé"]}`)(w, r)
	})
	if _, err := s.UnwrapDataKey(t.Context(), s.context, s.wrapped); !errors.Is(err, keys.ErrRefused) {
		t.Errorf("%v, want ErrRefused", err)
	}
	s.proxy.set(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == decrypt {
			return answer(400, `{"errors":["le texte est refusé"]}`)(w, r)
		}
		return answer(200, `{"data":{"type":"aes256-gcm96","derived":false,"latest_version":1}}`)(w, r)
	})
	if _, err := s.UnwrapDataKey(t.Context(), s.context, s.wrapped); !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrRefused) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
}

func TestALostAnswerIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s := behindProxy(t, nil)
	n := 0
	s.proxy.set(func(w http.ResponseWriter, r *http.Request) bool {
		if n++; n%2 == 1 {
			panic(http.ErrAbortHandler)
		}
		return false
	})
	for range 20 {
		k, err := s.UnwrapDataKey(t.Context(), s.context, s.wrapped)
		if err != nil {
			t.Fatal(err)
		}
		k.Destroy()
	}
	if got := s.proxy.calls.Load(); got < 40 {
		t.Errorf("%d calls", got)
	}
}

func TestASlowServerHoldsNobodyUpForLong(t *testing.T) {
	t.Parallel()
	s := behindProxy(t, nil)
	o := s.setup.Service
	o.Address, o.Timeout, o.Budget = s.proxy.address, 200*time.Millisecond, 500*time.Millisecond
	hasty := openInTime(t, o, func() {})
	s.proxy.set(s.proxy.hang)
	began := time.Now()
	_, err := hasty.UnwrapDataKey(t.Context(), s.context, s.wrapped)
	if took := time.Since(began); !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || took > never {
		t.Errorf("%v after %v", err, took)
	}
	for range 5 { // the breaker opens
		_, _ = hasty.UnwrapDataKey(t.Context(), s.context, s.wrapped)
	}
	// Then a second passes between two calls that are sent.
	before := s.proxy.calls.Load()
	began = time.Now()
	for range 1000 {
		if _, err := hasty.UnwrapDataKey(t.Context(), s.context, s.wrapped); !errors.Is(err, keys.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if took, sent := time.Since(began), s.proxy.calls.Load()-before; sent > 2+int64(took/time.Second) {
		t.Errorf("1000 calls of a dead server took %v and sent %d", took, sent)
	}
	s.proxy.set(nil)
	serves(t, hasty, s.context, s.wrapped)
}

func TestACallersOwnLimitIsKeptAndSaysNothingOfTheServer(t *testing.T) {
	t.Parallel()
	s := behindProxy(t, nil)
	s.proxy.set(s.proxy.hang)
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		began := time.Now()
		_, err := s.UnwrapDataKey(ctx, s.context, s.wrapped)
		cancel()
		if !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > never { // the service's own would end it later
			t.Fatalf("%v after %v", err, time.Since(began))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, _, err := s.NewDataKey(ctx, s.context); !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	s.proxy.set(nil)
	k, err := s.UnwrapDataKey(t.Context(), s.context, s.wrapped) // the breaker has not opened
	if err != nil {
		t.Fatal(err)
	}
	k.Destroy()
}

func TestRefusalsDoNotOpenTheBreaker(t *testing.T) {
	s := behindProxy(t, nil)
	other := photoContext()
	for range 30 {
		if _, err := s.UnwrapDataKey(t.Context(), other, s.wrapped); !errors.Is(err, keys.ErrRefused) {
			t.Fatal(err)
		}
	}
	if _, err := s.UnwrapDataKey(t.Context(), s.context, s.wrapped); err != nil {
		t.Error(err)
	}
}

func TestARealServerThatIsSealedOrRestarted(t *testing.T) {
	t.Parallel()
	own := devstack.Need(t).OwnTransit(t)
	x := transittest.Make(t, own.Transit, transittest.Settings{})
	s := open(t, patient(x.Service))
	c := photoContext()
	key, wrapped, err := s.NewDataKey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Destroy()
	down := func(when, says string) {
		t.Helper()
		began := time.Now()
		_, err := s.UnwrapDataKey(t.Context(), c, wrapped)
		if !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrRefused) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", when, err)
		}
		if _, _, err := s.NewDataKey(t.Context(), c); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("%s: %v", when, err)
		}
		time.Sleep(600 * time.Millisecond) // until what Ready has found is old
		if err := s.Ready(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("%s: ready: %v", when, err)
		}
		if took := time.Since(began); took > never {
			t.Errorf("%s: %v", when, took)
		}
	}
	up := func(when string) {
		t.Helper()
		t.Logf("%s: served after %v", when, serves(t, s, c, wrapped).Round(time.Millisecond))
		k, err := s.UnwrapDataKey(t.Context(), c, wrapped)
		if err != nil || !k.Equal(key) {
			t.Errorf("%s: %v", when, err)
		}
		time.Sleep(600 * time.Millisecond)
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("%s: ready: %v", when, err)
		}
	}
	x.Root.Seal(t)
	down("sealed", "sealed")
	x.Root.Unseal(t, own.UnsealKey)
	up("unsealed")
	own.Kill(t)
	down("killed", "")
	own.StartSealed(t)
	down("started, sealed", "")
	x.Root.Unseal(t, own.UnsealKey)
	up("started and unsealed")
	own.Kill(t)
	own.Start(t)
	up("restarted")
}

func TestAServerThatCannotProveItselfGetsNothing(t *testing.T) {
	t.Parallel()
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{})
	other := filepath.Join("testdata", "other-ca.pem")
	for name, change := range map[string]func(*transit.Options){
		"another authority":        func(o *transit.Options) { o.CAFile = other },
		"the system's authorities": func(o *transit.Options) { o.CAFile = "" },
		"another name":             func(o *transit.Options) { o.ServerName = "transit.example" },
	} {
		o := x.Service
		change(&o)
		err := failsToOpen(t, o)
		if !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
