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

	mu   sync.Mutex
	last error
	stop context.CancelFunc
	done sync.WaitGroup
}

func underLoad(t *testing.T, s *transit.Service, c keys.Context, wrapped []byte) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop}
	for range 4 {
		l.done.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(time.Millisecond) {
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
				if err != nil {
					l.mu.Lock()
					l.last = err
					l.mu.Unlock()
				}
			}
		})
	}
	return l
}

func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.done.Wait()
	t.Logf("%d served, %d unavailable, %d refused", l.served.Load(), l.unavailable.Load(), l.refused.Load())
	if l.refused.Load() != 0 || l.served.Load() == 0 {
		t.Errorf("refused %d, served %d, last %v", l.refused.Load(), l.served.Load(), l.last)
	}
}

func TestTokensAreReplacedBeforeTheirMaximumAge(t *testing.T) {
	t.Parallel()
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{TTL: 10 * time.Second, MaxTTL: 15 * time.Second})
	p := newProxy(t, stack, stack.Transit.Address)
	o := patient(x.Service)
	o.Address = p.address
	began := time.Now()
	s := open(t, o)
	c := photoContext()
	l := underLoad(t, s, c, wraps(t, s, c))
	until(t, "a second token", func() bool { return len(p.seen()) > 1 })
	l.end(t)
	if l.unavailable.Load() != 0 {
		t.Errorf("%d calls unavailable, last %v", l.unavailable.Load(), l.last)
	}
	if n, most := p.logins.Load(), 2+int64(time.Since(began)/(5*time.Second)); n > most { // half of its ttl is the least that one serves
		t.Errorf("%d logins, want %d at most", n, most)
	}
}

// A token may end while the server is away: the service logs in when it is back.
func TestATokenThatEndedWhileTheServerWasAway(t *testing.T) {
	t.Parallel()
	own := devstack.Need(t).OwnTransit(t)
	x := transittest.Make(t, own.Transit, transittest.Settings{TTL: 2 * time.Second, MaxTTL: 3 * time.Second})
	s := openInTime(t, patient(x.Service), func() {})
	c := photoContext()
	wrapped := wraps(t, s, c)
	l := underLoad(t, s, c, wrapped)
	until(t, "served", func() bool { return l.served.Load() > 0 })
	own.Kill(t)
	time.Sleep(3 * time.Second) // longer than any token lasts that nobody renews
	began := time.Now()
	if _, _, err := s.NewDataKey(t.Context(), c); !errors.Is(err, keys.ErrUnavailable) {
		t.Error(err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
		t.Error(err)
	}
	if took := time.Since(began); took > never {
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
	serves(t, s.Service, s.context, s.wrapped)
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
	o := patient(x.Service)
	o.Address, o.AppRole, o.Token = p.address, nil, x.ServiceToken(t, time.Hour)
	var looked atomic.Int64
	for end, again := range map[string]bool{"null": false, `"2026-01-01T00:00:00Z"`: true} {
		p.set(at("auth/token/lookup-self", func(w http.ResponseWriter, r *http.Request) bool {
			looked.Add(1)
			return answer(200, `{"data":{"ttl":0,"expire_time":`+end+`}}`)(w, r)
		}))
		s := openInTime(t, o, func() { looked.Store(0) })
		if again {
			until(t, "looked up again", func() bool { return looked.Load() > 1 })
		} else if time.Sleep(time.Second); looked.Load() > 1 {
			t.Errorf("expire_time %s: looked up %d times", end, looked.Load())
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
	p := newProxy(t, stack, stack.Transit.Address)
	o := patient(x.Service)
	o.Address = p.address
	s := openInTime(t, o, func() {})
	c := photoContext()
	l := underLoad(t, s, c, wraps(t, s, c))
	b, err := os.ReadFile(x.Service.AppRole.SecretIDFile)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, x.Service.AppRole.SecretIDFile, x.SecretID(t))
	x.Root.Must(t, http.MethodPost, x.RolePath()+"/secret-id/destroy", map[string]any{"secret_id": strings.TrimSpace(string(b))})
	before := len(p.seen())
	until(t, "two more tokens", func() bool { return len(p.seen()) > before+1 }) // the next may have been asked for before
	served := l.served.Load()
	until(t, "served", func() bool { return l.served.Load() > served })
	l.end(t)
}

// A secret id that is good for one login leaves renewal as the only way: trouble
// in between must not cost the token.
func TestASecretIDForOneLoginIsEnough(t *testing.T) {
	t.Parallel()
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{TTL: 10 * time.Second})
	x.Root.Must(t, http.MethodPost, x.RolePath(), map[string]any{"secret_id_num_uses": 1})
	p := newProxy(t, stack, stack.Transit.Address)
	var reports atomic.Int64
	o := patient(x.Service)
	o.Address = p.address
	o.AppRole = &transit.AppRole{Mount: x.Auth, RoleID: x.Service.AppRole.RoleID, SecretIDFile: transittest.Secret(t, x.SecretID(t))}
	o.Report = func(err error) {
		if !errors.Is(err, transit.ErrConfiguration) {
			t.Errorf("reported: %v", err)
		}
		reports.Add(1)
	}
	s := open(t, o)
	ends := time.Now().Add(10 * time.Second) // of the token, were it not renewed
	c := photoContext()
	wrapped := wraps(t, s, c)
	var lost atomic.Int64
	p.set(func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Path == "/v1/auth/token/renew-self" && lost.Add(1) <= 2 && answer(500, `{"errors":["internal error"]}`)(w, r)
	})
	l := underLoad(t, s, c, wrapped)
	until(t, "renewed", func() bool { return lost.Load() >= 3 })
	time.Sleep(time.Until(ends))
	served := l.served.Load()
	until(t, "served", func() bool { return l.served.Load() > served+10 })
	l.end(t)
	if l.unavailable.Load() != 0 {
		t.Errorf("%d calls unavailable, last %v", l.unavailable.Load(), l.last)
	}
	if reports.Load() == 0 {
		t.Error("nothing is reported")
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
	serves(t, s, c, wrapped) // the secret id itself does again
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
	until(t, "the new token is used", func() bool {
		serves(t, s, c, wrapped)
		return slices.Contains(p.seen(), second)
	})
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

// leavesNothing waits until nothing runs but what did before.
func leavesNothing(t *testing.T, but ...goleak.Option) {
	t.Helper()
	var err error
	for began := time.Now(); time.Since(began) < never; {
		if err = goleak.Find(but...); err == nil {
			return
		}
	}
	t.Error(err)
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
	leavesNothing(t, before, goleak.IgnoreAnyFunction("net/http.(*conn).serve"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
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
	leavesNothing(t, before, goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"))
}
