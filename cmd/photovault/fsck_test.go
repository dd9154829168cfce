package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"photovault/api"
	"photovault/vault"
)

func TestFsckFindsAFlippedBitAndSaysWhatToDo(t *testing.T) {
	v := newVault(t)
	patient := v.patientWithConsent("MRN-FSCK")
	var p api.Photo
	if err := json.Unmarshal([]byte(v.must("provider", "put", photoFile(t, generatedPhoto(t)), "--patient", patient, "--json")), &p); err != nil {
		t.Fatal(err)
	}
	v.must("provider", "get", string(p.ID), "--purpose", "clinical", "-o", filepath.Join(t.TempDir(), "out.jpg"))
	for _, args := range [][]string{{"fsck"}, {"fsck", "--read-data"}} { // beside the running service
		if out := v.must("", args...); !strings.Contains(out, "nothing was found") {
			t.Errorf("%v: %s", args, out)
		}
	}
	var object string
	err := filepath.WalkDir(filepath.Join(v.home, "data", "objects", "photos"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !isMark(path) {
			object = path
		}
		return err
	})
	if err != nil || object == "" {
		t.Fatal(err, object)
	}
	b, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(object, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := v.must("", "fsck"); !strings.Contains(out, "nothing was found") {
		t.Errorf("without reading: %s", out)
	}
	out, stderr, err := v.run("", "fsck", "--read-data")
	if err == nil || !strings.Contains(out, "object_broken") || !strings.Contains(out, "restore it") || !strings.Contains(stderr, "1 findings") {
		t.Errorf("a flipped bit: %v\n%s\n%s", err, out, stderr)
	}
	out, _, err = v.run("", "fsck", "--read-data", "--json")
	var report vault.FsckReport
	if jsonErr := json.Unmarshal([]byte(out), &report); err == nil || jsonErr != nil || len(report.Findings) != 1 || report.Findings[0].Code != "object_broken" {
		t.Errorf("as JSON: %v %v %s", err, jsonErr, out)
	}
	if out := v.must("privacy", "audit", "patient", patient); !strings.Contains(out, "photo.verify") {
		t.Errorf("the verification is not in the trail: %s", out)
	}
	v.stop()
	if _, _, err := v.run("", "fsck", "--read-data"); err == nil { // without the service too
		t.Error("a flipped bit was not found while the service is down")
	}
}
