package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"photovault/api"
	"photovault/api/client"
	"photovault/consent"
	"photovault/vault/blobs/s3"
	"photovault/vault/blobs/s3/s3test"
	"photovault/vault/id"
	"photovault/vault/keys/transit"
	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest/devstack"
	"photovault/vault/vaulttest/faultproxy"
)

// cluster is one practice in the stores of production mode and the replicas
// that serve it, each a process of its own.
type cluster struct {
	testing.TB
	dir      string
	place    devstack.Place
	bucket   s3.Options
	practice id.Practice
	trust    *x509.CertPool
	ca       []byte
	settings *settings
	tokens   map[consent.Role]string
	replicas []*replica
	db       *sql.DB    // beside the service
	big      *api.Photo // of large
	campaign id.Campaign
	proxies  []*faultproxy.HTTP // before the bucket, one for each replica; of onCluster
}

// replica is one process; it may be killed, frozen, drained and started again
// at the same address.
type replica struct {
	c       *cluster
	name    string
	address string
	cmd     *exec.Cmd
	log     *logBuffer
	ended   chan error
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const clusterConfig = `practice: %s
server:
  listen: 127.0.0.1:0
  url: https://127.0.0.1
  certificate: %s
  key: %s
  ca: %s
  worker_memory: 128
swap: encrypted
photo_caps:
  provider: {hour: 1000000, day: 1000000}
  marketing: {hour: 1000000, day: 1000000}
checkpoint: %s
keys:
  transit:
    address: %s
    ca: %s
    mount: %s
    key: %s
    approle:
      mount: %s
      role_id: %s
      secret_id_file: %s
objects:
  s3:
    endpoint: %s
    region: %s
    bucket: %s
    ca: %s
    credentials_file: %s
catalog:
  postgres:
    host: %s
    port: %d
    database: %s
    user: %s
    password_file: %s
    ca: %s
`

// ground is the stores that a cluster stands on, and the way that each replica
// has to them.
type ground struct {
	place  devstack.Place
	bucket s3.Options
	keys   transit.Options
	way    func(replica int, at *ways) // may lead through proxies
}

// ways are the addresses in a replica's configuration.
type ways struct {
	keys     string // https://host:port
	bucket   string // https://host:port
	database int    // port
}

// sharedGround is a database, a bucket and a key of the test's own on the
// servers that all tests share.
func sharedGround(t testing.TB) ground {
	t.Helper()
	servers := devstack.Need(t)
	keys, _ := transittest.New(t, servers.Transit)
	return ground{place: servers.Place(t), bucket: s3test.Bucket(t, servers.S3[0], servers.CA), keys: keys, way: func(int, *ways) {}}
}

// newCluster makes a practice on the real servers and starts n replicas.
func newCluster(t testing.TB, n int) *cluster {
	t.Helper()
	return newClusterOn(t, n, sharedGround(t))
}

func newClusterOn(t testing.TB, n int, on ground) *cluster {
	t.Helper()
	c := &cluster{TB: t, dir: t.TempDir(), practice: id.New[id.Practice](), tokens: map[consent.Role]string{}}
	c.must(os.MkdirAll(filepath.Join(c.dir, "tls"), 0o700))
	h := home(c.dir)
	c.must(h.makeAuthority(time.Now(), nil))
	var err error
	c.ca, err = os.ReadFile(h.tls("ca.pem"))
	c.must(err)
	c.trust = x509.NewCertPool()
	c.trust.AppendCertsFromPEM(c.ca)
	c.place, c.bucket = on.place, on.bucket
	keys := on.keys
	credentials, err := json.Marshal(map[string]string{"access_key": c.bucket.AccessKey, "secret_key": c.bucket.SecretKey})
	c.must(err)
	s3File, password := transittest.Secret(t, string(credentials)), transittest.Secret(t, c.place.Password)
	for i := range n {
		r := &replica{c: c, name: fmt.Sprintf("replica-%d", i), address: "127.0.0.1:0"}
		at := ways{keys: keys.Address, bucket: c.bucket.Endpoint, database: int(c.place.Port)}
		on.way(i, &at)
		conf := fmt.Sprintf(clusterConfig, c.practice, h.tls("server.pem"), h.tls("server.key"), h.tls("ca.pem"), r.path("checkpoint.json"),
			at.keys, keys.CAFile, keys.Mount, keys.Key, keys.AppRole.Mount, keys.AppRole.RoleID, keys.AppRole.SecretIDFile,
			at.bucket, c.bucket.Region, c.bucket.Bucket, c.bucket.CAFile, s3File,
			c.place.Host, at.database, c.place.Database, c.place.User, password, c.place.CAFile)
		c.must(os.MkdirAll(r.path(""), 0o700))
		c.must(os.WriteFile(r.path("config.yaml"), []byte(conf), 0o600))
		c.replicas = append(c.replicas, r)
	}
	c.command("init", "--home", filepath.Join(c.dir, "home"))
	admin := home(filepath.Join(c.dir, "home"))
	token, err := os.ReadFile(admin.adminToken())
	c.must(err)
	c.tokens[consent.Admin] = strings.TrimSpace(string(token))
	c.settings, err = admin.loadSettings()
	c.must(err)
	c.db, err = sql.Open("pgx", c.place.DSN())
	c.must(err)
	t.Cleanup(func() { _ = c.db.Close() })
	var wg sync.WaitGroup
	for _, r := range c.replicas {
		wg.Go(func() { r.start() })
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, r := range c.replicas {
			if r.cmd != nil {
				r.kill()
			}
			if t.Failed() {
				t.Logf("%s:\n%s", r.name, r.log)
			}
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	for _, role := range []consent.Role{consent.Provider, consent.Privacy, consent.Marketing} {
		var a api.AccountCreated
		c.must(c.client(0, consent.Admin).Post(t.Context(), "/v1/accounts", api.NewAccount{Name: "The " + string(role), Role: role}, &a))
		c.tokens[role] = a.Token
	}
	return c
}

func (c *cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// command runs a command on the stores, with the first replica's configuration,
// and returns what it printed.
func (c *cluster) command(args ...string) string {
	c.Helper()
	cmd := exec.Command(os.Args[0], append(args, "--config", c.replicas[0].path("config.yaml"))...)
	cmd.Env = append(os.Environ(), "PHOTOVAULT_TEST_MAIN=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.Fatalf("photovault %s: %v\n%s", args, err, out)
	}
	return string(out)
}

// client talks to one replica.
func (c *cluster) client(n int, role consent.Role) *client.Client {
	c.Helper()
	cl, err := client.New("https://"+c.replicas[n].address, c.tokens[role], c.ca)
	c.must(err)
	return cl
}

// wire is a connection pool of its own, for requests that are made by hand.
func (c *cluster) wire() *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.trust, MinVersion: tls.VersionTLS12}}
	c.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// patient is one who may be photographed.
func (c *cluster) patient() id.Patient {
	c.Helper()
	cl := c.client(0, consent.Provider)
	var p api.Patient
	c.must(cl.Post(c.Context(), "/v1/patients", api.NewPatient{RecordNumber: string(id.New[id.Patient]())}, &p))
	c.consent(p.ID)
	return p.ID
}

func (c *cluster) consent(p id.Patient) id.Consent {
	c.Helper()
	var out api.Clinical
	c.must(c.client(0, consent.Provider).Post(c.Context(), "/v1/consents", api.NewClinical{Patient: p,
		Signer: consent.Signer{Name: "Pat Example"}, SignedAt: time.Now().Add(-time.Minute).UTC()}, &out))
	return out.ID
}

// count is one number from the database.
func (c *cluster) count(query string, args ...any) (n int) {
	c.Helper()
	c.must(c.db.QueryRowContext(c.Context(), query, args...).Scan(&n))
	return n
}

// await polls until ok and returns how long it took.
func (c *cluster) await(what string, limit time.Duration, ok func() bool) time.Duration {
	c.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			c.Fatalf("%s: not within %v", what, limit)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(began)
}

// clean says that nothing is lost or left over: the log verifies, and fsck
// finds each object in its row and no other.
func (c *cluster) clean() {
	c.Helper()
	c.command("audit", "verify", "--json")
	c.command("fsck", "--read-data", "--json")
}

func (r *replica) path(f string) string { return filepath.Join(r.c.dir, r.name, f) }

func (r *replica) url(path string) string { return "https://" + r.address + path }

// start starts the process; more are further arguments of serve.
func (r *replica) start(more ...string) {
	r.c.Helper()
	args := append([]string{"serve", "--config", r.path("config.yaml"), "--listen", r.address, "--address-file", r.path("address"),
		"--log-level", "warn", "--sweep-age", "20s", "--drain-delay", "1s", "--drain-limit", "60s"}, more...)
	for began := time.Now(); !r.serve(args) && !r.c.Failed(); time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			r.c.Errorf("%s: its address is taken\n%s", r.name, r.log)
		}
	}
}

// serve is false where another process has the address for the moment: the
// replica had given it back.
func (r *replica) serve(args []string) bool {
	r.c.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "PHOTOVAULT_TEST_MAIN=1")
	if r.log == nil {
		r.log = &logBuffer{}
	}
	before := len(r.log.String())
	cmd.Stderr = r.log
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.c.Error(err)
		return true
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		ended := cmd.Wait()
		if strings.Contains(r.log.String()[before:], "address already in use") {
			return false
		}
		r.c.Errorf("%s ended: %v %v\n%s", r.name, err, ended, r.log)
		return true
	}
	b, err := os.ReadFile(r.path("address"))
	if err != nil {
		r.c.Error(err)
	}
	r.address = strings.TrimSpace(string(b))
	r.cmd, r.ended = cmd, make(chan error, 1)
	go func() { r.ended <- cmd.Wait() }()
	return true
}

// kill ends the process as a power cut would.
func (r *replica) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Process.Signal(syscall.SIGCONT)
	<-r.ended
	r.cmd = nil
}

// drain asks the process to end; gone waits for that and returns its status.
func (r *replica) drain()  { _ = r.cmd.Process.Signal(syscall.SIGTERM) }
func (r *replica) freeze() { _ = r.cmd.Process.Signal(syscall.SIGSTOP) }
func (r *replica) thaw()   { _ = r.cmd.Process.Signal(syscall.SIGCONT) }
func (r *replica) gone() int {
	r.c.Helper()
	select {
	case <-r.ended:
	case <-time.After(3 * time.Minute):
		r.c.Errorf("%s did not end", r.name)
		r.kill()
		return -1
	}
	status := r.cmd.ProcessState.ExitCode()
	r.cmd = nil
	return status
}

// A replica whose configuration leads to a bucket, prefix or practice other than
// the others' does not serve, and the check says so.
func TestAReplicaOfOtherStoresDoesNotStart(t *testing.T) {
	c := newCluster(t, 1)
	right, err := os.ReadFile(c.replicas[0].path("config.yaml"))
	c.must(err)
	other := s3test.Bucket(t, devstack.Need(t).S3[0], devstack.Need(t).CA).Bucket
	for name, wrong := range map[string]string{
		"bucket":   strings.Replace(string(right), "bucket: "+c.bucket.Bucket, "bucket: "+other, 1),
		"prefix":   strings.Replace(string(right), "    bucket: ", "    prefix: other\n    bucket: ", 1),
		"practice": strings.Replace(string(right), string(c.practice), string(id.New[id.Practice]()), 1),
	} {
		if wrong == string(right) {
			t.Fatalf("%s: nothing was changed", name)
		}
		file := filepath.Join(c.dir, name+".yaml")
		c.must(os.WriteFile(file, []byte(wrong), 0o600))
		tried := []struct {
			says string
			args []string
		}{{"made before", []string{"init", "--home", filepath.Join(c.dir, name)}}, {"another's", []string{"serve"}}, {"another's", []string{"config", "check", "--connect"}}}
		if name == "practice" { // init would make it
			tried = tried[1:]
		}
		for _, x := range tried {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			cmd := exec.CommandContext(ctx, os.Args[0], append(x.args, "--config", file)...)
			cmd.Env = append(os.Environ(), "PHOTOVAULT_TEST_MAIN=1")
			out, err := cmd.CombinedOutput()
			cancel()
			if err == nil || ctx.Err() == context.DeadlineExceeded || !strings.Contains(string(out), x.says) {
				t.Errorf("another %s, %v: %v\n%s", name, x.args, err, out)
			}
		}
	}
}

// One look names what is wrong with the keys and with the bucket.
func TestACheckNamesEveryStoreThatIsWrong(t *testing.T) {
	c := newCluster(t, 1)
	file := c.replicas[0].path("config.yaml")
	c.command("config", "check", "--connect")
	text, err := os.ReadFile(file)
	c.must(err)
	for _, field := range []string{"mount: transit-", "bucket: "} {
		if n := strings.Count(string(text), field); n != 1 {
			t.Fatalf("%d times %q in the configuration", n, field)
		}
		text = []byte(strings.Replace(string(text), field, field+"not-", 1))
	}
	c.must(os.WriteFile(file, text, 0o600))
	cmd := exec.Command(os.Args[0], "config", "check", "--connect", "--config", file)
	cmd.Env = append(os.Environ(), "PHOTOVAULT_TEST_MAIN=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "keys: ") || !strings.Contains(string(out), "there is no bucket not-") {
		t.Errorf("%v\n%s", err, out)
	}
}
