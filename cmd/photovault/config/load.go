package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// MaxSize is the largest configuration file in bytes.
const MaxSize = 64 << 10

// Load reads a file and checks the whole of it: its form, its settings, the
// files that they name, and this machine. environ is os.Environ's form.
// Errors: Faults, all there are; nothing of the configuration is then
// returned.
func Load(path string, environ []string) (*Config, error) {
	return LoadOn(path, environ, ThisHost())
}

// Read reads a file and checks what can be known without looking at the files
// that it names or at the machine: enough to find a service that runs.
// Errors: Faults.
func Read(path string, environ []string) (*Config, error) {
	b, bad := readConfig(path, os.Geteuid())
	if bad != nil {
		return nil, Faults{*bad}
	}
	return Parse(b, environ)
}

// LoadOn is Load on a machine that is described.
func LoadOn(path string, environ []string, h Host) (*Config, error) {
	b, bad := readConfig(path, h.User)
	if bad != nil {
		return nil, Faults{*bad}
	}
	c, r := parse(b, environ)
	h.check(c, r)
	if err := r.sorted().err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Parse reads the text of a configuration and checks what can be known of it
// without looking at any file or machine. Errors: Faults.
func Parse(text []byte, environ []string) (*Config, error) {
	c, r := parse(text, environ)
	if err := r.sorted().err(); err != nil {
		return nil, err
	}
	return c, nil
}

// parse returns what could be read even where there are faults, so that the
// rest is checked as well.
func parse(text []byte, environ []string) (*Config, *report) {
	c := &Config{secrets: secretsOf(environ)}
	r := decode(text, c)
	c.expand(r, environ)
	c.checkServer(r)
	c.checkSwap(r)
	c.checkKeys(r)
	c.checkObjects(r)
	c.checkCatalog(r)
	c.checkNotify(r)
	c.checkCaps(r)
	c.checkPaths(r)
	return c, r
}

// readConfig reads the file, which others must not be able to change: it says
// which servers and which files are trusted.
func readConfig(path string, user int) ([]byte, *Fault) {
	bad := func(code Code, format string, args ...any) *Fault {
		return &Fault{Code: code, Sentence: fmt.Sprintf(format, args...)}
	}
	in, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, bad(Unreadable, "there is no %s; make one from: photovault config example", path)
	case err != nil:
		return nil, bad(Unreadable, "%s cannot be read by this user", path)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, bad(Unreadable, "%s is not a regular file", path)
	}
	if sentence := unprotected(path, info, user); sentence != "" {
		return nil, bad(NotProtected, "%s", sentence)
	}
	b, err := io.ReadAll(io.LimitReader(in, MaxSize+1))
	if err != nil {
		return nil, bad(Unreadable, "%s cannot be read", path)
	}
	if len(b) > MaxSize {
		return nil, bad(TooLarge, "%s has more than %d bytes, which no configuration needs", path, MaxSize)
	}
	return b, nil
}

// files are all settings that name a file or folder.
func (c *Config) files() map[string]*string {
	all := map[string]*string{
		"server.certificate": &c.Server.Certificate, "server.key": &c.Server.Key, "server.ca": &c.Server.CA, "checkpoint": &c.Checkpoint, "policies": &c.Policies,
		"objects.directory": &c.Objects.Directory, "catalog.sqlite": &c.Catalog.SQLite,
	}
	if t := c.Keys.Transit; t != nil {
		all["keys.transit.ca"], all["keys.transit.token_file"] = &t.CA, &t.TokenFile
		if t.AppRole != nil {
			all["keys.transit.approle.secret_id_file"] = &t.AppRole.SecretIDFile
		}
	}
	for name, w := range c.webhooks() {
		all["notify."+name+".ca"], all["notify."+name+".secret_file"] = &w.CA, &w.SecretFile
	}
	if l := c.Keys.Local; l != nil {
		all["keys.local.file"], all["keys.local.passphrase_file"] = &l.File, &l.PassphraseFile
	}
	if b := c.Objects.S3; b != nil {
		all["objects.s3.ca"], all["objects.s3.credentials_file"] = &b.CA, &b.CredentialsFile
	}
	if p := c.Catalog.Postgres; p != nil {
		all["catalog.postgres.ca"], all["catalog.postgres.password_file"] = &p.CA, &p.PasswordFile
	}
	return all
}

// expand puts systemd's folder of credentials where a path begins with it, and
// refuses what is no whole path. The path is not shown: somebody may have
// written the secret where its file's name belongs.
func (c *Config) expand(r *report, environ []string) {
	folder := variable(environ, credentialsDirectory)
	for where, path := range c.files() {
		for _, form := range []string{"$" + credentialsDirectory + "/", "${" + credentialsDirectory + "}/"} {
			rest, ok := strings.CutPrefix(*path, form)
			switch {
			case !ok:
			case folder == "":
				r.add(where, NoCredentials, "it is a credential of systemd, and there is no $%s: run photovault as a unit with LoadCredential=", credentialsDirectory)
				*path = ""
			default:
				*path = folder + "/" + rest
			}
		}
		switch {
		case *path == "":
			continue
		case strings.ContainsAny(*path, "$\x00\n"):
			r.add(where, RelativePath, "write the path itself; of all variables only $%s is put in, at its beginning", credentialsDirectory)
		case !filepath.IsAbs(*path):
			r.add(where, RelativePath, "write the whole path of a file, from /; neither a secret nor a path that depends on where the service is started")
		default:
			*path = filepath.Clean(*path)
			continue
		}
		*path = ""
	}
}
