package transit_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"photovault/vault/keys"
	"photovault/vault/keys/transit"
	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest/devstack"
)

// at answers one path; the rest goes through.
func at(path string, f func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool { return r.URL.Path == "/v1/"+path && f(w, r) }
}

func TestALoginThatGivesNoTokenIsNotOne(t *testing.T) {
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{})
	p := newProxy(t, stack, stack.Transit.Address)
	byRole, byWrapped, byToken := x.Service, x.Service, x.Service
	byWrapped.AppRole = &transit.AppRole{Mount: x.Auth, RoleID: x.Service.AppRole.RoleID, SecretIDFile: transittest.Secret(t, "hvs.wrapping"), Wrapped: true}
	byToken.AppRole, byToken.Token = nil, x.ServiceToken(t, time.Hour)
	login := "auth/" + x.Auth + "/login"
	for _, test := range []struct {
		name   string
		o      transit.Options
		path   string
		status int
		body   string
		want   error
	}{
		{"nothing", byRole, login, 200, `{}`, transit.ErrConfiguration},
		{"no token", byRole, login, 200, `{"auth":{"client_token":""}}`, transit.ErrConfiguration},
		{"multi-factor", byRole, login, 200, `{"auth":{"mfa_requirement":{"mfa_request_id":"x"}}}`, transit.ErrConfiguration},
		{"denied", byRole, login, 403, `{"errors":["permission denied"]}`, transit.ErrConfiguration},
		{"a proxy's denial", byRole, login, 403, `<html>`, keys.ErrUnavailable},
		{"trouble", byRole, login, 500, `{"errors":["internal error"]}`, keys.ErrUnavailable},
		{"sealed", byRole, login, 503, `{"errors":["Vault is sealed"]}`, keys.ErrUnavailable},
		{"not JSON", byRole, login, 200, `<html>`, keys.ErrUnavailable},
		{"nothing wrapped", byWrapped, "sys/wrapping/unwrap", 200, `{"data":{}}`, transit.ErrConfiguration},
		{"trouble when unwrapping", byWrapped, "sys/wrapping/unwrap", 503, `{"errors":["Vault is sealed"]}`, keys.ErrUnavailable},
		{"a token without an end that is told", byToken, "auth/token/lookup-self", 200, `{"data":{"ttl":"soon"}}`, transit.ErrConfiguration},
		{"a token that nobody knows", byToken, "auth/token/lookup-self", 403, `{"errors":["permission denied"]}`, transit.ErrConfiguration},
	} {
		test.o.Address = p.address
		p.set(at(test.path, answer(test.status, test.body)))
		err := failsToOpen(t, test.o)
		if !errors.Is(err, test.want) || strings.Contains(err.Error(), "hvs.") {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

func TestAnOperatorTrustsOnlyWhatItReadsBack(t *testing.T) {
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{})
	p := newProxy(t, stack, stack.Transit.Address)
	through := x.Operator
	through.Address = p.address
	o := openOperator(t, through)
	if _, err := o.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := x.Mount + "/keys/" + x.Key
	p.set(at(key+"/trim", answer(200, `{"data":{"min_available_version":2}}`))) // says so, and has not
	if _, err := o.Erase(t.Context(), 2); !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "erase again") {
		t.Errorf("a trim that was not: %v", err)
	}
	p.set(at(key, answer(200, `{"data":{"type":"aes256-gcm96","derived":true,"latest_version":2,"min_available_version":2,"min_decryption_version":2,"keys":{"1":1,"2":2}}}`)))
	if _, err := o.Erase(t.Context(), 2); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("a version is still listed: %v", err)
	}
	p.set(at(key, answer(200, `{"data":{"type":"ed25519","latest_version":2}}`)))
	for name, call := range map[string]func() (keys.Versions, error){
		"Versions": func() (keys.Versions, error) { return o.Versions(t.Context()) },
		"Rotate":   func() (keys.Versions, error) { return o.Rotate(t.Context()) },
		"Erase":    func() (keys.Versions, error) { return o.Erase(t.Context(), 2) },
	} {
		if v, err := call(); !errors.Is(err, keys.ErrUnavailable) || v != (keys.Versions{}) {
			t.Errorf("%s of another kind of key: %+v, %v", name, v, err)
		}
	}
	if again, err := transit.OpenOperator(t.Context(), through); err == nil || !errors.Is(err, transit.ErrConfiguration) {
		again.Close()
		t.Errorf("opened: %v", err)
	}
	p.set(nil)
	if v, err := o.Erase(t.Context(), 2); err != nil || v != (keys.Versions{Oldest: 2, Newest: 3}) {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestARotationIsTriedOnce(t *testing.T) {
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{})
	p := newProxy(t, stack, stack.Transit.Address)
	through := x.Operator
	through.Address = p.address
	o := openOperator(t, through)
	n := 0
	p.set(at(x.Mount+"/keys/"+x.Key+"/rotate", func(http.ResponseWriter, *http.Request) bool {
		n++
		panic(http.ErrAbortHandler)
	}))
	if _, err := o.Rotate(t.Context()); !errors.Is(err, keys.ErrUnavailable) || n != 1 {
		t.Errorf("%d times, %v", n, err)
	}
}

func TestARewrapThatIsNotOneIsNotTaken(t *testing.T) {
	s := behindProxy(t, nil)
	if _, err := openOperator(t, s.setup.Operator).Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	older := string(s.wrapped)
	moved, err := s.Rewrap(t.Context(), []keys.Wrapped{{Context: s.context, Key: s.wrapped}})
	if err != nil || moved[0].Err != nil {
		t.Fatal(err, moved)
	}
	s.wrapped = moved[0].Key
	path := s.setup.Mount + "/rewrap/" + s.setup.Key
	good := string(s.wrapped)
	for name, results := range map[string]string{
		"none":         `[]`,
		"two for one":  `[{"ciphertext":"` + good + `"},{"ciphertext":"` + good + `"}]`,
		"empty":        `[{}]`,
		"no key":       `[{"ciphertext":"vault:v2:AAAA"}]`,
		"version 0":    `[{"ciphertext":"` + strings.Replace(good, "v2", "v0", 1) + `"}]`,
		"an older one": `[{"ciphertext":"` + older + `"}]`,
		"the key went": `[{"error":"encryption key not found"}]`,
	} {
		status := `{"data":{"batch_results":` + results + `}}`
		s.proxy.set(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/v1/"+path {
				return answer(200, status)(w, r)
			}
			return name == "the key went" && answer(404, `{"errors":[]}`)(w, r)
		})
		out, err := s.Rewrap(t.Context(), []keys.Wrapped{{Context: s.context, Key: s.wrapped}})
		if !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrRefused) || out != nil {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
		s.proxy.set(nil)
		serves(t, s.Service, s.context, s.wrapped)
	}
}

// A transit key that an administrator deletes, or a mount that is disabled, is
// no damage to a wrapped key: it may come back from a snapshot.
func TestAKeyThatIsReallyGoneIsAnOutage(t *testing.T) {
	for name, remove := range map[string]func(*testing.T, *transittest.Setup){
		"key": func(t *testing.T, x *transittest.Setup) {
			x.Root.Must(t, http.MethodPost, x.Mount+"/keys/"+x.Key+"/config", map[string]any{"deletion_allowed": true})
			x.Root.Must(t, http.MethodDelete, x.Mount+"/keys/"+x.Key, nil)
		},
		"mount": func(t *testing.T, x *transittest.Setup) {
			x.Root.Must(t, http.MethodDelete, "sys/mounts/"+x.Mount, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := behindProxy(t, nil)
			if err := s.Ready(t.Context()); err != nil {
				t.Error(err)
			}
			remove(t, s.setup)
			time.Sleep(600 * time.Millisecond)
			for call, err := range s.calls(t.Context()) {
				if !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrRefused) {
					t.Errorf("%s: %v, want ErrUnavailable", call, err)
				}
			}
		})
	}
}
