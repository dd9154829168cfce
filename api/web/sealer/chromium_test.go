package sealer_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/vault/envelope"
	"photovault/vault/id"
)

// browser finds what Chromium is driven with.
func (a app) browser() (executable string) {
	a.Helper()
	executable = "/usr/bin/chromium"
	if _, err := os.Stat(executable); err != nil {
		if executable, err = exec.LookPath("chromium"); err != nil {
			missing(a)("chromium is not installed (Debian package chromium): %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(a.folder, "node_modules", "playwright-core")); err != nil {
		missing(a)("npm package playwright-core is not installed: run npm install in api/web/sealer/testdata, or set PHOTOVAULT_NODE_MODULES")
	}
	return executable
}

// importMap says where the page finds the packages; a package may have its own
// version of another below it.
func (a app) importMap() []byte {
	a.Helper()
	imports, scopes := map[string]string{
		"photovault-sealer":    "/npm/photovault-sealer/sealer.js",
		"hpke":                 "/npm/hpke/index.js",
		"@panva/hpke-noble":    "/npm/@panva/hpke-noble/index.js",
		"tus-js-client":        "/tus.mjs",
		"@noble/ciphers/":      "/npm/@noble/ciphers/",
		"@noble/curves/":       "/npm/@noble/curves/",
		"@noble/hashes/":       "/npm/@noble/hashes/",
		"@noble/post-quantum/": "/npm/@noble/post-quantum/",
	}, map[string]map[string]string{}
	own, err := filepath.Glob(filepath.Join(a.folder, "node_modules/@noble/*/node_modules/@noble/*"))
	must(a, err)
	for _, f := range own {
		rel, err := filepath.Rel(filepath.Join(a.folder, "node_modules"), f)
		must(a, err)
		owner := "/npm/" + path.Dir(path.Dir(path.Dir(rel))) + "/"
		if scopes[owner] == nil {
			scopes[owner] = map[string]string{}
		}
		scopes[owner]["@noble/"+path.Base(rel)+"/"] = "/npm/" + rel + "/"
	}
	b, err := json.Marshal(map[string]any{"imports": imports, "scopes": scopes})
	must(a, err)
	return b
}

// site serves the page with the packages, as installed.
func (a app) site() *http.ServeMux {
	a.Helper()
	mux := http.NewServeMux()
	page := fmt.Sprintf(`<!doctype html><meta charset="utf-8"><title>photos</title><link rel="icon" href="data:,">
<input type="file" multiple><script type="importmap">%s</script>
<script src="/npm/tus-js-client/dist/tus.min.js"></script><script type="module" src="/page.mjs"></script>`, a.importMap())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, page)
	})
	mux.HandleFunc("GET /tus.mjs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, "export const { Upload } = globalThis.tus\n")
	})
	for _, f := range []string{"page.mjs", "pattern.mjs", "readme.mjs"} {
		mux.HandleFunc("GET /"+f, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, filepath.Join(a.folder, f)) })
	}
	mux.Handle("GET /npm/", http.StripPrefix("/npm/", http.FileServer(http.Dir(filepath.Join(a.folder, "node_modules")))))
	return mux
}

type call struct {
	Name     string `json:"name"`
	Argument any    `json:"argument"`
}

func (a app) visit(executable, address string, calls ...call) []json.RawMessage {
	a.Helper()
	got := run[struct {
		Version string
		Answers []json.RawMessage
	}](a, object{"executable": executable, "url": address, "calls": calls}, "chromium.mjs")
	a.Logf("Chromium %s", got.Version)
	if len(got.Answers) != len(calls) {
		a.Fatalf("%d answers to %d calls", len(got.Answers), len(calls))
	}
	return got.Answers
}

func TestAPageInChromiumSealsPickedFiles(t *testing.T) {
	a := newApp(t)
	executable := a.browser()
	a.example()
	c := newClinic(t, time.Now().Add(time.Hour))
	past := newClinic(t, time.Now().Add(-time.Hour))
	sizes := []int{0, 1, 16383, 16384, 16385, 1<<20 - 1, 1 << 20, 1<<20 + 1, 5_000_000}

	var mu sync.Mutex
	opened := map[string]bool{}
	mux := a.site()
	mux.HandleFunc("POST /sealed", func(w http.ResponseWriter, r *http.Request) {
		sealed, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		q := r.URL.Query()
		size, _ := strconv.Atoi(q.Get("size"))
		suite, _ := strconv.Atoi(q.Get("suite"))
		plain, err := c.open(sealed, id.Capture(q.Get("capture")))
		if err != nil || !bytes.Equal(plain, patterned(size)) {
			t.Errorf("suite %d, %d bytes: %d opened, %v", suite, size, len(plain), err)
		}
		if want := envelope.SealedSize(envelope.Suite(suite), int64(size)); int64(len(sealed)) != want || q.Get("promised") != strconv.FormatInt(want, 10) {
			t.Errorf("suite %d, %d bytes: %d sealed, %s promised, want %d", suite, size, len(sealed), q.Get("promised"), want)
		}
		mu.Lock()
		defer mu.Unlock()
		opened[q.Get("suite")+"/"+q.Get("size")] = true
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	altered := c.served(t)
	keyOf(altered, 0)["seal_until"] = "2099-01-01T00:00:00Z"
	answers := a.visit(executable, server.URL,
		call{"sealAll", object{"enrolment": c.enrolment(), "suites": suites, "sizes": sizes}},
		call{"refusal", object{"enrolment": enrolment{altered, c.pinned(), c.practice}}},
		call{"refusal", object{"enrolment": past.enrolment()}})
	var got [3]any
	for i, b := range answers {
		must(t, json.Unmarshal(b, &got[i]))
	}
	if d := cmp.Diff([3]any{float64(len(sizes) * len(suites)), "signature_invalid", "no_current_key"}, got); d != "" {
		t.Error(d)
	}
	if len(opened) != len(sizes)*len(suites) {
		t.Errorf("%d of %d sealed files were opened", len(opened), len(sizes)*len(suites))
	}
}

// The README's example in a page that shares its origin with the service.
func TestTheReadmeExampleUploadsFromChromium(t *testing.T) {
	a := newApp(t)
	executable := a.browser()
	a.example()
	s := newService(t)
	proxy := newFront(s, 1_500_000)
	photo := s.photo()
	mux := a.site()
	mux.Handle("/v1/", proxy)
	mux.HandleFunc("GET /photo.jpg", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(photo) })
	server := httptest.NewServer(mux)
	defer server.Close()

	var got declared
	must(t, json.Unmarshal(a.visit(executable, server.URL, call{"add", s.job()})[0], &got))
	if !proxy.cut.Load() || got.State != "declared" {
		t.Errorf("cut: %t; %+v", proxy.cut.Load(), got)
	}
	s.awaitReady(got.ID)
}
