// Package config is the configuration of the service: its file, the secrets
// that do not stand in it, and everything that can be found wrong with either
// before a store is opened.
//
// The file is YAML, read strictly: what is unknown, stands twice or is of the
// wrong kind is a fault. No secret stands in it. Each is a file of its own that
// only the service's user or root may read, such as a systemd credential or a
// container's secret, or one of the PHOTOVAULT_ variables listed at Secrets.
// Faults come all at once, each with its setting, its line and what to do, and
// show no value of the file.
//
// Without a file the folder of the embedded default is used: Embedded.
package config

import (
	"path/filepath"
	"strings"
	"time"

	"photovault/vault/blobs/s3"
	"photovault/vault/id"
	"photovault/vault/keys/transit"
)

// Config is a whole configuration. Paths are absolute. Printing it shows no
// secret: it holds none but those of the environment, behind a pointer.
type Config struct {
	Practice   id.Practice `yaml:"practice"`   // the same on every replica
	Server     Server      `yaml:"server"`     // what clients meet
	Swap       string      `yaml:"swap"`       // none (the default) or encrypted: a declaration
	Checkpoint string      `yaml:"checkpoint"` // file outside of the database, one a replica
	Policies   string      `yaml:"policies"`   // what the practice forbids beyond the law, in Cedar; empty: nothing
	Keys       Keys        `yaml:"keys"`       // one of the key services
	Objects    Objects     `yaml:"objects"`    // one of the object stores
	Catalog    Catalog     `yaml:"catalog"`    // one of the databases

	PhotoCaps   PhotoCaps     `yaml:"photo_caps"`   // how many photos an account may ask for
	TakedownDue time.Duration `yaml:"takedown_due"` // how long what must come down may take; 0: 3 days
	Notify      Notify        `yaml:"notify"`       // who is told at once

	secrets *secrets // of the environment
}

// Server is the listener. It speaks TLS 1.2 and above, and nothing else.
type Server struct {
	Listen         string   `yaml:"listen"`          // host:port; an empty host is every address
	URL            string   `yaml:"url"`             // how clients reach it: https://host[:port]
	Certificate    string   `yaml:"certificate"`     // PEM, the server's first; read again when it changes
	Key            string   `yaml:"key"`             // PEM, private
	CA             string   `yaml:"ca"`              // PEM, told to clients; empty: they trust their system's
	FrameAncestors []string `yaml:"frame_ancestors"` // origins that may embed photos
	WorkerMemory   int      `yaml:"worker_memory"`   // MiB for all media workers together; 0: the default of serve
}

// Keys names one key service.
type Keys struct {
	Transit *Transit `yaml:"transit"`
	Local   *Local   `yaml:"local"`
}

// Transit is the transit engine of HashiCorp Vault or OpenBao. What is empty
// has the default of transit.Options. One of AppRole and TokenFile is given.
type Transit struct {
	Address    string        `yaml:"address"`     // https://host:port
	CA         string        `yaml:"ca"`          // PEM; empty: the system's authorities
	ServerName string        `yaml:"server_name"` // in the server's certificate, if not the address's
	Namespace  string        `yaml:"namespace"`
	Mount      string        `yaml:"mount"`
	Key        string        `yaml:"key"`
	AppRole    *AppRole      `yaml:"approle"`
	TokenFile  string        `yaml:"token_file"` // as an agent writes it
	Timeout    time.Duration `yaml:"timeout"`    // of one attempt
}

// AppRole is how the service logs in to transit.
type AppRole struct {
	Mount        string `yaml:"mount"`
	RoleID       string `yaml:"role_id"` // no secret: of no use without the secret id
	SecretIDFile string `yaml:"secret_id_file"`
	Wrapped      bool   `yaml:"wrapped"` // the file holds a response-wrapping token
}

// Local is a key-encryption key in a file, for one machine.
type Local struct {
	File           string `yaml:"file"`
	PassphraseFile string `yaml:"passphrase_file"` // empty: PHOTOVAULT_KEK_PASSPHRASE, or none
}

// Objects names one object store.
type Objects struct {
	S3        *S3    `yaml:"s3"`
	Directory string `yaml:"directory"`
}

// S3 is a bucket. What is empty has the default of s3.Options.
type S3 struct {
	Endpoint        string        `yaml:"endpoint"` // https://host[:port]
	Region          string        `yaml:"region"`   // where the bucket must lie
	Bucket          string        `yaml:"bucket"`
	Prefix          string        `yaml:"prefix"`
	VirtualHost     bool          `yaml:"virtual_host"`     // https://bucket.host rather than https://host/bucket
	CA              string        `yaml:"ca"`               // PEM; empty: the system's authorities
	CredentialsFile string        `yaml:"credentials_file"` // JSON {"access_key", "secret_key", "session_token"}
	RetentionDays   int           `yaml:"retention_days"`   // Object Lock; 0: none
	LockMode        string        `yaml:"lock_mode"`        // GOVERNANCE or COMPLIANCE
	Encryption      string        `yaml:"encryption"`       // by the server, on top: sse-s3 or sse-kms
	KMSKey          string        `yaml:"kms_key"`
	Timeout         time.Duration `yaml:"timeout"` // how long the server may be silent
}

// Catalog names one database.
type Catalog struct {
	Postgres *Postgres `yaml:"postgres"`
	SQLite   string    `yaml:"sqlite"`
}

// Postgres is a PostgreSQL server. Connections are TLS, verify-full, and log in
// by SCRAM; there is no switch for less.
type Postgres struct {
	Host         string `yaml:"host"` // as in the server's certificate
	Port         int    `yaml:"port"` // 0: 5432
	Database     string `yaml:"database"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	CA           string `yaml:"ca"`          // PEM; empty: the system's authorities
	Connections  int    `yaml:"connections"` // at most; 0: 20
}

// What swap may be declared as.
const (
	SwapNone      = "none"
	SwapEncrypted = "encrypted"
)

// Embedded is the configuration that a home folder stands for: one machine,
// keys beside the data and not inside it. It reads nothing.
//
//	data/  catalog.db, objects/   ciphertext only
//	keys/  kek.json, checkpoint.json
//	tls/   ca.pem, server.pem, server.key
func Embedded(home string, p id.Practice, environ []string) *Config {
	in := func(parts ...string) string { return filepath.Join(append([]string{home}, parts...)...) }
	return &Config{
		Practice: p, Checkpoint: in("keys", "checkpoint.json"),
		Server:  Server{Certificate: in("tls", "server.pem"), Key: in("tls", "server.key"), CA: in("tls", "ca.pem")},
		Keys:    Keys{Local: &Local{File: in("keys", "kek.json")}},
		Objects: Objects{Directory: in("data", "objects")},
		Catalog: Catalog{SQLite: in("data", "catalog.db")},
		secrets: secretsOf(environ),
	}
}

// Transit are the options of the running service; Keys.Transit must be set.
func (c *Config) Transit() transit.Options {
	t := c.Keys.Transit
	o := transit.Options{Address: t.Address, CAFile: t.CA, ServerName: t.ServerName, Namespace: t.Namespace, Mount: t.Mount, Key: t.Key,
		TokenFile: t.TokenFile, Timeout: t.Timeout}
	if a := t.AppRole; a != nil {
		o.AppRole = &transit.AppRole{Mount: a.Mount, RoleID: a.RoleID, SecretIDFile: a.SecretIDFile, Wrapped: a.Wrapped}
	}
	return o
}

// S3 are the bucket's options; Objects.S3 must be set. Keys are those of the
// environment where no file is named.
func (c *Config) S3() s3.Options {
	b := c.Objects.S3
	o := s3.Options{Endpoint: b.Endpoint, Region: b.Region, Bucket: b.Bucket, Prefix: b.Prefix, VirtualHost: b.VirtualHost, CAFile: b.CA,
		CredentialsFile: b.CredentialsFile, RetentionDays: b.RetentionDays, LockMode: s3.LockMode(b.LockMode),
		Encryption: s3.Encryption(b.Encryption), KMSKey: b.KMSKey, Timeout: b.Timeout}
	if s := c.secrets; s != nil && b.CredentialsFile == "" {
		o.AccessKey, o.SecretKey, o.SessionToken = s.accessKey, s.secretKey, s.sessionToken
	}
	return o
}

// dataFolders are those whose copy must open nothing, by setting.
func (c *Config) dataFolders() map[string]string {
	all := map[string]string{}
	if c.Objects.Directory != "" {
		all["objects.directory"] = c.Objects.Directory
	}
	if c.Catalog.SQLite != "" && !strings.HasSuffix(c.Catalog.SQLite, "/") {
		all["catalog.sqlite"] = filepath.Dir(c.Catalog.SQLite)
	}
	return all
}
