package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A second practice has people, keys, a log and a checkpoint of its own; the
// two see nothing of each other.
func TestASecondPracticeIsAdded(t *testing.T) {
	v := newVault(t)
	if _, errs, err := v.run("", "practice", "add"); err == nil || !strings.Contains(errs, "stop it first") {
		t.Errorf("added beside a running embedded service: %v %s", err, errs)
	}
	known := v.must("front-desk", "patient", "add", "MRN-1")
	v.stop()
	var added struct{ Home, Practice string }
	if err := json.Unmarshal([]byte(v.must("", "practice", "add", "--admin", "Dr. Vidal", "--json")), &added); err != nil {
		t.Fatal(err)
	}
	v.start()

	south := &vaultProcess{t: t, home: added.Home, address: v.address, tokens: map[string]string{}}
	token, err := os.ReadFile(filepath.Join(added.Home, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	south.tokens["admin"] = strings.TrimSpace(string(token))
	for _, role := range []string{"provider", "front-desk"} {
		south.tokens[role] = south.must("admin", "user", "add", "The "+role, "--role", role)
	}
	if out, errs, err := south.run("front-desk", "patient", "find", "MRN-1"); err == nil {
		t.Errorf("the other practice's patient was found: %s %s", out, errs)
	}
	own := south.must("front-desk", "patient", "add", "MRN-1") // numbers are a practice's own
	if own == known {
		t.Error("both practices have one patient")
	}
	south.must("front-desk", "consent", "clinical", "--patient", own, "--signer", "Pat Example")
	provider := south.must("provider", "patient", "add", "MRN-2")
	south.must("provider", "consent", "clinical", "--patient", provider, "--signer", "Pat Example")
	photo := strings.Fields(south.must("provider", "put", photoFile(t, generatedPhoto(t)), "--patient", provider))[0]
	if out, _, err := v.run("privacy", "photo", "show", photo); err == nil {
		t.Errorf("the first practice sees it: %s", out)
	}
	for _, of := range [][]string{nil, {"--practice", added.Practice}} {
		if out := v.must("", append([]string{"audit", "verify"}, of...)...); !strings.Contains(out, "intact") {
			t.Errorf("audit verify %v: %s", of, out)
		}
		if out := v.must("", append([]string{"fsck", "--read-data"}, of...)...); !strings.Contains(out, "nothing was found") {
			t.Errorf("fsck %v: %s", of, out)
		}
	}
	if list := v.must("", "practice", "list"); !strings.Contains(list, added.Practice) || strings.Count(list, "\n") != 2 {
		t.Errorf("practice list: %s", list)
	}
	if _, err := os.Stat(filepath.Join(v.home, "keys", "checkpoint-"+added.Practice+".json")); err != nil {
		t.Errorf("the second practice has no checkpoint outside: %v", err)
	}
}
