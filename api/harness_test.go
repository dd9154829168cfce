package api_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"photovault/api"
	"photovault/api/identity"
	"photovault/consent"
	"photovault/imaging"
	"photovault/imaging/codec"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/secret"
)

// TestMain lets the test binary be the media worker that its own pool starts.
// After a whole run it asks whether the tests made use of the whole document,
// and whether anything still runs.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "media-worker" {
		os.Exit(codec.WorkerMain(os.Stdin, os.Stdout, os.Args[2:]))
	}
	code := m.Run()
	if pool, err := media(); err == nil {
		pool.Close()
	}
	whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
	if code == 0 && whole {
		if err := coverage.complete(os.Stdout); err != nil {
			fmt.Println(err)
			code = 1
		}
		if err := goleak.Find(daemons...); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

// daemons are what libraries start once for a whole process, or what ends by
// itself some seconds after a server has.
var daemons = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
}

// media is the pool of workers, one for all tests: it keeps no state of theirs.
var media = sync.OnceValues(func() (*imaging.Pool, error) {
	return imaging.NewPool(imaging.Config{Command: []string{"/proc/self/exe", "media-worker"}, MemoryBytes: 2 * workerMemory, UsualBytes: workerMemory,
		WallClock: 2 * time.Minute, // a busy machine is no failure
		Logger:    slog.New(slog.DiscardHandler)})
})

// clock runs with the real one, some way ahead of it.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// beginMinute goes to where a minute has begun: failed attempts are counted by the minute.
func (c *clock) beginMinute() {
	now := c.now()
	c.advance(now.Truncate(time.Minute).Add(time.Minute + time.Millisecond).Sub(now))
}

// checkpoints keeps the newest one of each practice in memory.
type checkpoints struct {
	mu     sync.Mutex
	newest map[id.Practice]audit.Checkpoint
}

func (c *checkpoints) Save(p audit.Checkpoint) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.newest == nil {
		c.newest = map[id.Practice]audit.Checkpoint{}
	}
	c.newest[p.Practice] = p
	return nil
}

func (c *checkpoints) Newest(p id.Practice) (*audit.Checkpoint, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	newest, ok := c.newest[p]
	if !ok {
		return nil, nil
	}
	return &newest, nil
}

// countedKeys counts what the key service is asked for, and can be told that
// it does not answer.
type countedKeys struct {
	keys.Service
	unwrapped atomic.Int64
	down      atomic.Bool
}

func (k *countedKeys) UnwrapDataKey(ctx context.Context, c keys.Context, wrapped []byte) (*secret.Key, error) {
	k.unwrapped.Add(1)
	if k.down.Load() {
		return nil, keys.ErrUnavailable
	}
	return k.Service.UnwrapDataKey(ctx, c, wrapped)
}

// options of a stack.
type options struct {
	frameAncestors []string
	sendBuffer     int // bytes of a connection's send buffer; 0: the system's
	stall, head    time.Duration
	log            *slog.Logger // of the server; nil: none
	requests       int          // of one account at once; 0: the default
	config         func(*vault.Config)
}

// stack is the whole service on the embedded stores in a folder of its own,
// behind TLS on a free loopback port. It ends with the test.
type stack struct {
	testing.TB
	options
	folder   string
	practice id.Practice
	clock    *clock
	*stores
	service  *vault.Service
	auth     *identity.Authenticator
	outside  *checkpoints
	ca       *authority
	address  string // host:port
	proxy    string // base address of the checking proxy
	pinned   ed25519.PublicKey
	evidence ed25519.PublicKey
	contract *contract
	closed   bool                // a test closed the catalog
	dry      func(*http.Request) // if set, requests go there and are not sent

	mu        sync.Mutex
	tokens    map[string]string // by role
	springing sync.Mutex
	campaign  id.Campaign
	accounts  map[string]id.Account // by role
	direct    map[string]*directClient
}

func newStack(t testing.TB, with ...func(*options)) *stack {
	t.Helper()
	s := &stack{TB: t, folder: t.TempDir(), practice: id.New[id.Practice](), clock: &clock{}, outside: &checkpoints{}, accounts: map[string]id.Account{},
		ca: throwAwayAuthority(t), tokens: map[string]string{}, direct: map[string]*directClient{}}
	for _, f := range with {
		f(&s.options)
	}
	ctx := context.Background()
	if realStores {
		s.stores = s.production()
	} else {
		s.stores = s.embedded()
	}
	s.furnish(s)
	pool, err := media()
	s.must(err)
	quiet := slog.New(slog.DiscardHandler)
	config := vault.Config{Practice: s.practice, Catalogs: s.catalog, Keys: s.keys, Blobs: s.blobs, Media: pool,
		Checkpoints: s.outside, Logger: quiet, Now: s.clock.now, Software: "photovault test", Caps: wideCaps()}
	if s.config != nil {
		s.config(&config)
	}
	s.service, err = vault.New(config)
	s.must(err)
	s.evidence, s.pinned, err = s.service.EvidenceKeys(ctx, s.practice)
	s.must(err)
	s.auth = identity.New(s.catalog, s.practice, s.clock.now, quiet)
	s.contract = newContract(s)
	if s.log == nil {
		s.log = quiet
	}
	stop := s.serve(s.log)
	t.Cleanup(func() {
		s.hangUp()
		stop()
		s.end(t)
	})
	return s
}

// wideCaps are reached by no test but those that are about them.
func wideCaps() map[consent.Role]consent.Cap {
	caps := consent.DefaultCaps()
	for role := range caps {
		caps[role] = consent.Cap{Hour: 1_000_000, Day: 1_000_000}
	}
	return caps
}

// serve runs the background work and the server, as the binary does, and the
// proxy; the function it returns ends them in order.
func (s *stack) serve(log *slog.Logger) (stop func()) {
	s.Helper()
	server := api.New(api.Config{Service: s.service, Auth: s.auth, TLS: s.ca.server, Logger: log, Version: "test",
		FrameAncestors: s.frameAncestors, Stall: s.stall, Head: s.head, AccountRequests: s.requests})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	s.address = l.Addr().String()
	if s.sendBuffer > 0 {
		l = narrow{l, s.sendBuffer}
	}
	front, stopFront := context.WithCancel(context.Background())
	back, stopBack := context.WithCancel(context.Background())
	served, worked := make(chan error, 1), make(chan error, 1)
	s.must(s.service.Prepare(back))
	go func() { worked <- s.service.Run(back) }()
	go func() { served <- server.Serve(front, l, 5*time.Second) }()
	stopProxy := s.serveProxy()
	return func() {
		stopProxy()
		stopFront()
		if err := <-served; err != nil {
			s.Errorf("the server ended with: %v", err)
		}
		s.auth.Flush(context.Background(), true)
		stopBack()
		if err := <-worked; err != nil && !s.closed {
			s.Errorf("the background work ended with: %v", err)
		}
	}
}

// narrow gives each connection a small send buffer, so that what a client does
// not read is not taken for delivered.
type narrow struct {
	net.Listener
	size int
}

func (n narrow) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(n.size)
	}
	return c, err
}

func (s *stack) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// eventually waits until ok says so.
func (s *stack) eventually(what string, ok func() bool) {
	s.Helper()
	deadline := time.NewTimer(time.Minute) // a busy machine is no failure
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-deadline.C:
			s.Fatalf("waited in vain: %s", what)
		}
	}
}

func digest(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}

func readAll(s *stack, r io.Reader) []byte {
	s.Helper()
	b, err := io.ReadAll(r)
	s.must(err)
	return b
}

func TestAStackLeavesNothingRunning(t *testing.T) {
	if _, err := media(); err != nil {
		t.Fatal(err)
	}
	before := goleak.IgnoreCurrent()
	t.Run("used and closed", func(t *testing.T) {
		s := newStack(t)
		s.ask("GET", "/readyz", "", nil).ok(200)
		s.ask("GET", "/v1/upload-keys", s.token("provider"), nil).ok(200)
		s.ready(s.consented(), small)
	})
	goleak.VerifyNone(t, append(daemons, before)...)
}
