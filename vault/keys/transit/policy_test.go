package transit_test

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest/devstack"
)

// attempt is one request; MOUNT and KEY stand for the setup's names.
type attempt struct {
	method, path string
	body         map[string]any
}

var (
	some = base64.StdEncoding.EncodeToString([]byte("photovault"))
	text = "vault:v1:" + strings.Repeat("A", 80)
)

// serviceOnly is what the service may do and the operator may not.
var serviceOnly = []attempt{
	{"POST", "MOUNT/datakey/plaintext/KEY", map[string]any{"context": some}},
	{"POST", "MOUNT/decrypt/KEY", map[string]any{"ciphertext": text, "context": some}},
	{"POST", "MOUNT/rewrap/KEY", map[string]any{"batch_input": []any{map[string]any{"ciphertext": text, "context": some}}}},
}

// operatorOnly is the reverse.
var operatorOnly = []attempt{
	{"POST", "MOUNT/keys/KEY/rotate", map[string]any{}},
	{"POST", "MOUNT/keys/KEY/config", map[string]any{"min_decryption_version": 1, "min_encryption_version": 1}},
	{"POST", "MOUNT/keys/KEY/trim", map[string]any{"min_available_version": 1}},
}

var both = []attempt{
	{"GET", "MOUNT/keys/KEY", nil},
	{"GET", "auth/token/lookup-self", nil},
	{"POST", "auth/token/renew-self", map[string]any{}},
}

// neither is what none of the two may do, whatever a thief of their token tries.
var neither = []attempt{
	{"POST", "MOUNT/keys/KEY/config", map[string]any{"exportable": true}},
	{"POST", "MOUNT/keys/KEY/config", map[string]any{"allow_plaintext_backup": true}},
	{"POST", "MOUNT/keys/KEY/config", map[string]any{"deletion_allowed": true}},
	{"POST", "MOUNT/keys/KEY/config", map[string]any{"auto_rotate_period": "0"}},
	{"POST", "MOUNT/keys/KEY/config", map[string]any{"min_decryption_version": 1, "exportable": true}},
	{"POST", "MOUNT/keys/KEY/rotate", map[string]any{"managed_key_name": "x"}},
	{"POST", "MOUNT/datakey/plaintext/KEY", map[string]any{"context": some, "bits": 512}},
	{"POST", "MOUNT/datakey/plaintext/KEY", map[string]any{"context": some, "nonce": some}},
	{"POST", "MOUNT/datakey/wrapped/KEY", map[string]any{"context": some}},
	{"POST", "MOUNT/decrypt/KEY", map[string]any{"batch_input": []any{map[string]any{"ciphertext": text, "context": some}}}},
	{"POST", "MOUNT/encrypt/KEY", map[string]any{"plaintext": some, "context": some}},
	{"POST", "MOUNT/encrypt/a-new-key", map[string]any{"plaintext": some, "context": some}},
	{"GET", "MOUNT/export/encryption-key/KEY", nil},
	{"GET", "MOUNT/export/hmac-key/KEY/1", nil},
	{"GET", "MOUNT/byok-export/KEY/OTHER", nil},
	{"GET", "MOUNT/backup/KEY", nil},
	{"POST", "MOUNT/restore/KEY", map[string]any{"backup": "x"}},
	{"DELETE", "MOUNT/keys/KEY", nil},
	{"POST", "MOUNT/keys/KEY", map[string]any{}},
	{"POST", "MOUNT/keys/a-new-key", map[string]any{}},
	{"POST", "MOUNT/keys/KEY/import_version", map[string]any{"ciphertext": "x"}},
	{"LIST", "MOUNT/keys", nil},
	{"GET", "MOUNT/keys/OTHER", nil},
	{"POST", "MOUNT/keys/OTHER/rotate", map[string]any{}},
	{"POST", "MOUNT/keys/OTHER/trim", map[string]any{"min_available_version": 1}},
	{"POST", "MOUNT/datakey/plaintext/OTHER", map[string]any{"context": some}},
	{"POST", "MOUNT/decrypt/OTHER", map[string]any{"ciphertext": text, "context": some}},
	{"POST", "MOUNT/rewrap/OTHER", map[string]any{"batch_input": []any{map[string]any{"ciphertext": text, "context": some}}}},
	{"POST", "MOUNT/hmac/KEY", map[string]any{"input": some}},
	{"POST", "MOUNT/sign/KEY", map[string]any{"input": some}},
	{"POST", "MOUNT/random/32", map[string]any{}},
	{"POST", "MOUNT/cache-config", map[string]any{"size": 10}},
	{"GET", "MOUNT/config/keys", nil},
	{"POST", "MOUNT/config/keys", map[string]any{"disable_upsert": false}},
	{"GET", "sys/mounts", nil},
	{"POST", "sys/mounts/another", map[string]any{"type": "transit"}},
	{"DELETE", "sys/mounts/MOUNT", nil},
	{"POST", "sys/remount", map[string]any{"from": "MOUNT", "to": "elsewhere"}},
	{"PUT", "sys/seal", nil},
	{"POST", "sys/raw/core", map[string]any{"value": "x"}},
	{"GET", "sys/policies/acl/SERVICE", nil},
	{"PUT", "sys/policies/acl/SERVICE", map[string]any{"policy": `path "*" { capabilities = ["sudo"] }`}},
	{"PUT", "sys/audit/file", map[string]any{"type": "file", "options": map[string]any{"file_path": "discard"}}},
	{"GET", "sys/storage/raft/snapshot", nil},
	{"POST", "sys/capabilities-self", map[string]any{"paths": []string{"MOUNT/keys/KEY"}}},
	{"POST", "sys/wrapping/wrap", map[string]any{"x": 1}},
	{"GET", "sys/auth", nil},
	{"POST", "auth/token/create", map[string]any{}},
	{"POST", "auth/token/create-orphan", map[string]any{}},
	{"POST", "auth/token/lookup", map[string]any{"token": "x"}},
	{"LIST", "auth/token/accessors", nil},
	{"GET", "AUTH/role-id", nil},
	{"POST", "AUTH/secret-id", map[string]any{}},
	{"POST", "AUTH", map[string]any{"token_policies": "root"}},
	{"POST", "cubbyhole/x", map[string]any{"x": 1}},
	{"GET", "identity/entity/id", nil},
}

func TestEachTokenMayDoItsPartAndNothingElse(t *testing.T) {
	x := transittest.Make(t, devstack.Need(t).Transit, transittest.Settings{})
	x.MakeKey(t, "other-"+x.Key, map[string]any{"deletion_allowed": true})
	for _, who := range []struct {
		name        string
		token       string
		may, mayNot []attempt
	}{
		{"service", x.ServiceToken(t, time.Hour), append(slices.Clone(both), serviceOnly...), append(slices.Clone(neither), operatorOnly...)},
		{"operator", x.OperatorToken(t, time.Hour), append(slices.Clone(both), operatorOnly...), append(slices.Clone(neither), serviceOnly...)},
	} {
		as := x.Root.As(who.token)
		try := func(a attempt) int {
			t.Helper()
			path := strings.NewReplacer("MOUNT", x.Mount, "KEY", x.Key, "OTHER", "other-"+x.Key, "AUTH", x.RolePath()).Replace(a.path)
			status, _, err := as.Do(t.Context(), a.method, path, a.body)
			if err != nil {
				t.Fatal(err)
			}
			return status
		}
		for _, a := range who.may {
			if status := try(a); status == http.StatusForbidden {
				t.Errorf("%s: %s %s is refused", who.name, a.method, a.path)
			}
		}
		for _, a := range who.mayNot {
			if status := try(a); status != http.StatusForbidden {
				t.Errorf("%s: %s %s %v answers %d, want 403", who.name, a.method, a.path, a.body, status)
			}
		}
		if status, _, err := as.Do(t.Context(), http.MethodPost, "auth/token/revoke-self", nil); err != nil || status != http.StatusNoContent {
			t.Errorf("%s cannot give its token back: %d, %v", who.name, status, err)
		}
	}
	t.Logf("%d kinds of request refused to each", len(neither)+3)
}
