package sealer_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"photovault/imaging/specimen"
	"photovault/vault/id"
)

// service is photovault itself, on its embedded stores, with a patient whose
// photos may be taken.
type service struct {
	testing.TB
	binary, home string
	tokens       map[string]string
	patient      string
	settings     struct {
		Server           string
		Practice         id.Practice
		UploadSigningKey []byte `json:"upload_signing_key"`
		CA               string
	}
}

func newService(t testing.TB) *service {
	t.Helper()
	goTool, err := exec.LookPath("go")
	if err != nil {
		missing(t)("go is not installed: %v", err)
	}
	folder := t.TempDir()
	s := &service{TB: t, binary: filepath.Join(folder, "photovault"), home: filepath.Join(folder, "vault"), tokens: map[string]string{}}
	if out, err := exec.CommandContext(t.Context(), goTool, "build", "-o", s.binary, "photovault/cmd/photovault").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	s.cli("", "init", "--listen", "127.0.0.1:0")
	token, err := os.ReadFile(filepath.Join(s.home, "admin.token"))
	must(t, err)
	s.tokens["admin"] = strings.TrimSpace(string(token))
	b, err := os.ReadFile(filepath.Join(s.home, "client.json"))
	must(t, err)
	must(t, json.Unmarshal(b, &s.settings))
	s.serve(filepath.Join(folder, "address"))
	for _, role := range []string{"provider", "front-desk"} {
		s.tokens[role] = s.cli("admin", "user", "add", "The "+role, "--role", role)
	}
	s.patient, _, _ = strings.Cut(s.cli("front-desk", "patient", "add", "MRN-1"), " ")
	s.cli("front-desk", "consent", "clinical", "--patient", s.patient, "--signer", "Pat Example")
	return s
}

func (s *service) serve(addressFile string) {
	s.Helper()
	var log bytes.Buffer
	cmd := exec.Command(s.binary, "serve", "--home", s.home, "--listen", "127.0.0.1:0", "--address-file", addressFile, "--log-level", "warn")
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	must(s, err)
	must(s, cmd.Start())
	s.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || s.Failed() {
			s.Errorf("serve: %v\n%s", err, &log)
		}
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		s.Fatalf("the service did not start: %v", err)
	}
	b, err := os.ReadFile(addressFile)
	must(s, err)
	s.settings.Server = "https://" + strings.TrimSpace(string(b))
}

// cli runs a command as one of the people.
func (s *service) cli(role string, args ...string) string {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), s.binary, append(args, "--home", s.home)...)
	cmd.Env = append(os.Environ(), "PHOTOVAULT_TOKEN="+s.tokens[role], "PHOTOVAULT_SERVER="+s.settings.Server)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.Fatalf("photovault %s: %v\n%s", args[0], err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// photo returns a photo larger than the service's segments of 1 MiB.
func (s *service) photo() []byte {
	s.Helper()
	b := specimen.JPEG(specimen.Options{Width: 2800, Height: 2000, Quality: 97, Seed: 5, GPS: true})
	if len(b) < 5<<19 {
		s.Fatalf("the photo of %d bytes is too small to be cut in the middle", len(b))
	}
	return b
}

// job is what addPhoto of the README wants, beside the server's address.
func (s *service) job() object {
	return object{"token": s.tokens["provider"], "patient": s.patient, "device": id.New[id.Device](),
		"enrolment": object{"practice": s.settings.Practice, "pinned": s.settings.UploadSigningKey}}
}

// front is the reverse proxy that a page and the service share an origin
// behind. It breaks the connection of the first PATCH after so many bytes.
type front struct {
	*httputil.ReverseProxy
	after int64
	cut   atomic.Bool
}

func newFront(s *service, after int64) *front {
	s.Helper()
	target, err := url.Parse(s.settings.Server)
	must(s, err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(s.settings.CA)) {
		s.Fatal("client.json has no authority")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	s.Cleanup(transport.CloseIdleConnections)
	return &front{ReverseProxy: &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}, after: after}
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPatch && f.cut.CompareAndSwap(false, true) {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r.Body, f.after), broken{}), r.Body}
	}
	f.ReverseProxy.ServeHTTP(w, r)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// example puts the README's JavaScript beside the scripts, as readme.mjs.
func (a app) example() {
	a.Helper()
	readme, err := os.ReadFile("README.md")
	must(a, err)
	_, rest, ok := strings.Cut(string(readme), "```js\n")
	code, _, end := strings.Cut(rest, "```")
	if !ok || !end {
		a.Fatal("README.md has no example")
	}
	must(a, os.WriteFile(filepath.Join(a.folder, "readme.mjs"), []byte(code), 0o600))
}

// awaitReady waits until the service has opened, sanitised and stored the photo.
func (s *service) awaitReady(photo id.Photo) {
	s.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		var p struct {
			State        string
			RejectedCode string `json:"rejected_code"`
		}
		must(s, json.Unmarshal([]byte(s.cli("provider", "photo", "show", string(photo), "--json")), &p))
		switch {
		case p.State == "ready":
			return
		case p.State == "rejected" || time.Now().After(deadline):
			s.Fatalf("the photo is %s %s", p.State, p.RejectedCode)
		}
	}
}
