package config

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"photovault/vault/blobs/s3"
	"photovault/vault/id"
	"photovault/vault/keys/transit"
)

func (c *Config) checkServer(r *report) {
	if !id.Valid(string(c.Practice)) && !r.faulty("practice") {
		r.add("practice", invalidOr(string(c.Practice)), "give the practice's id, a UUID, the same on every replica; photovault config example makes a new one")
	}
	if !r.faulty("server.listen") && !isListener(c.Server.Listen) {
		r.add("server.listen", invalidOr(c.Server.Listen), "write an IP address, or none for all, and a port from 0 to 65535, such as 0.0.0.0:8443")
	}
	if u, err := url.Parse(c.Server.URL); !r.faulty("server.url") {
		switch {
		case err == nil && u.Scheme == "http":
			r.add("server.url", PlainText, "the service speaks TLS only; write https://host[:port]")
		case err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
			r.add("server.url", invalidOr(c.Server.URL), "write how clients reach the service: https://host[:port]")
		}
	}
	for _, origin := range c.Server.FrameAncestors {
		switch u, err := url.Parse(origin); {
		case r.faulty("server.frame_ancestors"):
		case err == nil && u.Scheme == "http":
			r.add("server.frame_ancestors", PlainText, "a page that came without TLS may not embed photos; write https://host")
		case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Path != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
			strings.ContainsAny(u.Host, "*; ,'\""):
			r.add("server.frame_ancestors", Invalid, "write origins, such as https://emr.example, without a path")
		}
	}
	if m := c.Server.WorkerMemory; m != 0 && (m < 128 || m > 1<<20) {
		r.add("server.worker_memory", Invalid, "write how many MiB all media workers may take together, 128 or more; 768 opens every photo that is accepted")
	}
	for where, path := range map[string]string{"server.certificate": c.Server.Certificate, "server.key": c.Server.Key} {
		if path == "" && !r.faulty(where) {
			r.add(where, Missing, "name its PEM file; the service speaks TLS only, on every address")
		}
	}
	if c.Checkpoint == "" && !r.faulty("checkpoint") {
		r.add("checkpoint", Missing, "name a file outside of the database and its backups: what is restored from yesterday shows by it")
	}
}

func isListener(s string) bool {
	host, port, err := net.SplitHostPort(s)
	n, err2 := strconv.Atoi(port)
	return err == nil && err2 == nil && n >= 0 && n <= 65535 && (host == "" || host == "localhost" || net.ParseIP(host) != nil)
}

func invalidOr(value string) Code {
	if value == "" {
		return Missing
	}
	return Invalid
}

func (c *Config) checkSwap(r *report) {
	if c.Swap == "" {
		c.Swap = SwapNone
	}
	if c.Swap != SwapNone && c.Swap != SwapEncrypted {
		r.add("swap", Invalid, "write %s or %s", SwapNone, SwapEncrypted)
	}
}

// chosen wants one of several groups.
func (r *report) chosen(path string, given ...bool) {
	n := 0
	for _, g := range given {
		if g {
			n++
		}
	}
	if n != 1 && !r.faulty(path) {
		r.add(path, ChooseOne, "%s", map[string]string{
			"keys":         "give transit, for a key service, or local, for one machine",
			"keys.transit": "give one credential: approle or token_file",
			"objects":      "give s3, or directory for one machine",
			"catalog":      "give postgres, or sqlite for one machine",
		}[path])
	}
}

func (c *Config) checkKeys(r *report) {
	t, l := c.Keys.Transit, c.Keys.Local
	r.chosen("keys", t != nil, l != nil)
	if l != nil {
		if l.File == "" && !r.faulty("keys.local.file") {
			r.add("keys.local.file", Missing, "name the file of the key-encryption key; photovault init makes one")
		}
		if l.PassphraseFile != "" && c.secrets.passphrase != "" {
			r.add("keys.local.passphrase_file", Duplicate, "the passphrase is in $%s too; keep one", EnvPassphrase)
		}
	}
	if t == nil {
		return
	}
	r.chosen("keys.transit", t.AppRole != nil, t.TokenFile != "" || r.faulty("keys.transit.token_file"))
	// Each setting alone among settings that are right, so that the engine's
	// own rules say what is wrong with which.
	with := func(change func(*transit.Options)) transit.Options {
		o := transit.Options{Address: "https://host", TokenFile: "/file"}
		change(&o)
		return o
	}
	r.transit("keys.transit.address", t.Address, with(func(o *transit.Options) { o.Address = t.Address }))
	r.transit("keys.transit.namespace", t.Namespace, with(func(o *transit.Options) { o.Namespace = t.Namespace }))
	r.transit("keys.transit.mount", t.Mount, with(func(o *transit.Options) { o.Mount = t.Mount }))
	r.transit("keys.transit.key", t.Key, with(func(o *transit.Options) { o.Key = t.Key }))
	r.transit("keys.transit.timeout", "-", with(func(o *transit.Options) { o.Timeout = t.Timeout }))
	if t.ServerName != "" && !isHost(t.ServerName) {
		r.add("keys.transit.server_name", Invalid, "write the name in the server's certificate, without a port")
	}
	if a := t.AppRole; a != nil {
		role := func(change func(*transit.AppRole)) transit.Options {
			return with(func(o *transit.Options) {
				o.TokenFile, o.AppRole = "", &transit.AppRole{RoleID: "x", SecretIDFile: "/file"}
				change(o.AppRole)
			})
		}
		r.transit("keys.transit.approle.mount", a.Mount, role(func(o *transit.AppRole) { o.Mount = a.Mount }))
		r.transit("keys.transit.approle.role_id", a.RoleID, role(func(o *transit.AppRole) { o.RoleID = a.RoleID }))
		r.transit("keys.transit.approle.secret_id_file", a.SecretIDFile, role(func(o *transit.AppRole) { o.SecretIDFile = a.SecretIDFile }))
	}
}

func (r *report) transit(where, value string, o transit.Options) {
	var found transit.Faults
	if errors.As(o.Check(), &found) {
		r.sentence(where, value, found)
	}
}

func (r *report) s3(where, value string, o s3.Options) {
	var found s3.Faults
	if errors.As(o.Check(), &found) {
		r.sentence(where, value, found)
	}
}

// sentence is a store's, of one setting; others may follow from it. The value
// tells the code.
func (r *report) sentence(where, value string, found []string) {
	code := invalidOr(value)
	if strings.HasPrefix(strings.ToLower(value), "http://") {
		code = PlainText
	}
	if !r.faulty(where) {
		r.add(where, code, "%s", found[0])
	}
}

// isHost is loose on purpose: a name that does not exist fails by itself.
func isHost(s string) bool {
	return len(s) <= 253 && !strings.ContainsAny(s, "/,@:?# \t\n\x00'\"\\") || net.ParseIP(s) != nil
}

func (c *Config) checkObjects(r *report) {
	b := c.Objects.S3
	r.chosen("objects", b != nil, c.Objects.Directory != "" || r.faulty("objects.directory"))
	if b == nil {
		return
	}
	with := func(change func(*s3.Options)) s3.Options {
		o := s3.Options{Endpoint: "https://host", Region: "region", Bucket: "bucket", CredentialsFile: "/file"}
		change(&o)
		return o
	}
	r.s3("objects.s3.endpoint", b.Endpoint, with(func(o *s3.Options) { o.Endpoint = b.Endpoint }))
	r.s3("objects.s3.region", b.Region, with(func(o *s3.Options) { o.Region = b.Region }))
	r.s3("objects.s3.bucket", b.Bucket, with(func(o *s3.Options) { o.Bucket = b.Bucket }))
	r.s3("objects.s3.prefix", b.Prefix, with(func(o *s3.Options) { o.Prefix = b.Prefix }))
	r.s3("objects.s3.retention_days", "-", with(func(o *s3.Options) { o.RetentionDays = b.RetentionDays }))
	r.s3("objects.s3.lock_mode", b.LockMode, with(func(o *s3.Options) { o.LockMode = s3.LockMode(b.LockMode) }))
	r.s3("objects.s3.encryption", b.Encryption, with(func(o *s3.Options) { o.Encryption = s3.Encryption(b.Encryption) }))
	r.s3("objects.s3.timeout", "-", with(func(o *s3.Options) { o.Timeout = b.Timeout }))
	if b.KMSKey != "" && b.Encryption != string(s3.SSEKMS) {
		r.add("objects.s3.kms_key", Invalid, "a KMS key is used with encryption: %s only", s3.SSEKMS)
	}
	if b.LockMode == string(s3.Compliance) && b.RetentionDays == 0 {
		r.add("objects.s3.lock_mode", Invalid, "%s was asked for, but retention_days is 0: nothing would be retained", s3.Compliance)
	}
	c.checkS3Credentials(r, with)
}

func (c *Config) checkS3Credentials(r *report, with func(func(*s3.Options)) s3.Options) {
	const where = "objects.s3.credentials_file"
	s, inFile := c.secrets, c.Objects.S3.CredentialsFile != ""
	inEnvironment := s.accessKey != "" || s.secretKey != "" || s.sessionToken != ""
	switch {
	case r.faulty(where):
	case inFile && inEnvironment:
		r.add(where, Duplicate, "there are credentials in $%s or its neighbours too; keep one", EnvAccessKey)
	case inFile:
	case !inEnvironment:
		r.add(where, Missing, "name a file with the bucket's credentials, mode 0600, or give $%s and $%s", EnvAccessKey, EnvSecretKey)
	default:
		r.s3(where, "-", with(func(o *s3.Options) {
			o.CredentialsFile, o.AccessKey, o.SecretKey, o.SessionToken = "", s.accessKey, s.secretKey, s.sessionToken
		}))
	}
}

func (c *Config) checkCatalog(r *report) {
	p := c.Catalog.Postgres
	r.chosen("catalog", p != nil, c.Catalog.SQLite != "" || r.faulty("catalog.sqlite"))
	if p == nil {
		if c.Keys.Transit != nil && c.Objects.S3 != nil && c.Catalog.SQLite != "" {
			r.add("catalog.sqlite", ChooseOne, "one file serves one machine only: with transit and s3, give postgres")
		}
		return
	}
	const at = "catalog.postgres."
	if !r.faulty(at+"host") && (p.Host == "" || !isHost(p.Host)) {
		r.add(at+"host", invalidOr(p.Host), "write the server's name, as in its certificate; a socket has no TLS and is not used")
	}
	if p.Port < 0 || p.Port > 65535 {
		r.add(at+"port", Invalid, "write a port from 1 to 65535")
	}
	for where, value := range map[string]string{at + "database": p.Database, at + "user": p.User} {
		if !r.faulty(where) && (value == "" || len(value) > 63 || strings.ContainsAny(value, "\x00=? /")) {
			r.add(where, invalidOr(value), "write its name, up to 63 bytes, and nothing of a connection string")
		}
	}
	if p.Connections != 0 && (p.Connections < 4 || p.Connections > 1000) {
		r.add(at+"connections", Invalid, "write 4 to 1000; all replicas together stay below the server's max_connections")
	}
	switch where := at + "password_file"; {
	case r.faulty(where):
	case p.PasswordFile == "" && c.secrets.password == "":
		r.add(where, Missing, "name a file with the password, mode 0600, or give $%s", EnvPassword)
	case p.PasswordFile != "" && c.secrets.password != "":
		r.add(where, Duplicate, "the password is in $%s too; keep one", EnvPassword)
	}
}

// checkPaths wants a file of its own for every setting, authorities aside.
func (c *Config) checkPaths(r *report) {
	files := c.files()
	var names []string
	for where, path := range files {
		if *path != "" && where != "server.ca" && !strings.HasSuffix(where, ".ca") {
			names = append(names, where)
		}
	}
	slices.Sort(names)
	first := map[string]string{}
	for _, where := range names {
		path := *files[where]
		if other, taken := first[path]; taken {
			if !(other == "server.certificate" && where == "server.key") { // one PEM file with both, as some tools write it
				r.add(where, SamePath, "%s names the same; give each a file of its own", other)
			}
			continue
		}
		first[path] = where
	}
}
