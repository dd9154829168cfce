package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"photovault/api"
	"photovault/imaging/specimen"
	"photovault/vault/id"
)

func runMain(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Main(args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestExitStatus(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("PHOTOVAULT_TOKEN", "")
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"help":                {[]string{"--help"}, exitDone, "photovault put"},
		"help as a word":      {[]string{"help"}, exitDone, "photovault put"},
		"help of one so":      {[]string{"help", "consent", "authorize"}, exitDone, "--example"},
		"help of a command":   {[]string{"consent", "authorize", "--help"}, exitDone, "--example"},
		"version":             {[]string{"version"}, exitDone, "FIPS 140-3"},
		"no command":          {nil, exitMisuse, "photovault --help"},
		"unknown command":     {[]string{"steal"}, exitMisuse, "photovault --help"},
		"unknown flag":        {[]string{"version", "--loud"}, exitMisuse, "loud"},
		"no vault there":      {[]string{"user", "list", "--home", empty}, exitFailed, "photovault init"},
		"bad id":              {[]string{"photo", "show", "../x", "--home", empty}, exitMisuse, "UUID"},
		"missing patient":     {[]string{"put", "x.jpg", "--home", empty}, exitMisuse, "--patient"},
		"serve without vault": {[]string{"serve", "--home", empty}, exitFailed, "photovault init"},
	} {
		code, stdout, stderr := runMain(c.args...)
		if code != c.code || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%s: exit %d, want %d with %q\n%s%s", name, code, c.code, c.says, stdout, stderr)
		}
	}
}

func TestInitRefusesToOverwrite(t *testing.T) {
	home := filepath.Join(t.TempDir(), "vault")
	if code, _, stderr := runMain("init", "--home", home); code != exitDone {
		t.Fatal(stderr)
	}
	before, err := os.ReadFile(filepath.Join(home, "keys", "kek.json"))
	if err != nil {
		t.Fatal(err)
	}
	if code, _, _ := runMain("init", "--home", home); code != exitFailed {
		t.Errorf("a second init exited with %d", code)
	}
	after, err := os.ReadFile(filepath.Join(home, "keys", "kek.json"))
	if err != nil || !bytes.Equal(before, after) {
		t.Error("the key-encryption key was changed")
	}
}

// Nothing that init makes is readable by others, but for what clients need.
func TestHomeIsPrivate(t *testing.T) {
	home := filepath.Join(t.TempDir(), "vault")
	if code, _, stderr := runMain("init", "--home", home); code != exitDone {
		t.Fatal(stderr)
	}
	public := map[string]bool{"client.json": true, "tls/ca.pem": true, "tls/server.pem": true}
	err := filepath.WalkDir(home, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(home, path)
		if info.Mode().Perm()&0o077 != 0 && !public[rel] {
			t.Errorf("%s has mode %v", rel, info.Mode().Perm())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a person types: the whole chain by commands, with --json where a
// machine would read.
func TestCommandsOnARunningVault(t *testing.T) {
	v := newVault(t)
	patient := v.patientWithConsent("MRN-CLI")
	if got := v.must("front-desk", "patient", "find", " mrn-cli "); got != patient {
		t.Errorf("found %q by record number, want %q", got, patient)
	}
	photo := photoFile(t, generatedPhoto(t))
	var p api.Photo
	if err := json.Unmarshal([]byte(v.must("provider", "put", photo, "--patient", patient, "--json")), &p); err != nil || p.State != "ready" {
		t.Fatalf("put: %v, state %s", err, p.State)
	}
	for _, c := range []struct {
		role, says string
		args       []string
	}{
		{"provider", "original", []string{"photo", "show", string(p.ID)}},
		{"provider", "EXIF", []string{"photo", "receipt", string(p.ID)}},
		{"front-desk", "ready", []string{"photo", "list", "--patient", patient}},
		{"marketing", "none", []string{"photo", "list", "--usable"}},
		{"front-desk", "active", []string{"consent", "list", "--patient", patient}},
		{"admin", "The provider", []string{"user", "list"}},
		{"admin", "MLKEM768-X25519", []string{"keys", "list"}},
		{"admin", "MLKEM768-X25519", []string{"keys", "rotate", "upload"}},
		{"privacy", "photo.ingest", []string{"audit", "list", "--limit", "1000"}},
		{"privacy", "photo.receipt", []string{"audit", "patient", patient}},
		{"", "intact", []string{"audit", "verify"}},
	} {
		if got := v.must(c.role, c.args...); !strings.Contains(got, c.says) {
			t.Errorf("photovault %v as %s does not say %q:\n%s", c.args, c.role, c.says, got)
		}
		if c.role != "" {
			if got := v.must(c.role, append(c.args, "--json")...); !json.Valid([]byte(got)) {
				t.Errorf("photovault %v --json is not JSON:\n%s", c.args, got)
			}
		}
	}
	for _, role := range []string{"front-desk", "marketing", "admin", "privacy"} {
		if _, stderr, err := v.run(role, "get", string(p.ID), "--purpose", "clinical"); err == nil || !strings.Contains(stderr, "role_not_allowed") {
			t.Errorf("%s opened a photo for care: %v %s", role, err, stderr)
		}
	}
	if _, stderr, err := v.run("provider", "photo", "show", string(id.New[id.Photo]())); err == nil || !strings.Contains(stderr, "not_found") {
		t.Errorf("a photo that is not there: %v %s", err, stderr)
	}
	accounts := v.must("admin", "user", "list", "--json")
	marketing := regexp.MustCompile(`"id": "([0-9a-f-]+)",\s+"name": "The marketing"`).FindStringSubmatch(accounts)
	if marketing == nil {
		t.Fatal(accounts)
	}
	v.must("admin", "user", "revoke", marketing[1])
	if _, stderr, err := v.run("marketing", "photo", "list", "--usable"); err == nil || !strings.Contains(stderr, "unauthenticated") {
		t.Errorf("a revoked account goes on: %v %s", err, stderr)
	}
}

// A canary in everything a person types must not stand in any log, nor in
// clear in any file but the upload's own.
func TestNothingThatNamesAPersonIsLeftInClear(t *testing.T) {
	v := newVault(t)
	const canary = "Zyxwvutina"
	patient := v.must("front-desk", "patient", "add", "MRN-"+canary, "--name", canary+" Name")
	v.must("front-desk", "consent", "clinical", "--patient", patient, "--signer", canary+" Signer")
	photo := photoFile(t, generatedPhoto(t))
	v.must("provider", "put", photo, "--patient", patient, "--body-site", canary+"-site", "--view", canary)
	v.must("front-desk", "patient", "find", "MRN-"+canary)
	log := []byte(v.log.String())
	v.stop()
	for name, text := range map[string][]byte{"log": log} {
		if bytes.Contains(bytes.ToLower(text), []byte(strings.ToLower(canary))) {
			t.Errorf("%s names a person", name)
		}
	}
	err := filepath.WalkDir(v.home, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(bytes.ToLower(b), []byte(strings.ToLower(canary))) {
			t.Errorf("%s names a person", d.Name())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A rendition over 4 MiB is not held whole: it streams, after the request that
// opened it was handled, and arrives bit for bit.
func TestLargeOriginalStreams(t *testing.T) {
	v := newVault(t)
	patient := v.patientWithConsent("MRN-LARGE")
	large := specimen.JPEG(specimen.Options{Width: 5000, Height: 4000, Quality: 97, Seed: 3, GPS: true})
	var p api.Photo
	if err := json.Unmarshal([]byte(v.must("provider", "put", photoFile(t, large), "--patient", patient, "--json")), &p); err != nil {
		t.Fatal(err)
	}
	original := p.Renditions[0]
	if original.Size <= 4<<20 {
		t.Fatalf("the original has only %d bytes", original.Size)
	}
	file := filepath.Join(t.TempDir(), "original.jpg")
	v.must("provider", "get", string(p.ID), "--purpose", "clinical", "--rendition", "original", "-o", file)
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != original.SHA256 {
		t.Errorf("%d bytes arrived, not the original's %d", len(got), original.Size)
	}
	if trail := v.must("privacy", "audit", "patient", patient); strings.Contains(trail, "incomplete") {
		t.Errorf("a whole delivery is logged as incomplete:\n%s", trail)
	}
}
