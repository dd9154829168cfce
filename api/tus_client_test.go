package api_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"photovault/imaging/specimen"
	"photovault/vault"
)

// nodeModules finds the stock clients' packages, or says what is missing.
func nodeModules(t *testing.T) (node, modules string) {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("PHOTOVAULT_REQUIRE") == "all" {
		missing = t.Fatalf
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("node is not installed: %v", err)
	}
	modules = os.Getenv("PHOTOVAULT_NODE_MODULES")
	if modules == "" {
		modules = filepath.Join("testdata", "tus", "node_modules")
	}
	modules, err = filepath.Abs(modules)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "tus-js-client")); err != nil {
		missing("npm package tus-js-client is not in %s: run npm ci in api/testdata/tus, or set PHOTOVAULT_NODE_MODULES", modules)
	}
	return node, modules
}

// cutter passes TCP connections on and breaks all of them once so many bytes
// went towards the service; from then on it passes them on unharmed.
type cutter struct {
	net.Listener
	target string

	mu    sync.Mutex
	left  int64
	cut   bool
	conns map[net.Conn]struct{}
	wg    sync.WaitGroup
}

func newCutter(s *stack, after int64) *cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	c := &cutter{Listener: l, target: s.address, left: after, conns: map[net.Conn]struct{}{}}
	c.wg.Go(c.accept)
	s.Cleanup(func() {
		_ = l.Close()
		c.breakAll()
		c.wg.Wait()
	})
	return c
}

func (c *cutter) accept() {
	for {
		in, err := c.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", c.target)
		if err != nil {
			_ = in.Close()
			return
		}
		c.mu.Lock()
		c.conns[in], c.conns[out] = struct{}{}, struct{}{}
		c.mu.Unlock()
		c.wg.Go(func() { _, _ = io.Copy(out, counted{in, c}); _ = out.(*net.TCPConn).CloseWrite() })
		c.wg.Go(func() { _, _ = io.Copy(in, out); _ = in.Close() })
	}
}

func (c *cutter) breakAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		_ = conn.Close()
	}
	clear(c.conns)
}

// happened reports whether the cut did.
func (c *cutter) happened() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

type counted struct {
	io.Reader
	c *cutter
}

func (r counted) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.c.mu.Lock()
	r.c.left -= int64(n)
	now := r.c.left <= 0 && !r.c.cut
	r.c.cut = r.c.cut || now
	r.c.mu.Unlock()
	if now {
		r.c.breakAll()
		return 0, errors.New("cut")
	}
	return n, err
}

func TestTheStockTusClientIsCutAndResumesInAnotherProcess(t *testing.T) {
	node, modules := nodeModules(t)
	s := newStack(t)
	jpeg := specimen.JPEG(specimen.Options{Width: 2800, Height: 2000, Quality: 97, Seed: 5, GPS: true})
	x := s.declare(s.consented(), jpeg)
	if len(x.sealed) < 5<<19 {
		t.Fatalf("the file of %d bytes is too small to be cut in the middle", len(x.sealed))
	}
	file, authority, storage := filepath.Join(s.folder, "photo.sealed"), filepath.Join(s.folder, "ca.pem"), filepath.Join(s.folder, "tus.json")
	s.must(os.WriteFile(file, x.sealed, 0o600))
	s.must(os.WriteFile(authority, s.ca.pem, 0o600))
	s.must(os.WriteFile(storage, []byte("{}"), 0o600))
	proxy := newCutter(s, int64(len(x.sealed))/2+100_000)

	type result struct {
		Done    bool   `json:"done"`
		Resumed bool   `json:"resumed"`
		Offset  int    `json:"offset"`
		URL     string `json:"url"`
		Error   string `json:"error"`
	}
	run := func() result {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), node, filepath.Join("testdata", "tus", "upload.mjs"),
			"https://"+proxy.Addr().String()+"/v1/uploads", file, storage)
		cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+authority, "PHOTOVAULT_NODE_MODULES="+modules, "PHOTOVAULT_GRANT="+x.Grant)
		var said result
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 3) {
			t.Fatalf("node: %v: %s", err, out)
		}
		s.must(json.Unmarshal(out, &said))
		return said
	}
	first := run()
	if first.Done || !proxy.happened() || first.Offset < 1<<20 || first.Error == "" {
		t.Fatalf("the first process was not cut in the middle: %+v", first)
	}
	second := run()
	if !second.Done || !second.Resumed || second.URL != first.URL || second.Offset != len(x.sealed) {
		t.Fatalf("the second process did not go on: %+v after %+v", second, first)
	}
	s.await(x.Photo.ID, vault.Ready)
	receipt := into[vault.Receipt](s.ask("GET", "/v1/photos/"+string(x.Photo.ID)+"/receipt", s.token("provider"), nil), 200)
	if receipt.Findings.InputSHA256 != digest(jpeg) || !receipt.Findings.HadGPS {
		t.Errorf("another photo is stored: %+v", receipt.Findings)
	}
}
