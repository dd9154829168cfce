package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// setup is a vault's part of the servers: a transit key with the two
// identities of deploy/policies, a bucket, a database with a role of its own.
// All names are fresh, so that it can be made as often as one likes.
type setup struct {
	ctx   context.Context
	state *state
	out   string // folder of the configuration and its secrets
	tag   string
	http  *http.Client
}

// configure makes what `photovault serve` needs in the servers, writes its
// configuration and secrets into out, and prints the file.
func configure(ctx context.Context, dir, out string) error {
	s, err := load(dir)
	if err != nil {
		return fmt.Errorf("no servers run (make devstack): %w", err)
	}
	pem, err := os.ReadFile(s.CA)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	if err := os.MkdirAll(out, 0o700); err != nil {
		return err
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	m := &setup{ctx: ctx, state: s, out: out, tag: strings.ToLower(rand.Text()[:10]),
		http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}}
	role, err := m.transit()
	if err != nil {
		return fmt.Errorf("transit: %w", err)
	}
	bucket, err := m.bucket(pool)
	if err != nil {
		return fmt.Errorf("bucket: %w", err)
	}
	database, err := m.database()
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return m.write(role, bucket, database)
}

// secret writes a file that only its owner may read.
func (m *setup) secret(name, text string) error {
	return os.WriteFile(filepath.Join(m.out, name), []byte(text+"\n"), 0o600)
}

// ask sends a request to transit and returns the field of its answer's data or auth.
func (m *setup) ask(method, path string, body any, field string) (string, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(m.ctx, method, m.state.Transit.Address+"/v1/"+path, bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	req.Header.Set("X-Vault-Token", m.state.Transit.RootToken)
	resp, err := m.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		return "", fmt.Errorf("%s %s: %s %s %v", method, path, resp.Status, answer, err)
	}
	if field == "" {
		return "", nil
	}
	var parts struct{ Data, Auth map[string]any }
	if err := json.Unmarshal(answer, &parts); err != nil {
		return "", err
	}
	for _, part := range []map[string]any{parts.Data, parts.Auth} {
		if text, ok := part[field].(string); ok {
			return text, nil
		}
	}
	return "", fmt.Errorf("%s %s: no %s", method, path, field)
}

// transit does what deploy/policies/transit/README.md says.
func (m *setup) transit() (roleID string, err error) {
	mount, auth := "transit-"+m.tag, "approle-"+m.tag
	steps := []struct {
		method, path string
		body         any
	}{
		{"POST", "sys/mounts/" + mount, map[string]any{"type": "transit"}},
		{"POST", mount + "/keys/photovault", map[string]any{"type": "aes256-gcm96", "derived": true, "auto_rotate_period": "720h"}},
		{"POST", "sys/auth/" + auth, map[string]any{"type": "approle"}},
	}
	for _, name := range []string{"service", "operator"} {
		policy, err := os.ReadFile(filepath.Join("..", "policies", "transit", name+".hcl"))
		if err != nil {
			return "", err
		}
		text := strings.ReplaceAll(string(policy), `"transit/`, `"`+mount+`/`)
		steps = append(steps, struct {
			method, path string
			body         any
		}{"PUT", "sys/policies/acl/" + name + "-" + m.tag, map[string]any{"policy": text}})
	}
	for _, s := range steps {
		if _, err := m.ask(s.method, s.path, s.body, ""); err != nil {
			return "", err
		}
	}
	role := "auth/" + auth + "/role/photovault"
	if _, err := m.ask("POST", role, map[string]any{"token_policies": "service-" + m.tag, "token_no_default_policy": true,
		"token_ttl": "1h", "token_max_ttl": "24h"}, ""); err != nil {
		return "", err
	}
	secretID, err := m.ask("POST", role+"/secret-id", map[string]any{}, "secret_id")
	if err != nil {
		return "", err
	}
	operator, err := m.ask("POST", "auth/token/create-orphan", map[string]any{"policies": []string{"operator-" + m.tag},
		"no_default_policy": true, "ttl": "24h"}, "client_token")
	if err != nil {
		return "", err
	}
	for name, text := range map[string]string{"secret-id": secretID, "operator.token": operator} {
		if err := m.secret(name, text); err != nil {
			return "", err
		}
	}
	return m.ask("GET", role+"/role-id", nil, "role_id")
}

func (m *setup) bucket(pool *x509.CertPool) (string, error) {
	o := m.state.S3[0]
	client, err := minio.New(o.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), Secure: true, Region: o.Region,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}})
	if err != nil {
		return "", err
	}
	name := "photovault-" + m.tag
	if err := client.MakeBucket(m.ctx, name, minio.MakeBucketOptions{Region: o.Region}); err != nil {
		return "", err
	}
	b, err := json.Marshal(map[string]string{"access_key": o.AccessKey, "secret_key": o.SecretKey})
	if err != nil {
		return "", err
	}
	return name, m.secret("s3.json", string(b))
}

func (m *setup) database() (string, error) {
	bin, err := postgresBin()
	if err != nil {
		return "", err
	}
	name, password, p := "pv_"+m.tag, rand.Text(), m.state.Postgres
	cmd := exec.CommandContext(m.ctx, filepath.Join(bin, "psql"), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1")
	cmd.Env = []string{"PGHOST=" + p.Host, "PGPORT=" + strconv.Itoa(p.Port), "PGUSER=" + p.User, "PGPASSWORD=" + p.Password,
		"PGDATABASE=postgres", "PGSSLMODE=verify-full", "PGSSLROOTCERT=" + m.state.CA, "HOME=" + m.out}
	cmd.Stdin = strings.NewReader(fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s';\nCREATE DATABASE %s OWNER %s TEMPLATE template0;\n", name, password, name, name))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("psql: %w: %s", err, out)
	}
	return name, m.secret("db-password", password)
}

// uuid is a random UUID, RFC 9562 version 4.
func uuid() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

func (m *setup) write(roleID, bucket, database string) error {
	in := func(name string) string { return filepath.Join(m.out, name) }
	s := m.state
	port, err := freePort()
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`practice: %s
server:
  listen: 127.0.0.1:%d
  url: https://127.0.0.1:%d
  certificate: %s
  key: %s
  ca: %s
checkpoint: %s
keys:
  transit:
    address: %s
    ca: %s
    mount: transit-%s
    approle: { mount: approle-%s, role_id: %s, secret_id_file: %s }
objects:
  s3:
    endpoint: https://%s
    region: %s
    bucket: %s
    ca: %s
    credentials_file: %s
catalog:
  postgres: { host: %s, port: %d, database: %s, user: %s, password_file: %s, ca: %s }
`, uuid(), port, port, s.Cert, s.Key, s.CA, in("checkpoint.json"), s.Transit.Address, s.CA, m.tag, m.tag, roleID, in("secret-id"),
		s.S3[0].Endpoint, s.S3[0].Region, bucket, s.CA, in("s3.json"),
		s.Postgres.Host, s.Postgres.Port, database, database, in("db-password"), s.CA)
	if err := os.WriteFile(in("config.yaml"), []byte(text), 0o600); err != nil {
		return err
	}
	_, err = fmt.Printf("%s# %s\n", text, in("config.yaml"))
	return err
}
