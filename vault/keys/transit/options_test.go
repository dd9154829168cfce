package transit_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"photovault/vault/keys/transit"
	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest/devstack"
)

func TestOptionsAreRefusedWithEveryFaultNamed(t *testing.T) {
	good := transit.Options{Address: "https://localhost:8200", Token: "hvs.secret"}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*transit.Options)
		faults int
	}{
		"nothing":             {func(o *transit.Options) { *o = transit.Options{} }, 2},
		"plain http":          {func(o *transit.Options) { o.Address = "http://localhost:8200" }, 1},
		"no scheme":           {func(o *transit.Options) { o.Address = "localhost:8200" }, 1},
		"a socket":            {func(o *transit.Options) { o.Address = "unix:///run/vault.sock" }, 1},
		"no host":             {func(o *transit.Options) { o.Address = "https://:8200" }, 1},
		"a path":              {func(o *transit.Options) { o.Address = "https://localhost:8200/v1" }, 1},
		"a password":          {func(o *transit.Options) { o.Address = "https://root:hvs.secret@localhost:8200" }, 1},
		"two credentials":     {func(o *transit.Options) { o.TokenFile = "/run/token" }, 1},
		"an empty AppRole":    {func(o *transit.Options) { o.Token, o.AppRole = "", &transit.AppRole{} }, 2},
		"a mount with dots":   {func(o *transit.Options) { o.Mount = "transit/../sys" }, 1},
		"a key with a slash":  {func(o *transit.Options) { o.Key = "photovault/config" }, 1},
		"a key of dots":       {func(o *transit.Options) { o.Key = ".." }, 1},
		"a key with a query":  {func(o *transit.Options) { o.Key = "photovault?x=1" }, 1},
		"a namespace of dots": {func(o *transit.Options) { o.Namespace = "../x" }, 1},
		"no time":             {func(o *transit.Options) { o.Timeout = time.Microsecond }, 1},
		"much time":           {func(o *transit.Options) { o.Timeout = time.Hour }, 2},
		"a small budget":      {func(o *transit.Options) { o.Budget = time.Second }, 1},
	} {
		o := good
		test.change(&o)
		err := o.Check()
		var faults transit.Faults
		if !errors.Is(err, transit.ErrConfiguration) || !errors.As(err, &faults) || len(faults) != test.faults {
			t.Errorf("%s: %d faults, want %d: %v", name, len(faults), test.faults, err)
			continue
		}
		if strings.Contains(err.Error(), "hvs.") {
			t.Errorf("%s: the error shows the token", name)
		}
		if s, err := transit.Open(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		}
	}
}

func TestOptionsDoNotPrintCredentials(t *testing.T) {
	o := transit.Options{Address: "https://h:1", Token: "hvs.secret", AppRole: &transit.AppRole{RoleID: "hvs.role", SecretIDFile: "/hvs.file"}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{o, &o, o.AppRole, *o.AppRole, struct{ O transit.Options }{o}} {
			if out := fmt.Sprintf(verb, v); strings.Contains(out, "hvs.") || strings.Contains(out, "6876732e") {
				t.Errorf("%s: %s", verb, out)
			}
		}
	}
}

// The client library reads some twenty variables. None may decide where data
// keys go, under whose name, or whether the server is who it says.
func TestNothingIsTakenFromTheEnvironment(t *testing.T) {
	stack := devstack.Need(t)
	x := transittest.Make(t, stack.Transit, transittest.Settings{})
	astray := newProxy(t, stack, stack.Transit.Address)
	astray.set(answer(http.StatusTeapot, "{}"))
	seen := newProxy(t, stack, stack.Transit.Address)
	var headers http.Header
	seen.set(func(_ http.ResponseWriter, r *http.Request) bool { headers = r.Header.Clone(); return false })
	for name, value := range map[string]string{
		"VAULT_ADDR": astray.address, "VAULT_AGENT_ADDR": astray.address, "VAULT_PROXY_ADDR": astray.address, "VAULT_HTTP_PROXY": astray.address,
		"HTTPS_PROXY": astray.address, "HTTP_PROXY": astray.address, "ALL_PROXY": astray.address, "https_proxy": astray.address,
		"VAULT_TOKEN": stack.Transit.RootToken, "VAULT_NAMESPACE": "elsewhere", "VAULT_HEADERS": `{"X-Astray":"1"}`, "VAULT_WRAP_TTL": "60s",
		"VAULT_MAX_RETRIES": "9", "VAULT_CLIENT_TIMEOUT": "1ms", "VAULT_RATE_LIMIT": "0.001:1", "VAULT_SRV_LOOKUP": "true",
		"VAULT_TLS_SERVER_NAME": "elsewhere.example", "VAULT_MFA": "x:y", "VAULT_DISABLE_REDIRECTS": "false",
	} {
		t.Setenv(name, value)
	}
	o := x.Service
	o.Address = seen.address
	s := open(t, o)
	for range 3 {
		k, _, err := s.NewDataKey(t.Context(), photoContext())
		if err != nil {
			t.Fatal(err)
		}
		k.Destroy()
	}
	if n := astray.calls.Load(); n != 0 {
		t.Errorf("%d calls went where the environment says", n)
	}
	for _, name := range []string{"X-Astray", "X-Vault-Namespace", "X-Vault-Wrap-Ttl", "X-Vault-Mfa"} {
		if headers.Get(name) != "" {
			t.Errorf("the header %s was sent", name)
		}
	}
	if headers.Get("X-Vault-Token") == stack.Transit.RootToken || headers.Get("X-Vault-Token") == "" {
		t.Error("the token of the environment was used")
	}
	// Verification cannot be turned off from there, and a faulty value is named.
	t.Setenv("VAULT_SKIP_VERIFY", "true")
	o = x.Service
	o.CAFile = "testdata/other-ca.pem"
	if err := failsToOpen(t, o); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("VAULT_SKIP_VERIFY was obeyed: %v", err)
	}
	t.Setenv("VAULT_CACERT", "/nonexistent")
	if s, err := transit.Open(t.Context(), x.Service); err == nil {
		s.Close()
		t.Error("opened")
	} else if !errors.Is(err, transit.ErrConfiguration) || !strings.Contains(err.Error(), "VAULT_") {
		t.Error(err)
	}
}

func TestTheNamespaceIsSent(t *testing.T) {
	stack := devstack.Need(t)
	p := newProxy(t, stack, stack.Transit.Address)
	var got string
	p.set(func(w http.ResponseWriter, r *http.Request) bool {
		got = r.Header.Get("X-Vault-Namespace")
		return answer(403, `{"errors":["permission denied"]}`)(w, r)
	})
	_, err := transit.Open(t.Context(), transit.Options{Address: p.address, CAFile: stack.CA, Namespace: "practices/one", Token: "hvs.x"})
	if !errors.Is(err, transit.ErrConfiguration) || strings.Trim(got, "/") != "practices/one" {
		t.Errorf("%q, %v", got, err)
	}
}
