package transit_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"photovault/vault/keys"
	"photovault/vault/keys/transit"
	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest/devstack"
)

// load unwraps without a pause until stop, and counts what comes of it.
type load struct {
	served, refused, unavailable atomic.Int64

	mu      sync.Mutex
	longest time.Duration // without an answer
	last    error
	stop    context.CancelFunc
	done    sync.WaitGroup
}

func underLoad(t *testing.T, s *transit.Service, c keys.Context, wrapped []byte) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop}
	for range 4 {
		l.done.Go(func() {
			for good := time.Now(); ctx.Err() == nil; time.Sleep(time.Millisecond) {
				k, err := s.UnwrapDataKey(ctx, c, wrapped)
				switch {
				case err == nil:
					k.Destroy()
					l.served.Add(1)
				case ctx.Err() != nil:
					return
				case errors.Is(err, keys.ErrUnavailable) && !errors.Is(err, keys.ErrRefused):
					l.unavailable.Add(1)
				default:
					l.refused.Add(1)
				}
				l.mu.Lock()
				if err == nil {
					l.longest = max(l.longest, time.Since(good))
					good = time.Now()
				} else {
					l.last = err
				}
				l.mu.Unlock()
			}
		})
	}
	return l
}

func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.done.Wait()
	t.Logf("%d served, %d unavailable (%v at most), %d refused", l.served.Load(), l.unavailable.Load(), l.longest.Round(time.Millisecond), l.refused.Load())
	if l.refused.Load() != 0 || l.served.Load() == 0 {
		t.Errorf("refused %d, served %d, last %v", l.refused.Load(), l.served.Load(), l.last)
	}
}

func TestTokensAreReplacedBeforeTheirMaximumAge(t *testing.T) {
	t.Parallel()
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{TTL: 2 * time.Second, MaxTTL: 3 * time.Second})
	p := newProxy(t, stack, stack.Transit.Address)
	o := x.Service
	o.Address = p.address
	s := open(t, o)
	c := photoContext()
	key, wrapped, err := s.NewDataKey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key.Destroy()
	l := underLoad(t, s, c, wrapped)
	time.Sleep(6 * time.Second)
	l.end(t)
	if l.unavailable.Load() != 0 {
		t.Errorf("%d calls unavailable, last %v", l.unavailable.Load(), l.last)
	}
	if n := len(p.seen()); n < 2 || n > 6 {
		t.Errorf("%d tokens in 6 s of 3 s each", n)
	}
	if n := p.logins.Load(); n > 6 {
		t.Errorf("%d logins", n)
	}
}

// A token may end while the server is away: the service logs in when it is back.
func TestATokenThatEndedWhileTheServerWasAway(t *testing.T) {
	t.Parallel()
	own := devstack.Need(t).OwnTransit(t)
	x := transittest.Make(t, own.Transit, transittest.Settings{TTL: 2 * time.Second, MaxTTL: 3 * time.Second})
	s := open(t, x.Service)
	c := photoContext()
	key, wrapped, err := s.NewDataKey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key.Destroy()
	l := underLoad(t, s, c, wrapped)
	for l.served.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	own.Kill(t)
	time.Sleep(3 * time.Second)
	began := time.Now()
	if _, _, err := s.NewDataKey(t.Context(), c); !errors.Is(err, keys.ErrUnavailable) {
		t.Error(err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
		t.Error(err)
	}
	if took := time.Since(began); took > 200*time.Millisecond {
		t.Errorf("without a token a call took %v", took)
	}
	own.Start(t)
	t.Logf("served after %v", serves(t, s, c, wrapped).Round(time.Millisecond))
	l.end(t)
}

func TestARevokedTokenIsReplacedByOneLogin(t *testing.T) {
	t.Parallel()
	s := behindProxy(t, nil)
	time.Sleep(1100 * time.Millisecond) // a token that is refused within its first second is not
	s.setup.Root.Must(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": s.proxy.seen()[0]})
	before := s.proxy.logins.Load()
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			k, err := s.UnwrapDataKey(t.Context(), s.context, s.wrapped)
			if errors.Is(err, keys.ErrRefused) {
				t.Error(err)
			}
			k.Destroy()
		})
	}
	all.Wait()
	if took := serves(t, s.Service, s.context, s.wrapped); took > 200*time.Millisecond {
		t.Errorf("served after %v", took)
	}
	if n := s.proxy.logins.Load() - before; n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

func TestACallAloneDoesNotNoticeARevokedToken(t *testing.T) {
	t.Parallel()
	s := behindProxy(t, nil)
	time.Sleep(1100 * time.Millisecond)
	s.setup.Root.Must(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": s.proxy.seen()[0]})
	k, err := s.UnwrapDataKey(t.Context(), s.context, s.wrapped)
	if err != nil {
		t.Fatal(err)
	}
	k.Destroy()
}

// A policy that was taken away must not make every call log in.
func TestALackingPolicyIsNoReasonToLogIn(t *testing.T) {
	t.Parallel()
	s := behindProxy(t, nil)
	time.Sleep(1100 * time.Millisecond)
	before := s.proxy.logins.Load()
	decrypt := "/v1/" + s.setup.Mount + "/decrypt/" + s.setup.Key
	s.proxy.set(func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Path == decrypt && answer(403, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`)(w, r)
	})
	for range 20 {
		if _, err := s.UnwrapDataKey(t.Context(), s.context, s.wrapped); !errors.Is(err, keys.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if n := s.proxy.logins.Load() - before; n != 0 {
		t.Errorf("%d logins", n)
	}
	// Where the policy does not even allow the token to be looked up, a login
	// a second is the most.
	s.proxy.set(func(w http.ResponseWriter, r *http.Request) bool {
		return (r.URL.Path == decrypt || strings.HasSuffix(r.URL.Path, "/lookup-self")) && answer(403, `{"errors":["permission denied"]}`)(w, r)
	})
	began := time.Now()
	for range 40 {
		if _, err := s.UnwrapDataKey(t.Context(), s.context, s.wrapped); !errors.Is(err, keys.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if n, most := s.proxy.logins.Load()-before, int64(time.Since(began).Seconds())+2; n > most {
		t.Errorf("%d logins, want %d at most", n, most)
	}
}

// In its last second a token has a ttl of 0, as one without end has.
func TestATokenInItsLastSecondIsNotOneWithoutEnd(t *testing.T) {
	t.Parallel()
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{})
	p := newProxy(t, stack, stack.Transit.Address)
	o := x.Service
	o.Address, o.AppRole, o.Token = p.address, nil, x.ServiceToken(t, time.Hour)
	var looked atomic.Int64
	for end, again := range map[string]bool{"null": false, `"2026-01-01T00:00:00Z"`: true} {
		looked.Store(0)
		p.set(at("auth/token/lookup-self", func(w http.ResponseWriter, r *http.Request) bool {
			looked.Add(1)
			return answer(200, `{"data":{"ttl":0,"expire_time":`+end+`}}`)(w, r)
		}))
		s := open(t, o)
		time.Sleep(time.Second)
		if n := looked.Load(); (n > 1) != again {
			t.Errorf("expire_time %s: looked up %d times", end, n)
		}
		s.Close()
	}
}

func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestANewSecretIDNeedsNoRestart(t *testing.T) {
	t.Parallel()
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{TTL: time.Second, MaxTTL: 2 * time.Second})
	s := open(t, x.Service)
	c := photoContext()
	key, wrapped, err := s.NewDataKey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key.Destroy()
	l := underLoad(t, s, c, wrapped)
	b, err := os.ReadFile(x.Service.AppRole.SecretIDFile)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, x.Service.AppRole.SecretIDFile, x.SecretID(t))
	x.Root.Must(t, http.MethodPost, x.RolePath()+"/secret-id/destroy", map[string]any{"secret_id": strings.TrimSpace(string(b))})
	time.Sleep(4 * time.Second)
	l.end(t)
	if l.longest > 2*time.Second {
		t.Errorf("unavailable for %v", l.longest)
	}
}

// A secret id that is good for one login leaves renewal as the only way: trouble
// in between must not cost the token.
func TestASecretIDForOneLoginIsEnough(t *testing.T) {
	t.Parallel()
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{TTL: 2 * time.Second})
	x.Root.Must(t, http.MethodPost, x.RolePath(), map[string]any{"secret_id_num_uses": 1})
	p := newProxy(t, stack, stack.Transit.Address)
	var reports atomic.Int64
	o := x.Service
	o.Address = p.address
	o.AppRole = &transit.AppRole{Mount: x.Auth, RoleID: x.Service.AppRole.RoleID, SecretIDFile: transittest.Secret(t, x.SecretID(t))}
	o.Report = func(err error) {
		if !errors.Is(err, transit.ErrConfiguration) {
			t.Errorf("reported: %v", err)
		}
		reports.Add(1)
	}
	s := open(t, o)
	c := photoContext()
	key, wrapped, err := s.NewDataKey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key.Destroy()
	var lost atomic.Int64
	p.set(func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Path == "/v1/auth/token/renew-self" && lost.Add(1) <= 2 && answer(500, `{"errors":["internal error"]}`)(w, r)
	})
	l := underLoad(t, s, c, wrapped)
	time.Sleep(4 * time.Second)
	l.end(t)
	if l.unavailable.Load() != 0 {
		t.Errorf("%d calls unavailable, last %v", l.unavailable.Load(), l.last)
	}
	if lost.Load() < 3 || reports.Load() == 0 {
		t.Errorf("%d renewals, %d reports", lost.Load(), reports.Load())
	}
}

func TestAWrappedSecretIDIsOpenedOnce(t *testing.T) {
	t.Parallel()
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{})
	wrapping := x.WrappedSecretID(t)
	p := newProxy(t, stack, stack.Transit.Address)
	o := x.Service
	o.Address = p.address
	o.AppRole = &transit.AppRole{Mount: x.Auth, RoleID: x.Service.AppRole.RoleID, SecretIDFile: transittest.Secret(t, wrapping), Wrapped: true}
	s := open(t, o)
	c := photoContext()
	key, wrapped, err := s.NewDataKey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key.Destroy()
	time.Sleep(1100 * time.Millisecond)
	x.Root.Must(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": p.seen()[0]})
	if took := serves(t, s, c, wrapped); took > 2*time.Second { // the secret id itself serves again
		t.Errorf("served after %v", took)
	}
	_, err = transit.Open(t.Context(), o)
	if !errors.Is(err, transit.ErrConfiguration) || !strings.Contains(err.Error(), "theft") || strings.Contains(err.Error(), wrapping) {
		t.Errorf("opened twice: %v", err)
	}
	replace(t, o.AppRole.SecretIDFile, x.WrappedSecretID(t))
	open(t, o)
}

func TestATokenFileIsFollowed(t *testing.T) {
	t.Parallel()
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{})
	first := x.ServiceToken(t, time.Hour)
	p := newProxy(t, stack, stack.Transit.Address)
	o := x.Service
	o.Address, o.AppRole, o.TokenFile = p.address, nil, transittest.Secret(t, first)
	s := open(t, o)
	c := photoContext()
	key, wrapped, err := s.NewDataKey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key.Destroy()

	// Replaced while the old one is good: the new one is used within seconds.
	second := x.ServiceToken(t, time.Hour)
	replace(t, o.TokenFile, second)
	for began := time.Now(); !slices.Contains(p.seen(), second); time.Sleep(20 * time.Millisecond) {
		serves(t, s, c, wrapped)
		if time.Since(began) > 10*time.Second {
			t.Fatal("the new token is not used")
		}
	}
	// Replaced and revoked: the call that finds out is served.
	time.Sleep(1100 * time.Millisecond)
	third := x.ServiceToken(t, time.Hour)
	replace(t, o.TokenFile, third)
	x.Root.Must(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": second})
	k, err := s.UnwrapDataKey(t.Context(), c, wrapped)
	if err != nil {
		t.Fatal(err)
	}
	k.Destroy()
	// The file is gone: the token is still good.
	if err := os.Remove(o.TokenFile); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2500 * time.Millisecond)
	serves(t, s, c, wrapped)
	// Closed: the token was not ours, and lives on.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _, err := x.Root.As(third).Do(t.Context(), http.MethodGet, "auth/token/lookup-self", nil); err != nil || status != http.StatusOK {
		t.Errorf("the token of somebody else was revoked: %d, %v", status, err)
	}
}

func TestCloseRevokesTheTokenAndLeavesNothingRunning(t *testing.T) {
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{})
	p := newProxy(t, stack, stack.Transit.Address)
	o := x.Service
	o.Address = p.address
	before := goleak.IgnoreCurrent()
	s, err := transit.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c := photoContext()
	key, wrapped, err := s.NewDataKey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key.Destroy()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("net/http.(*conn).serve"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*connReader).backgroundRead"))
	if status, _, err := x.Root.As(p.seen()[0]).Do(t.Context(), http.MethodGet, "auth/token/lookup-self", nil); err != nil || status != http.StatusForbidden {
		t.Errorf("the token is still good: %d, %v", status, err)
	}
	n := p.calls.Load()
	for name, err := range map[string]error{
		"NewDataKey":    func() error { _, _, err := s.NewDataKey(t.Context(), c); return err }(),
		"UnwrapDataKey": func() error { _, err := s.UnwrapDataKey(t.Context(), c, wrapped); return err }(),
		"Ready":         s.Ready(t.Context()),
	} {
		if !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p.calls.Load() != n {
		t.Error("a closed service asks the server")
	}
}

// An open that fails leaves nothing running either.
func TestAFailedOpenLeavesNothingRunning(t *testing.T) {
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{Key: map[string]any{"exportable": true}})
	wrong := x.Service
	wrong.AppRole = &transit.AppRole{Mount: x.Auth, RoleID: "another", SecretIDFile: x.Service.AppRole.SecretIDFile}
	away := x.Service
	away.Address, away.Timeout, away.Budget = "https://127.0.0.1:1", 100*time.Millisecond, 200*time.Millisecond
	before := goleak.IgnoreCurrent()
	for name, o := range map[string]transit.Options{"faulty key": x.Service, "wrong role": wrong, "no server": away} {
		if s, err := transit.Open(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		}
	}
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"))
}
