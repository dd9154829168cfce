package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// state is devstack.json. Package photovault/vault/vaulttest/devstack reads it.
type state struct {
	CA       string   `json:"ca"`
	Transit  transit  `json:"transit"`
	S3       []s3     `json:"s3"`
	Postgres postgres `json:"postgres"`
	Servers  []server `json:"servers"`
	// What a test needs to run a transit server of its own.
	Transitd string `json:"transitd"` // the program
	Cert     string `json:"cert"`
	Key      string `json:"key"`
}

type transit struct {
	Address   string `json:"address"`
	RootToken string `json:"root_token"`
	UnsealKey string `json:"unseal_key"`
}

type s3 struct {
	Name      string `json:"name"`
	Endpoint  string `json:"endpoint"`
	Region    string `json:"region"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

type postgres struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	User     string `json:"user"`
	Password string `json:"password"`
}

// server is a process of ours.
type server struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
}

func statePath(dir string) string { return filepath.Join(dir, "devstack.json") }

func load(dir string) (*state, error) {
	b, err := os.ReadFile(statePath(dir))
	if err != nil {
		return nil, err
	}
	s := &state{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("%s: %w", statePath(dir), err)
	}
	return s, nil
}

// save replaces the file in one step, so that no test reads half of it.
func (s *state) save(dir string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(statePath(dir)+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(statePath(dir)+".new", statePath(dir))
}

// running says whether the process is there and is still that server: a
// process id may belong to somebody else by now.
func (s server) running() bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.PID))
	if err != nil {
		return false
	}
	return strings.Contains(string(b), s.Name)
}

func (s server) signal(sig syscall.Signal) error { return syscall.Kill(s.PID, sig) }
