package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/cmd/photovault/config"
	"photovault/vault/id"
)

var now = time.Now()

// noSwap is a machine without any.
var noSwap = fstest.MapFS{"proc/swaps": {Data: []byte("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")}}

func host() config.Host { return config.Host{Root: noSwap, User: os.Geteuid(), Now: now} }

// place is an example written to a folder, with the files that it names.
type place struct {
	t      *testing.T
	folder string
	text   string
	env    []string
	host   config.Host
}

// placed lays out an example so that it has no faults.
func placed(t *testing.T, k config.Kind) *place {
	t.Helper()
	p := &place{t: t, folder: t.TempDir(), host: host()}
	p.text = config.Example(k, id.New[id.Practice]())
	for _, root := range []string{"/etc/photovault", "/var/lib/photovault"} {
		p.text = strings.ReplaceAll(p.text, root, p.folder)
	}
	for _, folder := range []string{"keys", "data"} {
		if err := os.Mkdir(p.in(folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	authority := newAuthority(t)
	cert, key := authority.issue(t, certificate{host: "vault.clinic.example"})
	p.file("server.pem", 0o644, cert)
	p.file("server.key", 0o600, key)
	for _, name := range []string{"ca.pem", "transit-ca.pem", "db-ca.pem"} {
		p.file(name, 0o644, authority.pem)
	}
	p.file("secret-id", 0o600, "6f0c1f6a-secret-id\n")
	p.file("db-password", 0o600, "correct horse\n")
	p.file("passphrase", 0o600, "battery staple\n")
	p.file("s3.json", 0o600, `{"access_key": "photovault", "secret_key": "twenty-characters-and-more"}`)
	p.file("keys/kek.json", 0o600, "{}\n")
	return p
}

func (p *place) in(name string) string { return filepath.Join(p.folder, name) }

func (p *place) file(name string, mode os.FileMode, text string) {
	p.t.Helper()
	if err := os.WriteFile(p.in(name), []byte(text), mode); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Chmod(p.in(name), mode); err != nil { // whatever the umask
		p.t.Fatal(err)
	}
}

// replace changes the text, which must be there.
func (p *place) replace(old, with string) {
	p.t.Helper()
	if !strings.Contains(p.text, old) {
		p.t.Fatalf("the example has no %q", old)
	}
	p.text = strings.Replace(p.text, old, with, 1)
}

func (p *place) load() (*config.Config, config.Faults) {
	p.t.Helper()
	p.file("config.yaml", 0o644, p.text)
	c, err := config.LoadOn(p.in("config.yaml"), p.env, p.host)
	var faults config.Faults
	if err != nil && !errors.As(err, &faults) {
		p.t.Fatal(err)
	}
	if (c == nil) != (len(faults) > 0) {
		p.t.Fatalf("configuration %v beside faults %v", c, faults)
	}
	return c, faults
}

// lineOf is where a text stands, from 1.
func (p *place) lineOf(text string) int {
	before, _, found := strings.Cut(p.text, text)
	if !found {
		p.t.Fatalf("%q is not in the file", text)
	}
	return strings.Count(before, "\n") + 1
}

func TestExamplesHaveNoFaultsOnceTheirFilesAreThere(t *testing.T) {
	for _, k := range []config.Kind{config.Production, config.OneMachine} {
		t.Run(string(k), func(t *testing.T) {
			p := placed(t, k)
			c, faults := p.load()
			if faults != nil {
				t.Fatal(faults)
			}
			if !id.Valid(string(c.Practice)) {
				t.Errorf("practice %s", c.Practice)
			}
			switch k {
			case config.Production:
				if c.Transit().Check() != nil || c.S3().Check() != nil {
					t.Error("the stores refuse their options")
				}
				if password, err := c.Password(); err != nil || password != "correct horse" {
					t.Errorf("password: %q %v", password, err)
				}
			default:
				if phrase, err := c.Passphrase(); err != nil || string(phrase) != "battery staple" {
					t.Errorf("passphrase: %q %v", phrase, err)
				}
			}
		})
	}
}

// Read says what the file says, whatever became of the files that it names.
func TestReadLooksAtTheTextOnly(t *testing.T) {
	p := placed(t, config.Production)
	p.file("config.yaml", 0o600, p.text)
	p.remove("server.key")
	c, err := config.Read(p.in("config.yaml"), nil)
	if err != nil || c.Server.Certificate != p.in("server.pem") {
		t.Errorf("%+v %v", c, err)
	}
	p.file("config.yaml", 0o600, strings.Replace(p.text, "swap: none", "swap: perhaps", 1))
	if _, err := config.Read(p.in("config.yaml"), nil); err == nil {
		t.Error("a fault of the text is accepted")
	}
}

// settings are the paths of all settings of a type.
func settings(t reflect.Type, path string) (all []string) {
	for i := range t.NumField() {
		name, field := t.Field(i).Tag.Get("yaml"), t.Field(i).Type
		if !t.Field(i).IsExported() {
			continue
		}
		if name == "" {
			panic(t.Name() + "." + t.Field(i).Name + " has no name in the file")
		}
		if path != "" {
			name = path + "." + name
		}
		if field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		if field.Kind() == reflect.Struct {
			all = append(all, settings(field, name)...)
			continue
		}
		all = append(all, name)
	}
	return all
}

// explained are the settings of a text that have a comment of their own, by
// indentation.
func explained(text string) (all []string) {
	var path []string
	comment := false
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			comment = trimmed != ""
			continue
		}
		depth := (len(line) - len(strings.TrimLeft(line, " "))) / 2
		name, _, _ := strings.Cut(trimmed, ":")
		path = append(path[:min(depth, len(path))], name)
		if comment {
			all = append(all, strings.Join(path, "."))
		}
		comment = false
	}
	return all
}

func TestEverySettingIsExplainedInAnExample(t *testing.T) {
	shown := explained(config.Example(config.Production, "p") + config.Example(config.OneMachine, "p"))
	for _, s := range settings(reflect.TypeFor[config.Config](), "") {
		if !slices.Contains(shown, s) {
			t.Errorf("%s stands in no example with a comment", s)
		}
	}
}

func TestEveryVariableIsNamedInAnExample(t *testing.T) {
	both := config.Example(config.Production, "p") + config.Example(config.OneMachine, "p")
	for _, name := range []string{config.EnvPassphrase, config.EnvAccessKey, config.EnvSecretKey, config.EnvSessionToken, config.EnvPassword} {
		if !strings.Contains(both, "$"+name) {
			t.Errorf("%s is in no example", name)
		}
	}
}

func TestHomeFolderNeedsNoFile(t *testing.T) {
	c := config.Embedded("/srv/photovault", "a", []string{"PHOTOVAULT_KEK_PASSPHRASE=open"})
	got := []string{c.Keys.Local.File, c.Checkpoint, c.Objects.Directory, c.Catalog.SQLite, c.Server.Certificate, c.Server.Key, c.Server.CA}
	want := []string{"/srv/photovault/keys/kek.json", "/srv/photovault/keys/checkpoint.json", "/srv/photovault/data/objects",
		"/srv/photovault/data/catalog.db", "/srv/photovault/tls/server.pem", "/srv/photovault/tls/server.key", "/srv/photovault/tls/ca.pem"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if phrase, err := c.Passphrase(); err != nil || string(phrase) != "open" {
		t.Errorf("passphrase %q %v", phrase, err)
	}
}

// What stands in the file arrives.
func TestSettingsArrive(t *testing.T) {
	p := placed(t, config.Production)
	p.replace("frame_ancestors: []", "frame_ancestors: [https://emr.example, \"https://two.example:8443\"]")
	p.replace("wrapped: false", "wrapped: true")
	p.replace("timeout: 3s", "timeout: 1500ms")
	p.replace("connections: 20", "connections: 8")
	p.replace("swap: none", "swap: encrypted")
	c, faults := p.load()
	if faults != nil {
		t.Fatal(faults)
	}
	if diff := cmp.Diff([]string{"https://emr.example", "https://two.example:8443"}, c.Server.FrameAncestors); diff != "" {
		t.Error(diff)
	}
	o := c.Transit()
	if !o.AppRole.Wrapped || o.Timeout != 1500*time.Millisecond || o.Mount != "transit" || c.Catalog.Postgres.Connections != 8 || c.Swap != config.SwapEncrypted {
		t.Errorf("%+v", c)
	}
}

func TestWithoutOptionalSettingsNothingIsWrong(t *testing.T) {
	p := placed(t, config.Production)
	p.text = strings.Join(slices.DeleteFunc(strings.SplitAfter(p.text, "\n"), func(line string) bool {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		optional := []string{"swap", "worker_memory", "mount", "key", "timeout", "port", "connections", "retention_days", "lock_mode", "wrapped", "virtual_host"}
		return value == `""` || value == "[]" || slices.Contains(optional, name) && !strings.HasPrefix(value, "/")
	}), "")
	if c, faults := p.load(); faults != nil {
		t.Error(faults)
	} else if c.Swap != config.SwapNone {
		t.Errorf("swap %q", c.Swap)
	}
}
