package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// up starts the servers, unless they all run.
func up(ctx context.Context, dir string) error {
	if s, err := load(dir); err == nil && s.healthy(ctx) {
		return s.print(dir)
	}
	bin, err := build(ctx)
	if err != nil {
		return err
	}
	if err := down(dir); err != nil {
		return err
	}
	// PostgreSQL does not run as root: its user must reach its folder through this one.
	if err := os.Mkdir(dir, 0o711); err != nil {
		return err
	}
	if err := authority(dir); err != nil {
		return err
	}
	s := &state{CA: filepath.Join(dir, "ca.pem"), Transitd: filepath.Join(bin, "transitd"),
		Cert: filepath.Join(dir, "server.pem"), Key: filepath.Join(dir, "server.key")}
	l := &launcher{ctx: ctx, dir: dir, bin: bin, state: s}
	for _, start := range []func() error{l.transit, l.minio, l.versitygw, l.postgres} {
		err := start()
		if err := s.save(dir); err != nil { // also what has been started so far
			return err
		}
		if err != nil {
			return errors.Join(err, down(dir))
		}
	}
	if err := s.await(ctx); err != nil {
		return errors.Join(err, l.logs(), down(dir))
	}
	if err := s.print(dir); err != nil {
		return err
	}
	fmt.Print("\nphotovault init --config FILE and photovault serve --config FILE run on them; FILE:\n\n")
	return configure(ctx, dir, filepath.Join(dir, "photovault"))
}

// launcher starts one server after the other.
type launcher struct {
	ctx      context.Context
	dir, bin string
	state    *state
}

// start runs a server in a session of its own, with its output in dir/name.log.
func (l *launcher) start(name string, env []string, args ...string) error {
	return l.startAs(nil, name, env, args...)
}

// startAs runs it as another user, unless that is nil.
func (l *launcher) startAs(as *syscall.Credential, name string, env []string, args ...string) error {
	log, err := os.OpenFile(filepath.Join(l.dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(args[0], args[1:]...) // outlives this process
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir}, env...)
	cmd.Dir = filepath.Dir(l.dir) // one that every user may enter
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: as}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	l.state.Servers = append(l.state.Servers, server{Name: name, PID: cmd.Process.Pid})
	return cmd.Process.Release()
}

// logs shows the end of each server's output.
func (l *launcher) logs() error {
	var all []string
	for _, s := range l.state.Servers {
		b, err := os.ReadFile(filepath.Join(l.dir, s.Name+".log"))
		if err != nil {
			return err
		}
		all = append(all, fmt.Sprintf("--- %s\n%s", s.Name, b[max(0, len(b)-2000):]))
	}
	return errors.New(strings.Join(all, "\n"))
}

// down stops what runs and removes its data.
func down(dir string) error {
	s, err := load(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(dir); err == nil {
			return os.RemoveAll(dir)
		}
		return nil
	case err != nil:
		return err
	}
	for _, p := range s.Servers {
		if p.running() {
			if err := p.signal(syscall.SIGTERM); err != nil {
				return fmt.Errorf("stop %s: %w", p.Name, err)
			}
		}
	}
	for _, p := range s.Servers {
		for began := time.Now(); p.running(); time.Sleep(20 * time.Millisecond) {
			if time.Since(began) > 10*time.Second {
				if err := p.signal(syscall.SIGKILL); err != nil {
					return fmt.Errorf("kill %s: %w", p.Name, err)
				}
			}
		}
	}
	return os.RemoveAll(dir)
}

func (s *state) print(dir string) error {
	_, err := fmt.Printf("devstack is up: %s\n  transit     %s\n", statePath(dir), s.Transit.Address)
	for _, o := range s.S3 {
		fmt.Printf("  %-11s https://%s\n", o.Name, o.Endpoint)
	}
	fmt.Printf("  postgresql  %s:%d\nstop it: make devstack-down\n", s.Postgres.Host, s.Postgres.Port)
	return err
}

// secretText is a fresh password or access key.
func secretText() string { return rand.Text() }
