package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Secrets that may come by the environment where no file holds them. A file is
// better: the environment of a process is inherited and shown by debuggers.
// AppRole's secret id and an agent's token come by file only, because they are
// read again when they change.
const (
	EnvPassphrase   = "PHOTOVAULT_KEK_PASSPHRASE"   // keys.local.passphrase_file
	EnvAccessKey    = "PHOTOVAULT_S3_ACCESS_KEY"    // objects.s3.credentials_file: access_key
	EnvSecretKey    = "PHOTOVAULT_S3_SECRET_KEY"    // secret_key
	EnvSessionToken = "PHOTOVAULT_S3_SESSION_TOKEN" // session_token, of temporary credentials
	EnvPassword     = "PHOTOVAULT_DB_PASSWORD"      // catalog.postgres.password_file
)

// credentialsDirectory is where systemd puts a unit's credentials,
// systemd.exec(5). A path may begin with it.
const credentialsDirectory = "CREDENTIALS_DIRECTORY"

type secrets struct {
	passphrase, accessKey, secretKey, sessionToken, password string
}

func secretsOf(environ []string) *secrets {
	return &secrets{variable(environ, EnvPassphrase), variable(environ, EnvAccessKey), variable(environ, EnvSecretKey),
		variable(environ, EnvSessionToken), variable(environ, EnvPassword)}
}

// variable is the value that stands last, as for os/exec; empty: not set.
func variable(environ []string, name string) (value string) {
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// ErrSecret: a secret's file is not what Load found any more.
var ErrSecret = errors.New("config: secret")

// Passphrase is what unlocks the key file, nil for none. The caller clears it.
// Errors: ErrSecret.
func (c *Config) Passphrase() ([]byte, error) {
	if l := c.Keys.Local; l != nil && l.PassphraseFile != "" {
		return readSecret("keys.local.passphrase_file", l.PassphraseFile)
	}
	if c.secrets == nil || c.secrets.passphrase == "" {
		return nil, nil
	}
	return []byte(c.secrets.passphrase), nil
}

// Password is the database's. Errors: ErrSecret.
func (c *Config) Password() (string, error) {
	if p := c.Catalog.Postgres; p != nil && p.PasswordFile != "" {
		b, err := readSecret("catalog.postgres.password_file", p.PasswordFile)
		defer clear(b)
		return string(b), err
	}
	if c.secrets == nil {
		return "", nil
	}
	return c.secrets.password, nil
}

// maxSecret is the largest secret in bytes.
const maxSecret = 64 << 10

// readSecret opens a private file and returns its one line. What is checked is
// what was opened.
func readSecret(where, path string) ([]byte, error) {
	b, bad := readPrivate(path, ThisHost().User, maxSecret)
	if bad != nil {
		return nil, fmt.Errorf("%w: %s: %s", ErrSecret, where, bad.Sentence)
	}
	line, ok := oneLine(b)
	if !ok {
		clear(b)
		return nil, fmt.Errorf("%w: %s: the file does not hold one secret on one line", ErrSecret, where)
	}
	return line, nil
}

// oneLine is the file without the end of its line; it shares b.
func oneLine(b []byte) ([]byte, bool) {
	line := bytes.TrimRight(b, "\r\n")
	return line, len(line) > 0 && !bytes.ContainsAny(line, "\r\n\x00")
}
