package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"photovault/cmd/photovault/config"
)

func TestConfigurationsAreShownAndChecked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	for want, args := range map[string][]string{"postgres:": {"config", "example"}, "sqlite:": {"config", "example", "--one-machine"}} {
		code, text, errs := runMain(args...)
		if code != exitDone || !strings.Contains(text, want) {
			t.Fatalf("%d %s%s", code, text, errs)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(text, "swap: none", "swap: perhaps", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		code, text, errs = runMain("config", "check", "--config", file, "--json")
		var found struct {
			Valid  bool
			Faults config.Faults
		}
		if err := json.Unmarshal([]byte(text), &found); err != nil || code != exitFailed || found.Valid {
			t.Fatalf("%d %v %s%s", code, err, text, errs)
		}
		// The files are not there either; all of it is told at once.
		for _, path := range []string{"swap", "server.certificate", "server.key", "checkpoint"} {
			if !slices.ContainsFunc(found.Faults, func(f config.Fault) bool { return f.Path == path && f.Line > 0 }) {
				t.Errorf("nothing about %s in %v", path, found.Faults)
			}
		}
		if code, _, errs := runMain("serve", "--config", file); code != exitFailed || !strings.Contains(errs, "swap") {
			t.Errorf("serve: %d %s", code, errs)
		}
	}
}
