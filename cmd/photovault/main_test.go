package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is the product when it is told to be: tests run it as other
// processes, to kill them, and as media workers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "upload-floor" {
		os.Exit(uploadFloor(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "media-worker" || os.Getenv("PHOTOVAULT_TEST_MAIN") == "1" {
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	status := m.Run()
	ledger.print(os.Stdout)
	os.Exit(status)
}

// vaultProcess is a home folder and the service that runs on it.
type vaultProcess struct {
	t       testing.TB
	home    string
	address string
	cmd     *exec.Cmd
	log     *logBuffer
	tokens  map[string]string
}

func command(home string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append(args, "--home", home)...)
	cmd.Env = append(os.Environ(), "PHOTOVAULT_TEST_MAIN=1")
	return cmd
}

// newVault makes a vault and starts it.
func newVault(t testing.TB) *vaultProcess {
	t.Helper()
	return newVaultIn(t, t.TempDir())
}

// newVaultIn makes it below a folder.
func newVaultIn(t testing.TB, dir string) *vaultProcess {
	t.Helper()
	v := &vaultProcess{t: t, home: filepath.Join(dir, "vault"), tokens: map[string]string{}}
	if out, err := command(v.home, "init", "--listen", "127.0.0.1:0").CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	token, err := os.ReadFile(filepath.Join(v.home, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	v.tokens["admin"] = strings.TrimSpace(string(token))
	v.address = "127.0.0.1:0"
	v.start()
	t.Cleanup(func() {
		if v.cmd != nil {
			v.stop()
		}
	})
	for _, role := range []string{"provider", "front-desk", "marketing", "privacy"} {
		v.tokens[role] = v.must("admin", "user", "add", "The "+role, "--role", role)
	}
	return v
}

// start starts the service; a later start listens on the same port. more are
// further arguments of serve.
func (v *vaultProcess) start(more ...string) {
	v.t.Helper()
	for began := time.Now(); !v.serve(more); time.Sleep(100 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			v.t.Fatalf("the address is taken\n%s", v.log)
		}
	}
}

// serve is false where another process has the address for the moment: the
// service had given it back.
func (v *vaultProcess) serve(more []string) bool {
	v.t.Helper()
	file := filepath.Join(filepath.Dir(v.home), "address")
	v.cmd = command(v.home, append([]string{"serve", "--listen", v.address, "--address-file", file, "--sweep-age", "1ms", "--log-level", "warn",
		"--photo-cap", "provider=1000000/1000000", "--photo-cap", "marketing=1000000/1000000"}, more...)...)
	v.log = &logBuffer{}
	v.cmd.Stderr = v.log
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		_ = v.cmd.Wait()
		if strings.Contains(v.log.String(), "address already in use") {
			return false
		}
		v.t.Fatalf("serve ended: %v\n%s", err, v.log)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		v.t.Fatal(err)
	}
	v.address = strings.TrimSpace(string(b))
	return true
}

// kill ends the service as a power cut would.
func (v *vaultProcess) kill() {
	_ = v.cmd.Process.Kill()
	_ = v.cmd.Wait()
	v.cmd = nil
}

// stop ends the service in good order.
func (v *vaultProcess) stop() {
	v.t.Helper()
	_ = v.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- v.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			v.t.Errorf("serve ended with %v\n%s", err, v.log)
		}
	case <-time.After(2 * time.Minute):
		_ = v.cmd.Process.Kill()
		v.t.Error("serve did not end on SIGTERM")
	}
	v.cmd = nil
}

func (v *vaultProcess) server() string { return "https://" + v.address }

// run runs a client command as a role.
func (v *vaultProcess) run(role string, args ...string) (stdout, stderr string, err error) {
	cmd := command(v.home, args...)
	cmd.Env = append(cmd.Env, "PHOTOVAULT_SERVER="+v.server(), "PHOTOVAULT_TOKEN="+v.tokens[role])
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return strings.TrimSpace(out.String()), strings.TrimSpace(errs.String()), err
}

func (v *vaultProcess) must(role string, args ...string) string {
	v.t.Helper()
	stdout, stderr, err := v.run(role, args...)
	if err != nil {
		v.t.Fatalf("photovault %s as %s: %v\n%s", args, role, err, stderr)
	}
	return stdout
}

// patientWithConsent adds a patient who may be photographed.
func (v *vaultProcess) patientWithConsent(number string) string {
	v.t.Helper()
	p := v.must("front-desk", "patient", "add", number)
	v.must("front-desk", "consent", "clinical", "--patient", p, "--signer", "Pat Example")
	return p
}

func photoFile(t *testing.T, photo []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), fmt.Sprintf("photo-%d.jpg", len(photo)))
	if err := os.WriteFile(path, photo, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
