package devstack

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// OwnPostgres is a PostgreSQL server of one test's own, which it may freeze,
// crash and start again.
type OwnPostgres struct {
	Postgres
	stack   *Stack
	dir     string
	as      *syscall.Credential
	process *process
}

// OwnPostgres makes and starts one. It ends at cleanup.
func (s *Stack) OwnPostgres(t testing.TB) *OwnPostgres {
	t.Helper()
	// Not t.TempDir, which the server's own user could not get into.
	dir, err := os.MkdirTemp("", "postgres-")
	if err != nil {
		t.Fatal(err)
	}
	o := &OwnPostgres{stack: s, dir: dir, Postgres: Postgres{Host: "127.0.0.1", User: "postgres", Password: rand.Text()}}
	t.Cleanup(func() {
		o.Kill(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	o.init(t)
	o.Start(t)
	return o
}

// Place makes a database on this server, as Stack.Place does on the shared one.
func (o *OwnPostgres) Place(t testing.TB) Place {
	t.Helper()
	own := *o.stack
	own.Postgres = o.Postgres
	return own.Place(t)
}

func (o *OwnPostgres) init(t testing.TB) {
	t.Helper()
	files := map[string][]byte{"password": []byte(o.Password), "hba.conf": []byte("hostssl all all 127.0.0.1/32 scram-sha-256\n")}
	for name, from := range map[string]string{"server.key": o.stack.Key, "server.pem": o.stack.Cert} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(o.dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() == 0 { // which PostgreSQL refuses: its own user gets the folder
		o.as = postgresUser(t)
		for name := range files {
			o.give(t, filepath.Join(o.dir, name))
		}
		o.give(t, o.dir)
	}
	cmd := o.command(t, "initdb", "--pgdata", filepath.Join(o.dir, "data"), "--username", o.User, "--pwfile", filepath.Join(o.dir, "password"),
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("devstack: initdb: %v\n%s", err, out)
	}
}

func (o *OwnPostgres) give(t testing.TB, path string) {
	t.Helper()
	if err := os.Chown(path, int(o.as.Uid), int(o.as.Gid)); err != nil {
		t.Fatal(err)
	}
}

func postgresUser(t testing.TB) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// command is one of the server's programs: Debian's newest, or the one on the PATH.
func (o *OwnPostgres) command(t testing.TB, program string, args ...string) *exec.Cmd {
	t.Helper()
	path := program
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) > 0 {
		path = found[len(found)-1]
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
	cmd.Dir, cmd.SysProcAttr = o.dir, &syscall.SysProcAttr{Credential: o.as}
	return cmd
}

// Start starts it at the same address, and waits until it answers.
func (o *OwnPostgres) Start(t testing.TB) {
	t.Helper()
	if o.process != nil {
		t.Fatal("devstack: the PostgreSQL server runs already")
	}
	for n, first := 1, o.Port == 0; ; n++ {
		if first {
			o.Port = freePort(t)
		}
		o.process = launch(t, o.command(t, "postgres", o.settings()...))
		taken, err := o.process.await(t.Context(), o.answers)
		if err == nil {
			return
		}
		if !taken || n == tries {
			t.Fatalf("devstack: PostgreSQL does not answer: %v", err)
		}
		if o.process = nil; !first {
			time.Sleep(again)
		}
	}
}

// settings are the server's command line.
func (o *OwnPostgres) settings() []string {
	args := []string{"-D", filepath.Join(o.dir, "data")}
	for _, setting := range []string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(o.Port), "unix_socket_directories=", "ssl=on", "ssl_min_protocol_version=TLSv1.2",
		"ssl_cert_file=" + filepath.Join(o.dir, "server.pem"), "ssl_key_file=" + filepath.Join(o.dir, "server.key"),
		"hba_file=" + filepath.Join(o.dir, "hba.conf"), "password_encryption=scram-sha-256", "max_connections=200", "shared_buffers=32MB",
	} {
		args = append(args, "-c", setting)
	}
	return args
}

// answers asks the server whether it serves.
func (o *OwnPostgres) answers(ctx context.Context) error {
	own := *o.stack
	own.Postgres = o.Postgres
	db, err := sql.Open("pgx", own.dsn(o.User, o.Password, "postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // nothing was written
	return db.PingContext(ctx)
}

// Stop ends it in good order; its clients' connections are cut.
func (o *OwnPostgres) Stop(t testing.TB) {
	t.Helper()
	if err := o.process.Process.Signal(syscall.SIGINT); err != nil { // fast shutdown
		t.Error(err)
	}
	if <-o.process.ended; o.process.err != nil {
		t.Error(o.process.err)
	}
	o.process = nil
}

// Kill ends all its processes at once, as a power cut does. It may be called
// when it does not run.
func (o *OwnPostgres) Kill(t testing.TB) {
	t.Helper()
	if o.process == nil {
		return
	}
	o.Freeze(t) // so that none begins meanwhile
	all := o.backends(t)
	for _, pid := range append(all, o.process.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
	}
	<-o.process.ended
	for _, pid := range all {
		for syscall.Kill(pid, 0) == nil && !zombie(pid) {
			time.Sleep(time.Millisecond)
		}
	}
	o.process = nil
}

// zombie: nobody may wait for the children of a server that is gone.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}

// Freeze stops all its processes where they are; connections stay open.
func (o *OwnPostgres) Freeze(t testing.TB) {
	t.Helper()
	o.signal(t, syscall.SIGSTOP)
}

// Thaw lets them go on.
func (o *OwnPostgres) Thaw(t testing.TB) {
	t.Helper()
	o.signal(t, syscall.SIGCONT)
}

// signal reaches the server first: then it makes no more backends, each of
// which has a session of its own.
func (o *OwnPostgres) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := o.process.Process.Signal(s); err != nil {
		t.Error(err)
	}
	for _, pid := range o.backends(t) {
		_ = syscall.Kill(pid, s) // it may have ended by itself
	}
}

func (o *OwnPostgres) backends(t testing.TB) (list []int) {
	t.Helper()
	pid := o.process.Process.Pid
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Error(err)
	}
	for f := range strings.FieldsSeq(string(b)) {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Error(err)
			continue
		}
		list = append(list, n)
	}
	return list
}
