package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"photovault/api"
)

// A practice brings its own text, the patient signs it, and the paper is kept.
func TestCommandsOfTemplatesAndDocuments(t *testing.T) {
	v := newVault(t)
	patient := v.patientWithConsent("MRN-PAPER")
	folder := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := write("template.json", []byte(v.must("privacy", "consent", "template", "add", "--example")))
	var first api.Template
	if err := json.Unmarshal([]byte(v.must("privacy", "consent", "template", "add", text, "--json")), &first); err != nil {
		t.Fatal(err)
	}
	if out := v.must("privacy", "consent", "template", "add", text, "--of", string(first.ID)); out != string(first.ID)+" version 2" {
		t.Errorf("the next version: %s", out)
	}
	paper := []byte("%PDF-1.7 signed\n%%EOF")
	document := v.must("front-desk", "consent", "document", "add", write("signed.pdf", paper), "--patient", patient)
	if _, errs, err := v.run("front-desk", "consent", "document", "add", write("signed.exe", []byte("MZ")), "--patient", patient); err == nil {
		t.Errorf("kept what is no document: %s", errs)
	}

	var in map[string]any
	if err := json.Unmarshal([]byte(v.must("front-desk", "consent", "authorize", "--example")), &in); err != nil {
		t.Fatal(err)
	}
	in["patient"], in["template"], in["template_version"], in["document"] = patient, first.ID, 1, document
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	v.must("front-desk", "consent", "authorize", write("authorization.json", raw))

	copied := filepath.Join(folder, "copy.pdf")
	v.must("privacy", "consent", "document", "get", document, "-o", copied)
	if got, err := os.ReadFile(copied); err != nil || !bytes.Equal(got, paper) {
		t.Errorf("%q, %v", got, err)
	}
	if _, _, err := v.run("privacy", "consent", "document", "get", document, "-o", copied); err == nil {
		t.Error("a file was overwritten")
	}
	if out := v.must("", "fsck"); !bytes.Contains([]byte(out), []byte("nothing was found")) {
		t.Errorf("fsck: %s", out)
	}
}
