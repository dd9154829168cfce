package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"photovault/api"
)

// Relations, restrictions, emergencies, campaigns and explanations, by the
// commands that people type.
func TestCommandsOfConsent(t *testing.T) {
	v := newVault(t)
	patient := v.patientWithConsent("MRN-CONSENT")
	var p api.Photo
	if err := json.Unmarshal([]byte(v.must("provider", "put", photoFile(t, generatedPhoto(t)), "--patient", patient, "--json")), &p); err != nil {
		t.Fatal(err)
	}
	photo := string(p.ID)
	v.tokens["colleague"] = v.must("admin", "user", "add", "The colleague", "--role", "provider")
	var colleague string
	for _, line := range strings.Split(v.must("admin", "user", "list"), "\n") {
		if strings.Contains(line, "The colleague") {
			colleague, _, _ = strings.Cut(line, " ")
		}
	}
	says := func(role, want string, args ...string) string {
		t.Helper()
		out, errs, err := v.run(role, args...)
		if out += errs; err != nil && errs == "" {
			t.Fatal(err)
		}
		if !strings.Contains(out, want) {
			t.Errorf("%s %v: %q is not in\n%s", role, args, want, out)
		}
		return strings.TrimSpace(out)
	}
	says("colleague", "no_relation", "get", photo, "--purpose", "clinical")
	says("colleague", "open for care until", "patient", "emergency", patient, "--reason", "anaphylaxis")
	says("colleague", "emergency/", "consent", "explain", photo, "--purpose", "clinical")
	owed := says("privacy", "anaphylaxis", "review")
	emergency, _, _ := strings.Cut(strings.Split(owed, "\n")[1], " ")
	says("privacy", "reviewed", "review", "done", emergency, "--finding", "justified")
	says("privacy", "none", "review", "list")
	assignment := v.must("front-desk", "patient", "assign", patient, colleague)
	says("colleague", "assignment/", "consent", "explain", photo, "--purpose", "clinical")
	says("front-desk", "ended", "consent", "end", assignment)

	const recipient = "Clinic \u202ewebsite" // which turns around what stands behind it
	campaign := v.must("marketing", "campaign", "add", "Spring", "--purpose", "Show results of treatment to prospective patients",
		"--recipient", recipient, "--channel", "website", "--until", "2099-01-01")
	says("front-desk", "Spring", "campaign", "list")
	release := []string{"--purpose", "marketing", "--recipient", recipient, "--channel", "website", "--campaign", campaign}
	says("privacy", "164.508(a)(3)(i)", append([]string{"consent", "explain", photo}, release...)...)

	var example map[string]any
	if err := json.Unmarshal([]byte(v.must("front-desk", "consent", "authorize", "--example")), &example); err != nil {
		t.Fatal(err)
	}
	example["patient"], example["draft"], example["recipients"] = patient, true, []string{recipient}
	delete(example, "copy_given_at")
	file := filepath.Join(t.TempDir(), "draft.json")
	text, err := json.Marshal(example)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	draft := v.must("front-desk", "consent", "authorize", file)
	says("front-desk", "draft", "consent", "list", "--patient", patient)
	says("marketing", "authorization_incomplete", append([]string{"get", photo}, release...)...)
	says("front-desk", "has a copy", "consent", "copy", draft)
	says("marketing", "allowed by", append([]string{"consent", "explain", photo}, release...)...)
	says("marketing", campaign, "photo", "list", "--usable")
	says("privacy", "record/"+patient, append([]string{"consent", "explain", photo}, release...)...)

	says("marketing", "none", "takedown", "list")
	v.must("marketing", append([]string{"get", photo, "-o", filepath.Join(t.TempDir(), "web.jpg")}, release...)...)
	restriction := v.must("front-desk", "consent", "restrict", "--patient", patient, "--photo", photo, "--purpose", "marketing", "--reason", "recognised")
	says("marketing", "photo_restricted", append([]string{"get", photo}, release...)...)
	due := says("marketing", "asked that this photo not be used", "takedown", "list")
	takedown, _, _ := strings.Cut(strings.Split(due, "\n")[1], " ")
	says("marketing", "must come down", "photo", "list", "--usable")
	says("marketing", "give --evidence", "takedown", "confirm", takedown)
	says("marketing", "1 confirmed", "takedown", "confirm", takedown, "--evidence", "taken off the page\x1b[2J", "--document", file)
	says("privacy", "taken off the page\uFFFD[2J", "takedown", "show", takedown)
	says("privacy", "Clinic \uFFFDwebsite", "audit", "disclosures", patient)
	page := filepath.Join(t.TempDir(), "accounting.html")
	says("privacy", "1 disclosures", "audit", "disclosures", patient, "--html", page)
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "Exempt: authorization") || strings.Contains(string(text), "MRN-CONSENT") ||
		!strings.Contains(string(text), "Clinic \uFFFDwebsite") {
		t.Errorf("%v: the page is\n%s", err, text)
	}
	says("marketing", "none", "takedown", "list")
	says("privacy", "confirmed", "takedown", "list", "--all")
	says("front-desk", "role_not_allowed", "takedown", "list")
	says("front-desk", "ended", "consent", "end", restriction)
	says("marketing", "closed", "campaign", "close", campaign)
	says("marketing", "campaign_not_running", append([]string{"get", photo}, release...)...)
}
