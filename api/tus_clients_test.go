package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"photovault/imaging/specimen"
	"photovault/vault"
	"photovault/vault/vaulttest/faultproxy"
)

// missing skips, or fails where nothing may be left out.
func missing(t testing.TB) func(format string, args ...any) {
	if os.Getenv("PHOTOVAULT_REQUIRE") == "all" {
		return t.Fatalf
	}
	return t.Skipf
}

// nodeModules finds the stock clients' packages, or says what is missing.
func nodeModules(t testing.TB, names ...string) (node, modules string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t)("node is not installed: %v", err)
	}
	modules = os.Getenv("PHOTOVAULT_NODE_MODULES")
	if modules == "" {
		modules = filepath.Join("testdata", "tus", "node_modules")
	}
	if modules, err = filepath.Abs(modules); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(modules, name)); err != nil {
			missing(t)("npm package %s is not in %s: run npm ci in api/testdata/tus, or set PHOTOVAULT_NODE_MODULES", name, modules)
		}
	}
	return node, modules
}

// picture is larger than two of the service's segments.
var picture = sync.OnceValue(func() []byte {
	return specimen.JPEG(specimen.Options{Width: 2800, Height: 2000, Quality: 97, Seed: 5, GPS: true})
})

// onDisk is a declared photo whose sealed file lies where a client finds it.
type onDisk struct {
	*shot
	folder, file, authority string
}

// named numbers the files; they are called as a person might call them, which is
// nobody's business.
var named atomic.Int64

func (s *stack) onDisk() *onDisk {
	s.Helper()
	x := &onDisk{shot: s.declare(s.consented(), picture()), folder: s.TempDir()}
	if len(x.sealed) < 5<<19 {
		s.Fatalf("the file of %d bytes is too small to be cut in the middle", len(x.sealed))
	}
	x.file, x.authority = filepath.Join(x.folder, fmt.Sprintf("Erika Mustermann %d.sealed", named.Add(1))), filepath.Join(x.folder, "ca.pem")
	s.must(os.WriteFile(x.file, x.sealed, 0o600))
	s.must(os.WriteFile(x.authority, s.ca.pem, 0o600))
	return x
}

// arrivedExactly waits for the photo and compares what was stored with what was sealed.
func (s *stack) arrivedExactly(x *shot) {
	s.Helper()
	s.await(x.Photo.ID, vault.Ready)
	receipt := into[vault.Receipt](s.ask("GET", "/v1/photos/"+string(x.Photo.ID)+"/receipt", s.token("provider"), nil), 200)
	if receipt.Findings.InputSHA256 != digest(picture()) || !receipt.Findings.HadGPS {
		s.Errorf("another photo is stored: %+v", receipt.Findings)
	}
}

// mode is how a stock client sends a file.
type mode struct {
	name     string
	chunk    int // bytes; 0: the whole in one PATCH
	parallel int
}

var modes = []mode{{"in chunks", 512 << 10, 1}, {"in one PATCH", 0, 1}, {"in parallel", 256 << 10, 3}}

// job is what upload.mjs and the page are told.
type job struct {
	Endpoint    string `json:"endpoint"`
	Grant       string `json:"grant"`
	File        string `json:"file"`
	Storage     string `json:"storage"`
	ChunkSize   *int   `json:"chunkSize"`
	Parallel    int    `json:"parallelUploads"`
	RetryDelays []int  `json:"retryDelays"`
}

// soon is when a client tries again whose broken connection the service may
// still be reading from.
var soon = []int{100, 300, 1000, 3000, 3000}

func (m mode) job(x *onDisk, endpoint string) job {
	j := job{Endpoint: endpoint + "/v1/uploads", Grant: x.Grant, File: x.file, Storage: filepath.Join(x.folder, "tus.json"), Parallel: m.parallel, RetryDelays: []int{}}
	if m.chunk > 0 {
		j.ChunkSize = &m.chunk
	}
	return j
}

// said is a line that a client prints.
type said struct {
	Sent    int      `json:"sent"`
	Done    bool     `json:"done"`
	Resumed bool     `json:"resumed"`
	URLs    []string `json:"urls"`
	Error   string   `json:"error"`
}

// midway is where a file's upload is stalled to be broken off: each of three
// parts has begun, with all that is sent around them, and none is the last.
func (x *onDisk) midway() int64 { return int64(len(x.sealed))*2/3 + 64<<10 }

// stored waits until the client has written down where its upload is.
func (j job) stored() {
	for range 12_000 {
		b, err := os.ReadFile(j.Storage)
		_, locked := os.Stat(j.Storage + ".lock")
		if err == nil && json.Valid(b) && bytes.Contains(b, []byte("/v1/uploads/")) && locked != nil {
			return
		}
		time.Sleep(5 * time.Millisecond) // it says so nowhere else
	}
}

// node runs the stock client, with what it says to hear; when until is closed
// it is killed, as soon as it has written down where it is.
func (s *stack) node(x *onDisk, j job, hear func(said), until <-chan struct{}) (last said) {
	s.Helper()
	node, modules := nodeModules(s, "tus-js-client")
	if _, err := os.Stat(j.Storage); err != nil {
		s.must(os.WriteFile(j.Storage, []byte("{}"), 0o600))
	}
	in, err := json.Marshal(j)
	s.must(err)
	cmd := exec.CommandContext(s.Context(), node, filepath.Join("testdata", "tus", "upload.mjs"))
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+x.authority, "PHOTOVAULT_NODE_MODULES="+modules)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.StdoutPipe()
	s.must(err)
	s.must(cmd.Start())
	var killed atomic.Bool
	over, killer := make(chan struct{}), sync.WaitGroup{}
	killer.Go(func() {
		select {
		case <-until:
			j.stored()
			killed.Store(true)
			_ = cmd.Process.Kill()
		case <-over:
		}
	})
	for d := json.NewDecoder(out); ; {
		var line said
		if err := d.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			if !killed.Load() {
				s.Errorf("node: %v", err)
			}
			break
		}
		if hear != nil {
			hear(line)
		}
		last = line
	}
	close(over)
	killer.Wait()
	if err := cmd.Wait(); err != nil && !killed.Load() {
		s.Fatalf("node: %v\n%s", err, &stderr)
	}
	return last
}

func TestTheStockClientIsKilledAndAnotherProcessGoesOn(t *testing.T) {
	names := &canaries{Handler: slog.DiscardHandler, what: "Mustermann"}
	s := newStack(t, func(o *options) { o.log = slog.New(names) })
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			x := s.onDisk()
			network := faultproxy.New(t, s.address)
			j := m.job(x, "https://"+network.Addr)
			if last := s.node(x, j, nil, network.StallAfter(x.midway())); last.Done {
				t.Fatal("it was not killed in the middle")
			}
			network.Cut()
			network.Stall(false)
			j.RetryDelays = soon
			last := s.node(x, j, nil, nil)
			if !last.Done || !last.Resumed || len(last.URLs) != m.parallel {
				t.Fatalf("the second process did not go on: %+v", last)
			}
			s.arrivedExactly(x.shot)
		})
	}
	if n := names.n.Load(); n > 0 {
		t.Errorf("the log has the file's name %d times", n)
	}
}

// A tablet that comes back the next day finds its upload gone, and begins anew.
func TestTheStockClientBeginsAnewWhenItsUploadExpired(t *testing.T) {
	s := newStack(t)
	x := s.onDisk()
	network := faultproxy.New(t, s.address)
	j := modes[0].job(x, "https://"+network.Addr)
	s.node(x, j, nil, network.StallAfter(x.midway()))
	network.Cut()
	network.Stall(false)
	s.clock.advance(25 * time.Hour)
	j.RetryDelays = soon
	if last := s.node(x, j, nil, nil); !last.Done || !last.Resumed {
		t.Fatalf("%+v", last)
	}
	s.arrivedExactly(x.shot)
}

// The connection is reset at bytes that chance picks, and once nothing goes
// through for longer than the service waits.
func TestTheStockClientOverABadNetwork(t *testing.T) {
	s := newStack(t, func(o *options) { o.stall = time.Second })
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			x := s.onDisk()
			network := s.bad(s.address, 6, int64(len(x.sealed)))
			j := m.job(x, "https://"+network.Addr)
			for range 40 {
				j.RetryDelays = append(j.RetryDelays, 50)
			}
			var once sync.Once
			var silence sync.WaitGroup
			last := s.node(x, j, func(l said) {
				if l.Sent > len(x.sealed)/3 {
					once.Do(func() {
						network.Stall(true)
						silence.Go(func() {
							<-time.After(2500 * time.Millisecond) // how long it lasts is what is tested
							network.Stall(false)
						})
					})
				}
			}, nil)
			silence.Wait()
			if !last.Done {
				t.Fatalf("%+v", last)
			}
			if network.resets.Load() == 0 {
				t.Error("nothing was reset")
			}
			s.arrivedExactly(x.shot)
		})
	}
}

// bad is a network that resets its first connections, each after some bytes.
type bad struct {
	*faultproxy.Proxy
	resets atomic.Int64
}

// bad resets so many connections to an address, each after at most half of
// limit bytes, and then no more.
func (s *stack) bad(address string, resets int, limit int64) *bad {
	s.Helper()
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	b := &bad{Proxy: faultproxy.New(s, address)}
	var at []int64
	for range resets {
		at = append(at, 600+random.Int64N(limit/2))
	}
	s.Logf("seed %d: resets after %v bytes", seed, at)
	b.CutEach(func() int64 {
		n := int(b.resets.Load())
		if n == len(at) {
			return -1
		}
		b.resets.Add(1)
		return at[n]
	})
	return b
}

// What somebody with curl alone can do: create, send, be cut off, ask, go on.
func TestCurlResumesAnUpload(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		missing(t)("curl is not installed: %v", err)
	}
	s := newStack(t)
	x := s.onDisk()
	network := faultproxy.New(t, s.address)
	run := func(ok bool, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), curl, append([]string{"--silent", "--show-error", "--http1.1", "--max-time", "60", "--cacert", x.authority, "--config", "-",
			"--dump-header", "-", "--output", filepath.Join(x.folder, "body"), "--header", "Tus-Resumable: 1.0.0"}, args...)...)
		cmd.Stdin = bytes.NewReader([]byte(`header = "Authorization: Bearer ` + x.Grant + `"`)) // not for every user's eyes
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if (err == nil) != ok {
			t.Fatalf("curl %v: %v %s", args, err, &stderr)
		}
		return string(out)
	}
	address := "https://" + network.Addr
	created := run(true, "--request", "POST", "--header", fmt.Sprintf("Upload-Length: %d", len(x.sealed)), address+"/v1/uploads")
	up := address + field(created, "Location")
	patch := func(ok bool, offset, file string) string {
		return run(ok, "--request", "PATCH", "--header", "Content-Type: application/offset+octet-stream", "--header", "Upload-Offset: "+offset, "--data-binary", "@"+file, up)
	}
	network.CutAfter(int64(len(x.sealed)) * 2 / 3)
	patch(false, "0", x.file)
	network.CutAfter(-1)
	rest := filepath.Join(x.folder, "rest")
	s.eventually("the rest is sent", func() bool { // what was on its way when the connection broke may still come to be durable
		var at int
		_, err := fmt.Sscan(field(run(true, "--head", up), "Upload-Offset"), &at)
		s.must(err)
		s.must(os.WriteFile(rest, x.sealed[at:], 0o600))
		return field(patch(true, fmt.Sprint(at), rest), "Upload-Offset") == fmt.Sprint(len(x.sealed))
	})
	s.arrivedExactly(x.shot)
}

// field is that of the last head that curl wrote.
func field(heads, name string) (value string) {
	for line := range bytes.Lines([]byte(heads)) {
		if k, v, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(k, []byte(name)) {
			value = string(bytes.TrimSpace(v))
		}
	}
	return value
}
