package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest/devstack"
	"photovault/vault/vaulttest/faultproxy"
)

// HashiCorp Vault is sealed, restarted, slow, out of reach, or no longer knows
// the service's token.
func TestSoakFaultsOfTransit(t *testing.T) {
	t.Parallel()
	servers := devstack.Need(t)
	own := servers.OwnTransit(t)
	setup := transittest.Make(t, own.Transit, transittest.Settings{})
	proxy := faultproxy.New(t, strings.TrimPrefix(own.Address, "https://"))
	on := sharedGround(t)
	on.keys = setup.Service
	on.way = func(_ int, at *ways) { at.keys = "https://" + proxy.Addr }
	c := newClusterOn(t, 2, on)
	endure(t, c.site(), []fault{
		{name: "Vault is sealed, and unsealed", lasts: 1500 * time.Millisecond,
			begin: func(t *testing.T) { setup.Root.Seal(t) },
			heal:  func(t *testing.T) { setup.Root.Unseal(t, own.UnsealKey) }},
		{name: "Vault is killed, and started", lasts: 500 * time.Millisecond,
			begin: func(t *testing.T) { own.Kill(t) },
			heal:  func(t *testing.T) { own.Start(t) }},
		{name: "Vault is slow", lasts: 2500 * time.Millisecond,
			begin: func(*testing.T) { proxy.Delay(600 * time.Millisecond) },
			heal:  func(*testing.T) { proxy.Delay(0) }},
		{name: "Vault says nothing", lasts: 4 * time.Second,
			begin: func(*testing.T) { proxy.Stall(true) },
			heal:  func(*testing.T) { proxy.Stall(false) }},
		{name: "Vault is cut off", lasts: 1500 * time.Millisecond,
			begin: func(*testing.T) { proxy.Refuse(true); proxy.Cut() },
			heal:  func(*testing.T) { proxy.Refuse(false) }},
		revokedTokens(setup),
	})
}

// revokedTokens: every token of the service is revoked; it logs in anew.
func revokedTokens(setup *transittest.Setup) fault {
	before, anew := map[string]bool{}, false
	tokens := func(t *testing.T) map[string]bool {
		t.Helper()
		list := map[string]bool{}
		data, _ := setup.Root.Must(t, "LIST", "auth/token/accessors", nil)["data"].(map[string]any)
		all, _ := data["keys"].([]any)
		for _, a := range all {
			accessor, _ := a.(string)
			status, answer, err := setup.Root.Do(t.Context(), http.MethodPost, "auth/token/lookup-accessor", map[string]any{"accessor": accessor})
			if err != nil {
				t.Fatal(err)
			}
			of, _ := answer["data"].(map[string]any)
			if path, _ := of["path"].(string); status == http.StatusOK && path == "auth/"+setup.Auth+"/login" {
				list[accessor] = true
			}
		}
		return list
	}
	return fault{name: "Vault's token is revoked", lasts: time.Second,
		begin: func(t *testing.T) {
			if before = tokens(t); len(before) < 2 {
				t.Errorf("two replicas have %d tokens", len(before))
			}
			for accessor := range before {
				setup.Root.Must(t, http.MethodPost, "auth/token/revoke-accessor", map[string]any{"accessor": accessor})
			}
		},
		heal: func(t *testing.T) {
			waitFor(t, time.Minute, func() bool { return len(tokens(t)) >= 2 })
			anew = true
			now := tokens(t)
			for accessor := range now {
				anew = anew && !before[accessor]
			}
			if anew = anew && len(now) >= 2; !anew {
				t.Errorf("the replicas have not logged in anew: %d tokens", len(now))
			}
		},
		felt: func() bool { return anew }}
}
