package api_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"photovault/vault/vaulttest/faultproxy"
)

// tablet is a page with the stock clients in a real Chromium, on one origin
// with the service behind a reverse proxy, over TLS on both sides of it.
type tablet struct {
	*stack
	node, modules, executable string
	profile                   string // the browser's folder
	front                     string // host:port behind the network
	trust                     string // SHA-256 of the certificate's public key, base64: Chromium accepts this one and no other
	open                      *requests
}

// requests are those that the service has not answered yet.
type requests struct {
	mu    sync.Mutex
	began map[*http.Request]time.Time
}

// through passes on to next what is then open.
func (o *requests) through(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.began[r] = time.Now()
		o.mu.Unlock()
		defer func() {
			o.mu.Lock()
			delete(o.began, r)
			o.mu.Unlock()
		}()
		next.ServeHTTP(w, r)
	})
}

func (o *requests) list() (open []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for r, at := range o.began {
		open = append(open, fmt.Sprintf("%s of %d bytes, %v ago", r.Method, r.ContentLength, time.Since(at).Round(time.Second)))
	}
	return open
}

// inChromium runs a test with a browser; with another one if that hangs, but
// only where the service owes it no answer.
func (s *stack) inChromium(test func(*tablet) (over bool)) {
	s.Helper()
	for range 3 {
		if test(s.tablet()) {
			return
		}
	}
	s.Fatal("three browsers hang")
}

// bundle is page.mjs with its packages.
func (d *tablet) bundle() []byte {
	d.Helper()
	out := filepath.Join(d.TempDir(), "page.js")
	cmd := exec.CommandContext(d.Context(), d.node, filepath.Join("testdata", "tus", "bundle.mjs"), out)
	cmd.Env = append(os.Environ(), "PHOTOVAULT_NODE_MODULES="+d.modules)
	if text, err := cmd.CombinedOutput(); err != nil {
		d.Fatalf("esbuild: %v\n%s", err, text)
	}
	script, err := os.ReadFile(out)
	d.must(err)
	return script
}

func (s *stack) tablet() *tablet {
	s.Helper()
	d := &tablet{stack: s, profile: s.TempDir()}
	d.node, d.modules = nodeModules(s, "tus-js-client", "@uppy/tus", "@uppy/core", "esbuild", "playwright-core")
	var err error
	if d.executable, err = exec.LookPath("chromium"); err != nil {
		missing(s)("chromium is not installed (Debian package chromium): %v", err)
	}
	script := d.bundle()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><meta charset="utf-8"><title>photos</title><link rel="icon" href="data:,"><input type="file"><script type="module" src="/page.js"></script>`)
	})
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(script)
	})
	transport := &http.Transport{TLSClientConfig: s.ca.client.Clone(), DisableCompression: true}
	d.open = &requests{began: map[*http.Request]time.Time{}}
	mux.Handle("/v1/", d.open.through(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "https", Host: s.address}) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:      log.New(io.Discard, "", 0),
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	server := &http.Server{Handler: mux, TLSConfig: s.ca.server.Clone(), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.ServeTLS(l, "", "") }()
	s.Cleanup(func() { _ = server.Close(); <-ended; transport.CloseIdleConnections() })
	d.front = l.Addr().String()
	leaf, err := x509.ParseCertificate(s.ca.server.Certificates[0].Certificate[0])
	s.must(err)
	key := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	d.trust = base64.StdEncoding.EncodeToString(key[:])
	return d
}

// pick is a file that a person picks in a page. Where until is not nil the page
// is closed in the middle, when that is.
type pick struct {
	*onDisk
	client string
	mode
	network *faultproxy.Proxy
	until   <-chan struct{}
	retries []int
}

type picked struct {
	Done, Resumed bool
	Hung          string // with what the browser hangs
}

// visits opens the browser, a page for each pick, and ends it. It has no
// answers where the browser hangs.
func (d *tablet) visits(picks ...pick) (answers []picked) {
	d.Helper()
	type told struct {
		job
		Client string `json:"client"`
	}
	type visit struct {
		URL   string `json:"url"`
		Close bool   `json:"close"`
		Job   told   `json:"job"`
	}
	var jobs []visit
	for _, p := range picks {
		origin := "https://" + p.network.Addr
		j := p.job(p.onDisk, origin)
		j.RetryDelays = append(j.RetryDelays, p.retries...)
		jobs = append(jobs, visit{origin, p.until != nil, told{j, p.client}})
	}
	in, err := json.Marshal(map[string]any{"executable": d.executable, "profile": d.profile, "trust": d.trust, "jobs": jobs})
	d.must(err)
	cmd := exec.CommandContext(d.Context(), d.node, filepath.Join("testdata", "tus", "browser.mjs"))
	cmd.Env = append(os.Environ(), "PHOTOVAULT_NODE_MODULES="+d.modules)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	say, err := cmd.StdinPipe()
	d.must(err)
	out, err := cmd.StdoutPipe()
	d.must(err)
	d.must(cmd.Start())
	_, err = say.Write(append(in, '\n'))
	d.must(err)
	lines := json.NewDecoder(out)
	for _, p := range picks {
		over, closer := make(chan struct{}), sync.WaitGroup{}
		closer.Go(func() {
			select {
			case <-p.until:
				_, _ = io.WriteString(say, "close\n")
			case <-over:
			}
		})
		var one picked
		err := lines.Decode(&one)
		close(over)
		closer.Wait()
		if one.Hung != "" {
			if open := d.open.list(); len(open) > 0 {
				d.Errorf("not answered: %v", open)
			}
			_ = say.Close()
			d.Logf("Chromium hangs: %s: %v\n%s", one.Hung, cmd.Wait(), &stderr)
			return nil
		}
		if err != nil {
			break
		}
		answers = append(answers, one)
		if p.until != nil {
			p.network.Cut()
			p.network.Stall(false)
		}
	}
	_ = say.Close()
	if err := cmd.Wait(); err != nil || len(answers) < len(picks) {
		d.Fatalf("Chromium: %v\n%s", err, &stderr)
	}
	return answers
}

// Pages are closed, and with them the browser, in the middle of their uploads;
// those of another browser find in its localStorage where to go on.
func TestStockClientsInChromiumGoOnAfterTheBrowserEnded(t *testing.T) {
	s := newStack(t)
	s.inChromium(func(d *tablet) bool {
		var picks []pick
		for _, client := range []string{"tus", "uppy"} {
			for _, m := range modes {
				x, network := s.onDisk(), faultproxy.New(t, d.front)
				picks = append(picks, pick{x, client, m, network, network.StallAfter(x.midway()), nil})
			}
		}
		answers := d.visits(picks...)
		for i, first := range answers {
			if p := picks[i]; first.Done {
				t.Fatalf("%s %s: the page was not closed in the middle: %+v", p.client, p.name, first)
			}
			picks[i].until, picks[i].retries = nil, soon
		}
		if answers != nil {
			answers = d.visits(picks...)
		}
		for i, second := range answers {
			p := picks[i]
			if !second.Done || !second.Resumed {
				t.Errorf("%s %s: the second page did not go on: %+v", p.client, p.name, second)
			}
			s.arrivedExactly(p.shot)
		}
		return answers != nil
	})
}

// The browser's connections are reset at bytes that chance picks.
func TestStockClientsInChromiumOverABadNetwork(t *testing.T) {
	s := newStack(t)
	s.inChromium(func(d *tablet) bool {
		retries := make([]int, 40)
		for i := range retries {
			retries[i] = 50
		}
		var picks []pick
		var networks []*bad
		for _, client := range []string{"tus", "uppy"} {
			x := s.onDisk()
			b := s.bad(d.front, 5, int64(len(x.sealed)))
			networks = append(networks, b)
			picks = append(picks, pick{x, client, modes[len(picks)], b.Proxy, nil, retries})
		}
		answers := d.visits(picks...)
		for i, got := range answers {
			p := picks[i]
			if !got.Done {
				t.Errorf("%s %s: %+v", p.client, p.name, got)
			}
			if networks[i].resets.Load() == 0 {
				t.Errorf("%s %s: nothing was reset", p.client, p.name)
			}
			s.arrivedExactly(p.shot)
		}
		return answers != nil
	})
}
