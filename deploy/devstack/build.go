package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// The object stores are built from their own modules at these versions.
const (
	minioModule     = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
	versitygwModule = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
	// generation changes when one of the servers does, so that an old build is not taken for a new one.
	generation = "1"
)

// build makes the servers' programs, unless they are there, and returns their
// folder. From nothing it takes some ten minutes.
func build(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(cache, "photovault", "devstack-"+generation)
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	for _, p := range []struct {
		name string
		args []string
	}{
		{"transitd", []string{"build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(bin, "transitd.new"), "./transitd"}},
		{"versitygw", []string{"install", "-trimpath", "-ldflags=-s -w", versitygwModule}},
		{"minio", []string{"install", "-trimpath", "-ldflags=-s -w", minioModule}},
	} {
		path := filepath.Join(bin, p.name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		began := time.Now()
		fmt.Fprintf(os.Stderr, "devstack: building %s (once; some minutes)\n", p.name)
		part := filepath.Join(bin, "part")
		cmd := exec.CommandContext(ctx, "go", p.args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+part, "GOFLAGS=", "GOFIPS140=off")
		if p.args[0] == "install" {
			cmd.Dir = os.TempDir() // out of this module: the program's own go.mod counts
		}
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("build %s: %w", p.name, err)
		}
		from := path + ".new"
		if p.args[0] == "install" {
			from = filepath.Join(part, p.name)
		}
		if err := os.Rename(from, path); err != nil {
			return "", err
		}
		fmt.Fprintf(os.Stderr, "devstack: built %s in %s\n", p.name, time.Since(began).Round(time.Second))
	}
	return bin, nil
}
