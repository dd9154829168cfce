package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"photovault/vault/keys/localkek"
)

// production writes a configuration whose files are all there, and returns its
// text and folder.
func production(t *testing.T) (text, dir string) {
	t.Helper()
	dir = t.TempDir()
	h := home(dir)
	if err := os.Mkdir(h.path("tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := h.makeAuthority(time.Now(), []string{"vault.clinic.example"}); err != nil {
		t.Fatal(err)
	}
	text = exampleConfig
	for from, to := range map[string]string{
		"PRACTICE":                   "0b0c8a3e-6f0e-4a53-9d9f-6f4b1f0a2c11",
		"/etc/photovault/server.pem": h.tls("server.pem"), "/etc/photovault/server.key": h.tls("server.key"),
		"/etc/photovault/transit-ca.pem": h.tls("ca.pem"), "/etc/photovault/db-ca.pem": h.tls("ca.pem"),
		"/var/lib/photovault/checkpoint.json": filepath.Join(dir, "checkpoint.json"),
		"/etc/photovault/secret-id":           filepath.Join(dir, "secret-id"), "/etc/photovault/s3.json": filepath.Join(dir, "s3.json"),
		"/etc/photovault/db-password": filepath.Join(dir, "db-password"),
	} {
		if !strings.Contains(text, from) {
			t.Fatalf("the example has no %s", from)
		}
		text = strings.ReplaceAll(text, from, to)
	}
	for _, name := range []string{"secret-id", "s3.json", "db-password"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return text, dir
}

func checked(t *testing.T, text string) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(path)
	if err != nil {
		return err
	}
	return c.check()
}

func TestTheExampleIsAcceptedOnceItsFilesAreThere(t *testing.T) {
	if err := checkSwap(false); err != nil {
		t.Skip(err)
	}
	text, _ := production(t)
	if err := checked(t, text); err != nil {
		t.Error(err)
	}
}

// Every setting stands in the example, commented out or not.
func TestTheExampleNamesEverySetting(t *testing.T) {
	var walk func(t reflect.Type, path string)
	walk = func(of reflect.Type, path string) {
		for i := range of.NumField() {
			f := of.Field(i)
			name := f.Tag.Get("yaml")
			if !strings.Contains(exampleConfig, name+":") {
				t.Errorf("%s.%s is not in the example", path, name)
			}
			in := f.Type
			if in.Kind() == reflect.Pointer {
				in = in.Elem()
			}
			if in.Kind() == reflect.Struct {
				walk(in, path+"."+name)
			}
		}
	}
	walk(reflect.TypeOf(config{}), "")
}

func TestEachFaultIsNamed(t *testing.T) {
	text, dir := production(t)
	other := home(t.TempDir())
	if err := os.Mkdir(other.path("tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := other.makeAuthority(time.Now().Add(-2*certificateLife), []string{"vault.clinic.example"}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, new string
		says     []string
	}{
		"plain text to transit":      {"https://transit.clinic", "http://transit.clinic", []string{"keys.transit", "https://"}},
		"plain text to the bucket":   {"https://s3.eu", "http://s3.eu", []string{"objects.s3", "https://"}},
		"no region":                  {"region: eu-central-1 ", `region: "" `, []string{"objects.s3", "region"}},
		"no practice":                {"practice: 0b0c8a3e", "practice: x", []string{"practice", "UUID"}},
		"an unknown setting":         {"swap: none", "swapp: none", []string{"line ", "no setting swapp"}},
		"a setting twice":            {"swap: none", "swap: none\nswap: none", []string{"line ", "twice"}},
		"a setting of another kind":  {"port: 5432", "port: often", []string{"line ", "another kind"}},
		"a secret that is not there": {"db-password", "db-passwort", []string{"catalog.postgres.password_file", "cannot be read"}},
		"both object stores":         {"# directory: ", "  # \n  directory: ", []string{"objects", "one of s3 and directory"}},
		"one machine's database":     {"# sqlite: ", "  # \n  sqlite: ", []string{"catalog", "one of postgres and sqlite"}},
		"retention of nonsense":      {"retention_days: 0", "retention_days: -5", []string{"objects.s3", "retention"}},
		"a server without https":     {"url: https://", "url: http://", []string{"server.url", "https://"}},
		"another host's certificate": {"vault.clinic.example", "vault.other.example", []string{"server.certificate", "host"}},
		"an expired certificate":     {home(dir).path("tls"), other.path("tls"), []string{"server.certificate", "valid from"}},
		"two credentials":            {`token_file: ""`, "token_file: /etc/token", []string{"keys.transit", "one credential"}},
		"not a word on swap":         {"swap: none", "swap: maybe", []string{"swap", "none or encrypted"}},
		"no checkpoint":              {"checkpoint: " + filepath.Join(dir, "checkpoint.json"), `checkpoint: ""`, []string{"checkpoint", "outside"}},
		"no port":                    {"0.0.0.0:8443", "0.0.0.0", []string{"server.listen", "port"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(text, c.old) {
				t.Fatalf("the example has no %q", c.old)
			}
			err := checked(t, strings.ReplaceAll(text, c.old, c.new))
			for _, want := range c.says {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v; %q wanted", err, want)
				}
			}
		})
	}
}

func TestAllFaultsAreNamedAtOnce(t *testing.T) {
	text, dir := production(t)
	for _, change := range [][2]string{{"https://transit.clinic", "http://transit.clinic"}, {"https://s3.eu", "http://s3.eu"}, {"practice: 0b0c8a3e", "practice: x"},
		{"0.0.0.0:8443", "nowhere"}, {"url: https://", "url: http://"}, {"host: db.clinic.example", `host: ""`}, {"port: 5432", "port: 99999"},
		{"connections: 20", "connections: -1"}, {"swap: none", "swap: maybe"}, {"workers: 2", "workers: 999"}} {
		text = strings.ReplaceAll(text, change[0], change[1])
	}
	if err := os.Chmod(filepath.Join(dir, "db-password"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := checked(t, text)
	var found faults
	if !errors.As(err, &found) || len(found) < 11 {
		t.Errorf("%d faults of eleven: %v", len(found), err)
	}
	if !strings.Contains(fmt.Sprint(err), "chmod 600") {
		t.Errorf("a password that others may read: %v", err)
	}
}

// A secret written into the file is not repeated.
func TestAFaultRepeatsNoValue(t *testing.T) {
	text, _ := production(t)
	for _, change := range [][2]string{{"port: 5432", "port: hunter2-secret"}, {"workers: 2", "workers: [hunter2-secret]"}, {"swap: none", "swap: 'hunter2-secret"},
		{"    password_file:", "    password: hunter2-secret\n    password_file:"}} {
		if err := checked(t, strings.Replace(text, change[0], change[1], 1)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", change[1], err)
		}
	}
}

func TestAKeyFileInsideTheDataIsRefused(t *testing.T) {
	text, dir := production(t)
	if err := localkek.Create(filepath.Join(dir, "kek.json"), nil); err != nil {
		t.Fatal(err)
	}
	var c config
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	c.Keys = keysConfig{Local: &localConfig{File: filepath.Join(dir, "kek.json")}}
	c.Objects = objectsConfig{Directory: dir}
	if err := c.check(); err == nil || !strings.Contains(err.Error(), "keys.local.file") {
		t.Errorf("the key lies in the data: %v", err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add(exampleConfig)
	f.Add("")
	f.Add("a: &a [*a, *a]")
	f.Add("practice: [[[[[")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := loadConfig(path); err == nil {
			_ = c.check()
		}
	})
}
