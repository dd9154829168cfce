// Package container_test holds the compose file against what it promises of
// each container, as `docker compose config` understands it. Nothing is run.
package container_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

type mount struct{ Source, Target string }

type composed struct {
	Services map[string]struct {
		User        string            `json:"user"`
		ReadOnly    bool              `json:"read_only"`
		CapDrop     []string          `json:"cap_drop"`
		SecurityOpt []string          `json:"security_opt"`
		Privileged  bool              `json:"privileged"`
		PIDs        int               `json:"pids_limit"`
		MemLimit    string            `json:"mem_limit"`
		MemSwap     string            `json:"memswap_limit"`
		Networks    map[string]any    `json:"networks"`
		Environment map[string]string `json:"environment"`
		Healthcheck struct{ Test []string }
		DependsOn   map[string]struct{ Condition string } `json:"depends_on"`
		Ports       []struct {
			HostIP    string `json:"host_ip"`
			Published string `json:"published"`
		} `json:"ports"`
		CPUs    float64                                     `json:"cpus"`
		Ulimits map[string]struct{ Soft, Hard, Single int } `json:"ulimits"`
		Configs []mount                                     `json:"configs"`
		Secrets []mount                                     `json:"secrets"`
		Volumes []mount                                     `json:"volumes"`
	} `json:"services"`
	Networks map[string]struct{ Internal bool } `json:"networks"`
}

func compose(t *testing.T) composed {
	t.Helper()
	command := []string{"docker", "compose"}
	if exec.CommandContext(t.Context(), "docker", "compose", "version").Run() != nil {
		command = []string{"docker-compose"}
		if out, err := exec.CommandContext(t.Context(), "docker-compose", "version").Output(); err != nil || !bytes.Contains(out, []byte("Docker Compose")) {
			if os.Getenv("PHOTOVAULT_REQUIRE") == "all" {
				t.Fatal("docker compose is needed")
			}
			t.Skip("left out: no docker compose")
		}
	}
	command = append(command, "-f", "compose.yaml", "config", "--format", "json")
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("docker compose config: %v\n%s", err, errs.String())
	}
	if errs.Len() > 0 {
		t.Errorf("docker compose config warns: %s", errs.String())
	}
	var c composed
	if err := json.Unmarshal(out.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryContainerIsHardened(t *testing.T) {
	c := compose(t)
	if len(c.Services) != 4 {
		t.Fatalf("%d services", len(c.Services))
	}
	for name, s := range c.Services {
		uid, _, _ := strings.Cut(s.User, ":")
		switch {
		case uid == "" || uid == "0" || uid == "root":
			t.Errorf("%s runs as %q", name, s.User)
		case !s.ReadOnly:
			t.Errorf("%s can write to its root", name)
		case !slices.Equal(s.CapDrop, []string{"ALL"}):
			t.Errorf("%s keeps capabilities: drops %v", name, s.CapDrop)
		case !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || slices.ContainsFunc(s.SecurityOpt, func(o string) bool { return strings.Contains(o, "unconfined") }):
			t.Errorf("%s: %v", name, s.SecurityOpt)
		case s.Privileged || s.PIDs == 0:
			t.Errorf("%s: privileged %v, %d processes", name, s.Privileged, s.PIDs)
		case s.MemLimit == "" || s.MemLimit != s.MemSwap:
			t.Errorf("%s may swap: memory %s, with swap %s", name, s.MemLimit, s.MemSwap)
		case s.CPUs <= 0 || s.CPUs > 4:
			t.Errorf("%s may use %v processors", name, s.CPUs)
		case len(s.Ulimits) != 1 || s.Ulimits["core"] != struct{ Soft, Hard, Single int }{}:
			t.Errorf("%s may dump its memory: %v", name, s.Ulimits)
		case len(s.Healthcheck.Test) == 0:
			t.Errorf("%s has no health check", name)
		}
		for variable, value := range s.Environment {
			if strings.Contains(strings.ToUpper(variable), "PASSWORD") && !strings.HasSuffix(variable, "_FILE") || strings.Contains(variable, "SECRET") && !strings.HasPrefix(value, "/run/secrets/") {
				t.Errorf("%s has a secret in its environment: %s", name, variable)
			}
		}
	}
}

func TestOnlyPhotovaultIsReachedFromOutside(t *testing.T) {
	c := compose(t)
	if !c.Networks["inside"].Internal {
		t.Error("the stores' network has a way out")
	}
	for name, s := range c.Services {
		_, outside := s.Networks["outside"]
		if _, inside := s.Networks["inside"]; !inside || outside != (name == "photovault") {
			t.Errorf("%s is on networks %v", name, s.Networks)
		}
		for _, p := range s.Ports {
			if name != "photovault" || p.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s on %q", name, p.Published, p.HostIP)
			}
		}
	}
	for _, store := range []string{"transit", "objects", "database"} {
		if got := c.Services["photovault"].DependsOn[store].Condition; got != "service_healthy" {
			t.Errorf("photovault does not wait for %s: %q", store, got)
		}
	}
}

// The image is nothing but the binary, run by nobody in particular.
func TestTheContainerfileEndsInScratch(t *testing.T) {
	b, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, last, ok := strings.Cut(string(b), "FROM scratch")
	for _, want := range []string{"USER 65532:65532", "HEALTHCHECK", `ENTRYPOINT ["/photovault"]`} {
		if !ok || !strings.Contains(last, want) {
			t.Errorf("the final stage has no %s", want)
		}
	}
	for _, want := range []string{"CGO_ENABLED=0", "GOFIPS140=certified", "golang:1.26.8-"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the build has no %s", want)
		}
	}
}
