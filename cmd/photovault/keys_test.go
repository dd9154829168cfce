package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"photovault/api"
	"photovault/vault"
)

// What a practice does after deletions: rotate, erase. A copy of the data
// folder from before, with the key file as it is now, opens nothing.
func TestKeysAreRotatedRewrappedAndErased(t *testing.T) {
	v := newVault(t)
	patient := v.patientWithConsent("MRN-KEYS")
	photo := photoFile(t, generatedPhoto(t))
	var p api.Photo
	if err := json.Unmarshal([]byte(v.must("provider", "put", photo, "--patient", patient, "--json")), &p); err != nil {
		t.Fatal(err)
	}
	v.stop()
	backup := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(backup, os.DirFS(filepath.Join(v.home, "data"))); err != nil {
		t.Fatal(err)
	}
	v.start()
	if _, stderr, err := v.run("admin", "keys", "erase", "--yes"); err == nil || !strings.Contains(stderr, "only version 1") {
		t.Errorf("erase with one version: %v %s", err, stderr)
	}
	if out := v.must("admin", "keys", "rotate", "wrapping"); !strings.Contains(out, "version 2") {
		t.Errorf("rotate: %s", out)
	}
	if _, stderr, err := v.run("admin", "keys", "erase"); err == nil || !strings.Contains(stderr, "--yes") {
		t.Errorf("erase without --yes: %v %s", err, stderr)
	}
	if _, stderr, err := v.run("provider", "keys", "rewrap"); err == nil || !strings.Contains(stderr, "role_not_allowed") {
		t.Errorf("rewrap by a provider: %v %s", err, stderr)
	}
	if out := v.must("admin", "keys", "erase", "--yes"); !strings.Contains(out, "below 2") {
		t.Errorf("erase: %s", out)
	}
	var state vault.KeyState
	if err := json.Unmarshal([]byte(v.must("admin", "keys", "list", "--json")), &state); err != nil || len(state.Erasures) != 1 || state.Erasures[0].DoneAt.IsZero() {
		t.Errorf("keys list: %v %+v", err, state)
	}
	v.must("admin", "keys", "rotate", "evidence")
	if out := v.must("provider", "photo", "receipt", string(p.ID)); !strings.Contains(out, "signature") {
		t.Errorf("receipt after rotating the evidence key: %s", out)
	}
	v.must("provider", "put", photoFile(t, generatedPhoto(t)), "--patient", patient)
	// Everything goes on after a restart.
	v.stop()
	v.start()
	if out := v.must("", "audit", "verify"); !strings.Contains(out, "intact") {
		t.Errorf("verify: %s", out)
	}
	v.must("provider", "get", string(p.ID), "--purpose", "clinical", "-o", filepath.Join(t.TempDir(), "out.jpg"))
	v.stop()
	// The copy from before the erasure.
	if err := os.Rename(filepath.Join(v.home, "data"), filepath.Join(v.home, "now")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(v.home, "data"), os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	if _, stderr, err := v.run("", "audit", "verify"); err == nil || !strings.Contains(stderr, "key") {
		t.Errorf("the old copy opened under the erased key: %v %s", err, stderr)
	}
}
