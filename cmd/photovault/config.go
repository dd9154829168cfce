package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"photovault/vault/blobs/s3"
	"photovault/vault/id"
	"photovault/vault/keys/localkek"
	"photovault/vault/keys/transit"
)

// config is the file of production mode. No secret stands in it: each is a
// file that only its owner may read. Without a file the layout of a home
// folder is used (home.config).
type config struct {
	Practice   id.Practice   `yaml:"practice"`
	Server     serverConfig  `yaml:"server"`
	Swap       string        `yaml:"swap"`       // none or encrypted
	Checkpoint string        `yaml:"checkpoint"` // file outside of the database, one a replica
	Keys       keysConfig    `yaml:"keys"`
	Objects    objectsConfig `yaml:"objects"`
	Catalog    catalogConfig `yaml:"catalog"`
}

type serverConfig struct {
	Listen         string   `yaml:"listen"`
	URL            string   `yaml:"url"`
	Certificate    string   `yaml:"certificate"`
	Key            string   `yaml:"key"`
	CA             string   `yaml:"ca"`
	FrameAncestors []string `yaml:"frame_ancestors"`
	Workers        int      `yaml:"workers"`
}

type keysConfig struct {
	Transit *transitConfig `yaml:"transit"`
	Local   *localConfig   `yaml:"local"`
}

type transitConfig struct {
	Address    string         `yaml:"address"`
	CA         string         `yaml:"ca"`
	ServerName string         `yaml:"server_name"`
	Namespace  string         `yaml:"namespace"`
	Mount      string         `yaml:"mount"`
	Key        string         `yaml:"key"`
	AppRole    *appRoleConfig `yaml:"approle"`
	TokenFile  string         `yaml:"token_file"`
	Timeout    time.Duration  `yaml:"timeout"`
}

type appRoleConfig struct {
	Mount        string `yaml:"mount"`
	RoleID       string `yaml:"role_id"`
	SecretIDFile string `yaml:"secret_id_file"`
	Wrapped      bool   `yaml:"wrapped"`
}

type localConfig struct {
	File           string `yaml:"file"`
	PassphraseFile string `yaml:"passphrase_file"`
}

type objectsConfig struct {
	S3        *s3Config `yaml:"s3"`
	Directory string    `yaml:"directory"`
}

type s3Config struct {
	Endpoint        string        `yaml:"endpoint"`
	Region          string        `yaml:"region"`
	Bucket          string        `yaml:"bucket"`
	Prefix          string        `yaml:"prefix"`
	VirtualHost     bool          `yaml:"virtual_host"`
	CA              string        `yaml:"ca"`
	CredentialsFile string        `yaml:"credentials_file"`
	RetentionDays   int           `yaml:"retention_days"`
	LockMode        string        `yaml:"lock_mode"`
	Encryption      string        `yaml:"encryption"`
	KMSKey          string        `yaml:"kms_key"`
	Timeout         time.Duration `yaml:"timeout"`
}

type catalogConfig struct {
	Postgres *postgresConfig `yaml:"postgres"`
	SQLite   string          `yaml:"sqlite"`
}

type postgresConfig struct {
	Host         string `yaml:"host"`
	Port         int    `yaml:"port"`
	Database     string `yaml:"database"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	CA           string `yaml:"ca"`
	Connections  int    `yaml:"connections"`
}

// fault is one thing that is wrong with a configuration.
type fault struct {
	Where    string `json:"where"` // catalog.postgres.host, or a line of the file
	Sentence string `json:"sentence"`
}

// faults is all that is wrong; it is an error when there is any.
type faults []fault

func (f faults) Error() string {
	lines := []string{"the configuration is refused:"}
	for _, x := range f {
		lines = append(lines, "  "+x.Where+": "+x.Sentence)
	}
	return strings.Join(lines, "\n")
}

func (f *faults) add(where, format string, args ...any) {
	*f = append(*f, fault{where, fmt.Sprintf(format, args...)})
}

// maxConfig is the largest configuration file in bytes.
const maxConfig = 1 << 20

// loadConfig reads a file and names every fault of its form. It opens no
// secret; check does.
func loadConfig(path string) (*config, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxConfig+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxConfig {
		return nil, faults{{path, "is larger than any configuration"}}
	}
	c := &config{}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, yamlFaults(err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, faults{{path, "holds more than one document"}}
	}
	return c, nil
}

var yamlLine = regexp.MustCompile(`^line (\d+): (.*)$`)

// yamlFaults keeps where and what kind of fault, and drops the values that the
// library repeats: one may be a secret written in the wrong place.
func yamlFaults(err error) error {
	var list faults
	var t *yaml.TypeError
	texts := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	if errors.As(err, &t) {
		texts = t.Errors
	}
	for _, text := range texts {
		where, what := "file", text
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			where, what = "line "+m[1], m[2]
		}
		switch {
		case strings.Contains(what, "not found in type"):
			name, _, _ := strings.Cut(strings.TrimPrefix(what, "field "), " ")
			list.add(where, "there is no setting %s; see: photovault config example", name)
		case strings.Contains(what, "already defined"):
			list.add(where, "a setting stands twice")
		case strings.Contains(what, "cannot unmarshal"):
			list.add(where, "a value is of another kind than this setting takes; see: photovault config example")
		default:
			list.add(where, "this is no YAML")
		}
	}
	return list
}

// check names every fault of a configuration at once, the files it names and
// this machine included.
func (c *config) check() error {
	var f faults
	if !id.Valid(string(c.Practice)) {
		f.add("practice", "give the practice's id, a UUID, the same on every replica; make one with: photovault config example")
	}
	c.checkServer(&f)
	switch c.Swap {
	case "", "none":
		if err := checkSwap(false); err != nil {
			f.add("swap", "%v", err)
		}
	case "encrypted":
	default:
		f.add("swap", "write none or encrypted")
	}
	if c.Checkpoint == "" {
		f.add("checkpoint", "name a file outside of the database and its backups; what is restored from yesterday shows by it")
	} else if info, err := os.Stat(filepath.Dir(c.Checkpoint)); err != nil || !info.IsDir() {
		f.add("checkpoint", "there is no folder %s", filepath.Dir(c.Checkpoint))
	}
	c.checkKeys(&f)
	c.checkObjects(&f)
	c.checkCatalog(&f)
	if len(f) > 0 {
		return f
	}
	return nil
}

func (c *config) checkServer(f *faults) {
	if host, port, err := net.SplitHostPort(c.Server.Listen); err != nil {
		f.add("server.listen", "write an address and a port, such as 0.0.0.0:8443")
	} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 || host != "" && net.ParseIP(host) == nil && host != "localhost" {
		f.add("server.listen", "write an IP address, or none for all, and a port from 0 to 65535")
	}
	if u, err := url.Parse(c.Server.URL); err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil {
		f.add("server.url", "write how clients reach the service: https://host[:port]")
	}
	if c.Server.Workers < 0 || c.Server.Workers > 64 {
		f.add("server.workers", "write how many photos are sanitised at once, 1 to 64")
	}
	for _, origin := range c.Server.FrameAncestors {
		if u, err := url.Parse(origin); err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" {
			f.add("server.frame_ancestors", "write origins, such as https://emr.example")
		}
	}
	checkCertificate(f, c.Server, time.Now())
}

// checkCertificate wants a certificate that browsers and tablets will take for
// at least a while: its key, RSA 2048 or ECDSA, SHA-2 (SP 800-52r2, 3.2).
func checkCertificate(f *faults, s serverConfig, now time.Time) {
	if s.Certificate == "" || s.Key == "" {
		f.add("server.certificate", "give certificate and key files, PEM; the service speaks TLS only")
		return
	}
	private(f, "server.key", s.Key)
	pair, err := tls.LoadX509KeyPair(s.Certificate, s.Key)
	if err != nil {
		f.add("server.certificate", "certificate and key cannot be read or do not belong together")
		return
	}
	leaf := pair.Leaf
	switch key := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 {
			f.add("server.certificate", "its RSA key has %d bits; make one of 2048 or more, or ECDSA P-256", key.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize < 256 {
			f.add("server.certificate", "its key is of a small curve; make one of P-256")
		}
	}
	if slices.Contains([]x509.SignatureAlgorithm{x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.MD5WithRSA}, leaf.SignatureAlgorithm) {
		f.add("server.certificate", "it is signed with %v, which no client takes any more", leaf.SignatureAlgorithm)
	}
	if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		f.add("server.certificate", "it is valid from %s to %s, and that is not now", day(leaf.NotBefore), day(leaf.NotAfter))
	}
	if u, err := url.Parse(s.URL); err == nil && u.Hostname() != "" && leaf.VerifyHostname(u.Hostname()) != nil {
		f.add("server.certificate", "it is not for the host of server.url")
	}
	authorities(f, "server.ca", s.CA)
}

func (c *config) checkKeys(f *faults) {
	switch t, l := c.Keys.Transit, c.Keys.Local; {
	case (t == nil) == (l == nil):
		f.add("keys", "give one of transit and local")
	case t != nil:
		authorities(f, "keys.transit.ca", t.CA)
		var found transit.Faults
		if err := c.transit().Check(); errors.As(err, &found) {
			for _, sentence := range found {
				f.add("keys.transit", "%s", sentence)
			}
		}
		if t.AppRole != nil && t.AppRole.SecretIDFile != "" {
			private(f, "keys.transit.approle.secret_id_file", t.AppRole.SecretIDFile)
		}
		if t.TokenFile != "" {
			private(f, "keys.transit.token_file", t.TokenFile)
		}
	default:
		private(f, "keys.local.file", l.File)
		if l.PassphraseFile != "" {
			private(f, "keys.local.passphrase_file", l.PassphraseFile)
		}
		for where, data := range map[string]string{"objects.directory": c.Objects.Directory, "catalog.sqlite": filepath.Dir(c.Catalog.SQLite)} {
			if data != "" && data != "." {
				if err := localkek.CheckOutside(l.File, data); err != nil {
					f.add("keys.local.file", "%v (%s)", err, where)
				}
			}
		}
	}
}

func (c *config) checkObjects(f *faults) {
	switch s := c.Objects.S3; {
	case (s == nil) == (c.Objects.Directory == ""):
		f.add("objects", "give one of s3 and directory")
	case s != nil:
		authorities(f, "objects.s3.ca", s.CA)
		var found s3.Faults
		if err := c.s3().Check(); errors.As(err, &found) {
			for _, sentence := range found {
				f.add("objects.s3", "%s", sentence)
			}
		}
		if s.CredentialsFile != "" {
			private(f, "objects.s3.credentials_file", s.CredentialsFile)
		}
	}
}

func (c *config) checkCatalog(f *faults) {
	switch p := c.Catalog.Postgres; {
	case (p == nil) == (c.Catalog.SQLite == ""):
		f.add("catalog", "give one of postgres and sqlite")
	case p != nil:
		authorities(f, "catalog.postgres.ca", p.CA)
		if p.Host == "" || strings.ContainsAny(p.Host, "/ ") {
			f.add("catalog.postgres.host", "write the server's name, as in its certificate; connections are TLS, verify-full")
		}
		if p.Port < 0 || p.Port > 65535 {
			f.add("catalog.postgres.port", "write a port from 1 to 65535")
		}
		if p.Database == "" || p.User == "" {
			f.add("catalog.postgres", "give database and user")
		}
		if p.Connections < 0 || p.Connections > 1000 {
			f.add("catalog.postgres.connections", "write 4 to 1000")
		}
		if p.PasswordFile == "" {
			f.add("catalog.postgres.password_file", "name a file with the password; only its owner may read it")
		} else {
			private(f, "catalog.postgres.password_file", p.PasswordFile)
		}
	case c.Keys.Transit != nil && c.Objects.S3 != nil:
		f.add("catalog.sqlite", "one file serves one machine only: with transit and s3, give postgres")
	}
}

// private wants a regular file that only this user may read, or root's, as a
// systemd credential or a container's secret is.
func private(f *faults, where, path string) {
	info, err := os.Stat(path)
	if err != nil {
		f.add(where, "%s cannot be read", path)
		return
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		f.add(where, "%s is no regular file", path)
	case !ok || int(stat.Uid) != os.Geteuid() && stat.Uid != 0:
		f.add(where, "%s belongs to another user; run: chown %d %s", path, os.Geteuid(), path)
	case info.Mode().Perm()&0o077 != 0:
		f.add(where, "others may read %s (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
}

// authorities wants a file with at least one certificate; none means the system's.
func authorities(f *faults, where, path string) {
	if path == "" {
		return
	}
	b, err := os.ReadFile(path)
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(b) {
		f.add(where, "%s cannot be read or holds no certificate", path)
	}
}

// transit are the options of the running service.
func (c *config) transit() transit.Options {
	t := c.Keys.Transit
	o := transit.Options{Address: t.Address, CAFile: t.CA, ServerName: t.ServerName, Namespace: t.Namespace, Mount: t.Mount, Key: t.Key,
		TokenFile: t.TokenFile, Timeout: t.Timeout}
	if a := t.AppRole; a != nil {
		o.AppRole = &transit.AppRole{Mount: a.Mount, RoleID: a.RoleID, SecretIDFile: a.SecretIDFile, Wrapped: a.Wrapped}
	}
	return o
}

func (c *config) s3() s3.Options {
	s := c.Objects.S3
	return s3.Options{Endpoint: s.Endpoint, Region: s.Region, Bucket: s.Bucket, Prefix: s.Prefix, VirtualHost: s.VirtualHost, CAFile: s.CA,
		CredentialsFile: s.CredentialsFile, RetentionDays: s.RetentionDays, LockMode: s3.LockMode(s.LockMode),
		Encryption: s3.Encryption(s.Encryption), KMSKey: s.KMSKey, Timeout: s.Timeout}
}
