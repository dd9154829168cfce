package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const region = "eu-central-1"

// freePort is free now; that nobody takes it before the server does is likely, and otherwise seen at once.
func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

func (l *launcher) transit() error {
	port, err := freePort()
	if err != nil {
		return err
	}
	dir, address := filepath.Join(l.dir, "transit"), fmt.Sprintf("127.0.0.1:%d", port)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := l.start("transitd", nil, l.state.Transitd, "-dir", dir, "-listen", address, "-cert", l.state.Cert, "-key", l.state.Key); err != nil {
		return err
	}
	l.state.Transit.Address = "https://" + address
	return wait(l.ctx, "transitd", func(context.Context) error {
		b, err := os.ReadFile(filepath.Join(dir, "init.json"))
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &l.state.Transit)
	})
}

func (l *launcher) minio() error {
	port, err := freePort()
	if err != nil {
		return err
	}
	certs := filepath.Join(l.dir, "minio-certs")
	if err := os.Mkdir(certs, 0o700); err != nil {
		return err
	}
	for from, to := range map[string]string{l.state.Cert: "public.crt", l.state.Key: "private.key"} {
		if err := os.Symlink(from, filepath.Join(certs, to)); err != nil {
			return err
		}
	}
	o := s3{Name: "minio", Endpoint: fmt.Sprintf("127.0.0.1:%d", port), Region: region, AccessKey: secretText(), SecretKey: secretText()}
	kms := make([]byte, 32)
	if _, err := rand.Read(kms); err != nil {
		return err
	}
	l.state.S3 = append(l.state.S3, o)
	return l.start("minio", []string{
		"MINIO_ROOT_USER=" + o.AccessKey, "MINIO_ROOT_PASSWORD=" + o.SecretKey,
		"MINIO_SITE_REGION=" + region, "MINIO_BROWSER=off", "MINIO_UPDATE=off",
		// For SSE-S3, the peer that a release is measured against.
		"MINIO_KMS_SECRET_KEY=devstack:" + base64.StdEncoding.EncodeToString(kms),
	}, filepath.Join(l.bin, "minio"), "server", "--quiet", "--address", o.Endpoint, "--certs-dir", certs, filepath.Join(l.dir, "minio-data"))
}

func (l *launcher) versitygw() error {
	port, err := freePort()
	if err != nil {
		return err
	}
	o := s3{Name: "versitygw", Endpoint: fmt.Sprintf("127.0.0.1:%d", port), Region: region, AccessKey: secretText(), SecretKey: secretText()}
	data, versions, sidecar := filepath.Join(l.dir, "versitygw-data"), filepath.Join(l.dir, "versitygw-versions"), filepath.Join(l.dir, "versitygw-sidecar")
	for _, dir := range []string{data, versions, sidecar} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	l.state.S3 = append(l.state.S3, o)
	return l.start("versitygw", nil, filepath.Join(l.bin, "versitygw"),
		"--access", o.AccessKey, "--secret", o.SecretKey, "--region", region, "--port", o.Endpoint,
		"--cert", l.state.Cert, "--key", l.state.Key, "--quiet",
		"posix", "--versioning-dir", versions, "--sidecar", sidecar, data)
}

// postgresBin is the newest of Debian's folders of programs, or where the
// programs on the PATH are.
func postgresBin() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("PostgreSQL's initdb was not found; install it (Debian: postgresql)")
	}
	return filepath.Dir(path), nil
}

func (l *launcher) postgres() error {
	bin, err := postgresBin()
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	p := postgres{Host: "127.0.0.1", Port: port, User: "postgres", Password: secretText()}
	dir := filepath.Join(l.dir, "postgresql")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	key, err := os.ReadFile(l.state.Key)
	if err != nil {
		return err
	}
	cert, err := os.ReadFile(l.state.Cert)
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"password":   []byte(p.Password),
		"server.key": key,
		"server.pem": cert,
		"hba.conf": []byte("hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n" +
			"hostssl replication all 127.0.0.1/32 scram-sha-256\n"),
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	as, err := owner(dir, files)
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	cmd := exec.CommandContext(l.ctx, filepath.Join(bin, "initdb"), "--pgdata", data, "--username", p.User,
		"--pwfile", filepath.Join(dir, "password"), "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8")
	cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	l.state.Postgres = p
	run := []string{filepath.Join(bin, "postgres"), "-D", data}
	for _, setting := range []string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(port), "unix_socket_directories=",
		"ssl=on", "ssl_min_protocol_version=TLSv1.2",
		"ssl_cert_file=" + filepath.Join(dir, "server.pem"), "ssl_key_file=" + filepath.Join(dir, "server.key"),
		"hba_file=" + filepath.Join(dir, "hba.conf"), "password_encryption=scram-sha-256", "max_connections=400",
		"log_min_messages=warning",
	} {
		run = append(run, "-c", setting)
	}
	return l.startAs(as, "postgres", nil, run...)
}

// owner is who runs PostgreSQL, which refuses root: its own user, who gets dir
// and the files in it. For anybody else it is nil: the user themself.
func owner(dir string, files map[string][]byte) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	for file := range files {
		if err := os.Chown(filepath.Join(dir, file), int(uid), int(gid)); err != nil {
			return nil, err
		}
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, int(uid), int(gid))
}

// probes ask each server whether it serves.
func (s *state) probes() (map[string]func(context.Context) error, error) {
	pem, err := os.ReadFile(s.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate", s.CA)
	}
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
	get := func(url string, want int) func(context.Context) error {
		return func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				return fmt.Errorf("%s: %s", url, resp.Status)
			}
			return nil
		}
	}
	out := map[string]func(context.Context) error{
		"transitd": get(s.Transit.Address+"/v1/sys/health", http.StatusOK),
		"postgres": func(ctx context.Context) error { return postgresAnswers(ctx, s.Postgres) },
	}
	for _, o := range s.S3 {
		out[o.Name] = get("https://"+o.Endpoint+"/", http.StatusForbidden) // no anonymous listing
	}
	return out, nil
}

// postgresAnswers sends an SSLRequest (protocol 3.0, 55.2.10): a server that is up answers S.
func postgresAnswers(ctx context.Context, p postgres) error {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	c, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(p.Host, strconv.Itoa(p.Port)))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}); err != nil {
		return err
	}
	answer := make([]byte, 1)
	if _, err := c.Read(answer); err != nil {
		return err
	}
	if answer[0] != 'S' {
		return fmt.Errorf("postgres answers %q to an SSL request", answer)
	}
	return nil
}

func (s *state) healthy(ctx context.Context) bool {
	probes, err := s.probes()
	if err != nil || len(s.Servers) != 4 {
		return false
	}
	for _, p := range s.Servers {
		if !p.running() {
			return false
		}
	}
	for _, probe := range probes {
		if probe(ctx) != nil {
			return false
		}
	}
	return true
}

func (s *state) await(ctx context.Context) error {
	probes, err := s.probes()
	if err != nil {
		return err
	}
	for name, probe := range probes {
		if err := wait(ctx, name, probe); err != nil {
			return err
		}
	}
	return nil
}

// wait asks until there is no error, for a minute at most.
func wait(ctx context.Context, name string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", name, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
