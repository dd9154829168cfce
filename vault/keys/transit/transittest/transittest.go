// Package transittest sets a transit key, its policies and identities up on a
// real server, for tests of whatever uses the key service.
package transittest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"photovault/vault/keys/transit"
	"photovault/vault/vaulttest/devstack"
)

// New makes a mount, a key and the two identities, all of the test's own, as
// deploy/policies/transit says, and returns how each logs in. All is removed
// at cleanup.
func New(t testing.TB, server devstack.Transit) (service, operator transit.Options) {
	t.Helper()
	s := Make(t, server, Settings{})
	return s.Service, s.Operator
}

// Settings are where a setup differs from the usual one.
type Settings struct {
	TTL, MaxTTL time.Duration  // of the service's tokens; zero: one hour, one day
	Key         map[string]any // more parameters of the transit key
}

// Setup is one mount with one key.
type Setup struct {
	Service, Operator transit.Options
	Root              *Root
	Mount, Key        string
	Auth              string // mount of the AppRole method
	Role              string
	policies          [2]string
}

// Make is New, with a hand on the server.
func Make(t testing.TB, server devstack.Transit, o Settings) *Setup {
	t.Helper()
	tag := strings.ToLower(rand.Text()[:12])
	s := &Setup{Mount: "transit-" + tag, Key: "key-" + tag, Auth: "approle-" + tag, Role: "photovault",
		policies: [2]string{"service-" + tag, "operator-" + tag}}
	ca := devstack.Need(t).CA
	s.Root = newRoot(t, server, ca)
	t.Cleanup(func() { s.remove() })

	s.Root.Must(t, http.MethodPost, "sys/mounts/"+s.Mount, map[string]any{"type": "transit"})
	s.MakeKey(t, s.Key, o.Key)
	for i, file := range []string{"service.hcl", "operator.hcl"} {
		s.Root.Must(t, http.MethodPut, "sys/policies/acl/"+s.policies[i], map[string]any{"policy": s.policy(t, file)})
	}
	set := func(to *time.Duration, value time.Duration) {
		if *to == 0 {
			*to = value
		}
	}
	set(&o.TTL, time.Hour)
	set(&o.MaxTTL, 24*time.Hour)
	s.Root.Must(t, http.MethodPost, "sys/auth/"+s.Auth, map[string]any{"type": "approle"})
	s.Root.Must(t, http.MethodPost, s.role(), map[string]any{
		"token_policies": s.policies[0], "token_no_default_policy": true,
		"token_ttl": o.TTL.String(), "token_max_ttl": o.MaxTTL.String(),
	})
	common := transit.Options{Address: server.Address, CAFile: ca, Mount: s.Mount, Key: s.Key}
	s.Service, s.Operator = common, common
	s.Service.AppRole = &transit.AppRole{Mount: s.Auth, RoleID: s.Root.Text(t, http.MethodGet, s.role()+"/role-id", nil, "role_id"),
		SecretIDFile: Secret(t, s.SecretID(t))}
	s.Operator.TokenFile = Secret(t, s.Token(t, s.policies[1], time.Hour))
	return s
}

// MakeKey makes a transit key as the README says, but for more.
func (s *Setup) MakeKey(t testing.TB, name string, more map[string]any) {
	t.Helper()
	config := map[string]any{"type": "aes256-gcm96", "derived": true, "auto_rotate_period": "720h"}
	for k, v := range more {
		config[k] = v
	}
	s.Root.Must(t, http.MethodPost, s.Mount+"/keys/"+name, config)
}

// SecretID makes a new secret id of the service's role.
func (s *Setup) SecretID(t testing.TB) string {
	t.Helper()
	return s.Root.Text(t, http.MethodPost, s.role()+"/secret-id", map[string]any{}, "secret_id")
}

// WrappedSecretID is one in a response-wrapping token, which opens once.
func (s *Setup) WrappedSecretID(t testing.TB) string {
	t.Helper()
	answer := s.Root.wrapped(t, http.MethodPost, s.role()+"/secret-id", map[string]any{})
	info, _ := answer["wrap_info"].(map[string]any)
	token, _ := info["token"].(string)
	if token == "" {
		t.Fatal("transittest: no wrapping token")
	}
	return token
}

// ServiceToken makes a token with the service's policy alone.
func (s *Setup) ServiceToken(t testing.TB, ttl time.Duration) string {
	t.Helper()
	return s.Token(t, s.policies[0], ttl)
}

// OperatorToken makes a token with the operator's policy alone.
func (s *Setup) OperatorToken(t testing.TB, ttl time.Duration) string {
	t.Helper()
	return s.Token(t, s.policies[1], ttl)
}

// Token makes an orphan token with one policy and nothing else.
func (s *Setup) Token(t testing.TB, policy string, ttl time.Duration) string {
	t.Helper()
	answer := s.Root.Must(t, http.MethodPost, "auth/token/create-orphan", map[string]any{
		"policies": []string{policy}, "no_default_policy": true, "ttl": ttl.String(), "renewable": true})
	auth, _ := answer["auth"].(map[string]any)
	token, _ := auth["client_token"].(string)
	if token == "" {
		t.Fatal("transittest: no token")
	}
	return token
}

// Secret writes a credential into a private file.
func Secret(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// RolePath is where the service's role is configured.
func (s *Setup) RolePath() string { return s.role() }

func (s *Setup) role() string { return "auth/" + s.Auth + "/role/" + s.Role }

// policy is a file of deploy/policies/transit with this setup's names.
func (s *Setup) policy(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(moduleRoot(t), "deploy", "policies", "transit", file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(`"transit/`, `"`+s.Mount+`/`, `/photovault"`, `/`+s.Key+`"`, `/photovault/`, `/`+s.Key+`/`).Replace(string(b))
}

// Withhold takes paths of the engine, such as decrypt, out of the service's policy.
func (s *Setup) Withhold(t testing.TB, paths ...string) {
	t.Helper()
	policy := s.policy(t, "service.hcl")
	for _, path := range paths {
		policy = strings.ReplaceAll(policy, s.Mount+"/"+path+"/", s.Mount+"/not-"+path+"/")
	}
	s.Root.Must(t, http.MethodPut, "sys/policies/acl/"+s.policies[0], map[string]any{"policy": policy})
}

func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("transittest: the module's root was not found")
		}
	}
}

// remove takes all away again; a server that was killed keeps it.
func (s *Setup) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, path := range []string{"sys/mounts/" + s.Mount, "sys/auth/" + s.Auth,
		"sys/policies/acl/" + s.policies[0], "sys/policies/acl/" + s.policies[1]} {
		if _, _, err := s.Root.Do(ctx, http.MethodDelete, path, nil); err != nil {
			fmt.Fprintln(os.Stderr, "transittest: not removed:", path)
			return
		}
	}
}
