// Package sealer_test runs the JavaScript sealer under Node and in Chromium,
// and opens what it sealed with the service's own packages.
package sealer_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"photovault/vault/envelope"
	"photovault/vault/id"
	"photovault/vault/secret"
)

var suites = []envelope.Suite{envelope.MLKEM768X25519, envelope.P256}

// missing skips, or fails where nothing may be left out.
func missing(t testing.TB) func(format string, args ...any) {
	if os.Getenv("PHOTOVAULT_REQUIRE") == "all" {
		return t.Fatalf
	}
	return t.Skipf
}

// app is a folder in which the sealer is installed as a package beside those
// that it and the tests depend on, and which holds the scripts of testdata.
type app struct {
	testing.TB
	node, folder string
}

func newApp(t testing.TB) app {
	t.Helper()
	missing := missing(t)
	node, err := exec.LookPath("node")
	if err != nil {
		missing("node is not installed: %v", err)
	}
	modules := os.Getenv("PHOTOVAULT_NODE_MODULES")
	if modules == "" {
		modules = "testdata/node_modules"
	}
	if modules, err = filepath.Abs(modules); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hpke", "@panva/hpke-noble", "tus-js-client"} {
		if _, err := os.Stat(filepath.Join(modules, name)); err != nil {
			missing("npm package %s is not in %s: run npm install in api/web/sealer/testdata, or set PHOTOVAULT_NODE_MODULES", name, modules)
		}
	}
	a := app{t, node, t.TempDir()}
	installed := filepath.Join(a.folder, "node_modules")
	must(t, os.MkdirAll(filepath.Join(installed, "photovault-sealer"), 0o700))
	entries, err := os.ReadDir(modules)
	must(t, err)
	for _, e := range entries {
		if e.IsDir() && e.Name() != ".bin" {
			must(t, os.Symlink(filepath.Join(modules, e.Name()), filepath.Join(installed, e.Name())))
		}
	}
	a.copy(filepath.Join(installed, "photovault-sealer"), "*.js", "package.json")
	a.copy(a.folder, "testdata/*.mjs")
	return a
}

func (a app) copy(to string, patterns ...string) {
	a.Helper()
	for _, p := range patterns {
		files, err := filepath.Glob(p)
		must(a, err)
		if len(files) == 0 {
			a.Fatalf("no file is called %s", p)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			must(a, err)
			must(a, os.WriteFile(filepath.Join(to, filepath.Base(f)), b, 0o600))
		}
	}
}

// run asks a script a question and returns its answer.
func run[T any](a app, question any, script string, flags ...string) (answer T) {
	a.Helper()
	input, err := json.Marshal(question)
	must(a, err)
	cmd := exec.CommandContext(a.Context(), a.node, append(flags, "--no-warnings", script)...)
	cmd.Dir = a.folder
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		a.Fatalf("%s: %v\n%s", script, err, &stderr)
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		a.Fatalf("%s: %v\n%s", script, err, out)
	}
	return answer
}

// clinic is a practice with an upload key of each suite.
type clinic struct {
	practice id.Practice
	signer   ed25519.PrivateKey
	keys     map[id.UploadKey]*envelope.PrivateKey
	list     *envelope.SignedKeys
}

// enrolment is what a tablet has, as seal() takes it.
type enrolment struct {
	UploadKeys any         `json:"uploadKeys"`
	Pinned     []byte      `json:"pinned"` // base64
	Practice   id.Practice `json:"practice"`
}

func newClinic(t testing.TB, until time.Time) *clinic {
	t.Helper()
	_, signer, err := ed25519.GenerateKey(nil)
	must(t, err)
	c := &clinic{practice: id.New[id.Practice](), signer: signer, keys: map[id.UploadKey]*envelope.PrivateKey{}}
	var public []envelope.PublicKey
	for _, s := range suites {
		seed := secret.New()
		k, err := envelope.NewPrivateKey(s, id.New[id.UploadKey](), seed)
		must(t, err)
		seed.Destroy()
		c.keys[k.ID()] = k
		public = append(public, envelope.PublicKey{ID: k.ID(), Suite: s, Key: k.Public(), SealUntil: until})
	}
	c.sign(t, public...)
	return c
}

func (c *clinic) sign(t testing.TB, keys ...envelope.PublicKey) {
	t.Helper()
	var err error
	c.list, err = envelope.Sign(c.signer, c.practice, keys, time.Now())
	must(t, err)
}

func (c *clinic) pinned() ed25519.PublicKey { return c.signer.Public().(ed25519.PublicKey) }

func (c *clinic) enrolment() enrolment { return enrolment{c.list, c.pinned(), c.practice} }

func (c *clinic) find(k id.UploadKey) (*envelope.PrivateKey, error) {
	if key := c.keys[k]; key != nil {
		return key, nil
	}
	return nil, envelope.ErrUnknownKey
}

// patterned yields what the scripts seal: byte i is (i*7 + i>>8) mod 256.
func patterned(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused fails unless err is the envelope's refusal.
func refused(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.Is(err, envelope.ErrRefused) {
		t.Errorf("%s: %v, want %v", what, err, envelope.ErrRefused)
	}
}
