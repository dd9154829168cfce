// Command demo walks one photo through photovault as its users would: with the
// photovault binary alone, against a service on a free loopback port and a
// throw-away folder. It fails if any step ends otherwise than it says.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	binary := flag.String("binary", "bin/photovault", "the photovault binary")
	photo := flag.String("photo", "", "a JPEG of your own (default: a generated one with GPS)")
	config := flag.String("config", "", "configuration of production stores (default: the embedded ones)")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := demo(ctx, *binary, *photo, *config); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo: FAILED:", err)
		os.Exit(1)
	}
}

// walk is the state of a walk: a home folder, a running service, tokens by role.
type walk struct {
	campaign string
	ctx      context.Context
	binary   string
	home     string
	config   string // empty: the embedded stores
	server   string
	serve    *exec.Cmd
	tokens   map[string]string
	step     int
}

func demo(ctx context.Context, binary, photo, config string) (err error) {
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "photovault-demo-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w := &walk{ctx: ctx, binary: binary, home: filepath.Join(dir, "vault"), config: config, tokens: map[string]string{}}
	if photo == "" {
		photo = filepath.Join(dir, "face.jpg")
		if err := os.WriteFile(photo, generated(), 0o600); err != nil {
			return err
		}
	}
	if err := w.start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	return w.chain(photo, dir)
}

func (w *walk) start() error {
	if w.config != "" {
		fmt.Println("Stores: HashiCorp Vault transit, MinIO, PostgreSQL")
	}
	w.title("A vault is made and served on a loopback port, TLS only")
	if _, err := w.must("", "init", "--listen", "127.0.0.1:0", "--admin", "Demo Administrator"); err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(w.home, "admin.token"))
	if err != nil {
		return err
	}
	w.tokens["admin"] = strings.TrimSpace(string(token))
	address := filepath.Join(filepath.Dir(w.home), "address")
	log, err := os.Create(filepath.Join(filepath.Dir(w.home), "serve.log"))
	if err != nil {
		return err
	}
	w.serve = exec.CommandContext(w.ctx, w.binary, "serve", "--home", w.home, "--address-file", address, "--listen", "127.0.0.1:0")
	w.serve.Env = append(os.Environ(), "PHOTOVAULT_CONFIG="+w.config)
	w.serve.Stderr = log
	w.serve.Cancel = func() error { return w.serve.Process.Signal(syscall.SIGTERM) }
	out, err := w.serve.StdoutPipe()
	if err != nil {
		return err
	}
	if err := w.serve.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n') // printed once it listens
	if err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("the service did not start: %w\n%s", err, text)
	}
	fmt.Print("   ", line)
	b, err := os.ReadFile(address)
	if err != nil {
		return err
	}
	w.server = "https://" + strings.TrimSpace(string(b))
	return nil
}

func (w *walk) stop() error {
	if err := w.serve.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return w.serve.Wait()
}

// chain is the walk itself.
func (w *walk) chain(photo, dir string) error {
	w.title("The administrator adds people; each has a token of their own")
	for role, name := range map[string]string{"provider": "Dr. Demo", "front-desk": "Front Desk", "marketing": "Marketing", "privacy": "Privacy Officer"} {
		token, err := w.quiet("admin", "user", "add", name, "--role", role)
		if err != nil {
			return err
		}
		w.tokens[role] = token
	}
	if _, err := w.must("admin", "user", "list"); err != nil {
		return err
	}

	w.title("The front desk adds a patient; without a clinical consent no photo can be added")
	patient, err := w.must("front-desk", "patient", "add", "MRN-0001", "--name", "Pat Example")
	if err != nil {
		return err
	}
	if err := w.refused("no_clinical_consent", "provider", "put", photo, "--patient", patient, "--kind", "before"); err != nil {
		return err
	}
	if _, err := w.must("front-desk", "consent", "clinical", "--patient", patient, "--signer", "Pat Example"); err != nil {
		return err
	}

	w.title("A provider uploads: sealed here, sent in chunks, sanitised, stored as ciphertext")
	said, err := w.must("provider", "put", photo, "--patient", patient, "--kind", "before")
	if err != nil {
		return err
	}
	id, _, _ := strings.Cut(said, " ")
	if _, err := w.must("provider", "photo", "receipt", id); err != nil {
		return err
	}

	w.title("A clinical token opens it for the provider; the file holds no metadata")
	clinical := filepath.Join(dir, "clinical.jpg")
	if _, err := w.must("provider", "get", id, "--purpose", "clinical", "--rendition", "original", "-o", clinical); err != nil {
		return err
	}
	if err := noMetadata(clinical); err != nil {
		return err
	}
	w.note("no EXIF, GPS, XMP, IPTC or comment segment in %s", filepath.Base(clinical))

	w.title("Marketing makes a campaign, asks and is refused; clinical consent is not an authorization")
	if w.campaign, err = w.must("marketing", "campaign", "add", "Spring", "--purpose", "Show results of treatment to prospective patients",
		"--recipient", "Clinic website", "--channel", "website"); err != nil {
		return err
	}
	if err := w.refused("no_authorization", "marketing", w.marketing(id, "")...); err != nil {
		return err
	}
	if err := w.refused("role_not_allowed", "marketing", "get", id, "--purpose", "clinical"); err != nil {
		return err
	}

	w.title("An authorization that lacks an element of 164.508(c) is refused by name; a whole one is recorded")
	authorization, err := w.authorize(patient, dir)
	if err != nil {
		return err
	}
	if _, err := w.must("marketing", "photo", "list", "--usable"); err != nil {
		return err
	}
	if err := w.refused("rendition_not_authorized", "marketing", append(w.marketing(id, ""), "--rendition", "original")...); err != nil {
		return err
	}
	if _, err := w.must("marketing", w.marketing(id, filepath.Join(dir, "web.jpg"))...); err != nil {
		return err
	}

	w.title("The authorization is revoked while a token is outstanding; the token is dead")
	token, err := w.quiet("marketing", append(w.marketing(id, ""), "--token")...)
	if err != nil {
		return err
	}
	if _, err := w.must("front-desk", "consent", "revoke", authorization); err != nil {
		return err
	}
	if err := w.dead(token); err != nil {
		return err
	}
	if err := w.refused("authorization_revoked", "marketing", w.marketing(id, "")...); err != nil {
		return err
	}
	if _, err := w.must("privacy", "consent", "explain", id, "--purpose", "marketing", "--recipient", "Clinic website", "--channel", "website",
		"--campaign", w.campaign); err != nil {
		return err
	}

	w.title("A byte flipped in the stored object is found, and nothing is released")
	restore, err := w.flip()
	if err != nil {
		return err
	}
	for _, rendition := range []string{"original", "web", "thumb"} {
		err := w.refused("integrity_failure", "provider", "get", id, "--purpose", "clinical", "--rendition", rendition)
		if err != nil {
			return err
		}
	}
	if err := restore(); err != nil {
		return err
	}

	w.title("The photo is deleted: key and objects go")
	if _, err := w.must("privacy", "photo", "delete", id); err != nil {
		return err
	}
	if err := w.refused("not_found", "provider", "get", id, "--purpose", "clinical"); err != nil {
		return err
	}

	w.title("Every attempt is in the trail, and the trail verifies")
	if _, err := w.must("privacy", "audit", "patient", patient); err != nil {
		return err
	}
	if _, err := w.must("", "audit", "verify"); err != nil {
		return err
	}
	fmt.Printf("\n%d steps, each as it should be.\n", w.step)
	return nil
}

func (w *walk) marketing(id, file string) []string {
	args := []string{"get", id, "--purpose", "marketing", "--campaign", w.campaign, "--recipient", "Clinic website", "--channel", "website"}
	if file != "" {
		args = append(args, "-o", file)
	}
	return args
}

// authorize tries an authorization without an expiry, then a whole one.
func (w *walk) authorize(patient, dir string) (string, error) {
	example, err := w.quiet("", "consent", "authorize", "--example")
	if err != nil {
		return "", err
	}
	var a map[string]any
	if err := json.Unmarshal([]byte(example), &a); err != nil {
		return "", err
	}
	a["patient"] = patient
	expires := a["expires_at"]
	delete(a, "expires_at")
	lacking, whole := filepath.Join(dir, "lacking.json"), filepath.Join(dir, "authorization.json")
	if err := writeJSON(lacking, a); err != nil {
		return "", err
	}
	a["expires_at"] = expires
	if err := writeJSON(whole, a); err != nil {
		return "", err
	}
	if err := w.refused("164.508(c)(1)(v)", "front-desk", "consent", "authorize", lacking); err != nil {
		return "", err
	}
	return w.must("front-desk", "consent", "authorize", whole)
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

// dead redeems a token the way any HTTP client would.
func (w *walk) dead(token string) error {
	b, err := os.ReadFile(filepath.Join(w.home, "client.json"))
	if err != nil {
		return err
	}
	var client struct {
		CA string `json:"ca"`
	}
	if err := json.Unmarshal(b, &client); err != nil {
		return err
	}
	status, body, err := redeem(w.ctx, w.server, client.CA, token)
	if err != nil {
		return err
	}
	w.note("GET /v1/content with the outstanding token: HTTP %d, %d bytes of photo", status, photoBytes(body))
	if status != 404 || photoBytes(body) != 0 {
		return fmt.Errorf("a revoked authorization's token was answered with HTTP %d", status)
	}
	return nil
}

func photoBytes(b []byte) int {
	if bytes.HasPrefix(b, []byte{0xFF, 0xD8}) {
		return len(b)
	}
	return 0
}

func (w *walk) title(s string) {
	w.step++
	fmt.Printf("\n%d. %s\n", w.step, s)
}

func (w *walk) note(format string, args ...any) { fmt.Printf("   "+format+"\n", args...) }

// run runs one command as a role and returns what it printed.
func (w *walk) run(role string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(w.ctx, w.binary, append(args, "--home", w.home)...)
	cmd.Env = append(os.Environ(), "PHOTOVAULT_CONFIG="+w.config, "PHOTOVAULT_SERVER="+w.server, "PHOTOVAULT_TOKEN="+w.tokens[role])
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Stdin = &out, &errs, nil
	err = cmd.Run()
	return strings.TrimRight(out.String(), "\n"), strings.TrimRight(errs.String(), "\n"), err
}

// must shows the command and what it printed; it must succeed.
func (w *walk) must(role string, args ...string) (string, error) {
	w.show(role, args)
	stdout, stderr, err := w.run(role, args...)
	if err != nil {
		return "", fmt.Errorf("photovault %s: %w\n%s", args[0], err, stderr)
	}
	indent(os.Stdout, strings.ReplaceAll(stdout, filepath.Dir(w.home)+"/", ""))
	return stdout, nil
}

// quiet is must without a word: what it prints is a secret, or long.
func (w *walk) quiet(role string, args ...string) (string, error) {
	stdout, stderr, err := w.run(role, args...)
	if err != nil {
		return "", fmt.Errorf("photovault %s: %w\n%s", args[0], err, stderr)
	}
	return stdout, nil
}

// refused shows a command that must exit with 1 and name the reason.
func (w *walk) refused(reason, role string, args ...string) error {
	w.show(role, args)
	stdout, stderr, err := w.run(role, args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		return fmt.Errorf("photovault %s should have been refused with %s, but: %w\n%s", args[0], reason, err, stdout)
	}
	if !strings.Contains(stderr, reason) || strings.HasPrefix(stdout, "\xFF\xD8") {
		return fmt.Errorf("photovault %s was refused otherwise than with %s: %s", args[0], reason, stderr)
	}
	indent(os.Stdout, "refused: "+strings.TrimPrefix(stderr, "photovault: "))
	return nil
}

func (w *walk) show(role string, args []string) {
	who := role
	if who == "" {
		who = "operator"
	}
	words := make([]string, len(args))
	for i, a := range args {
		if strings.HasPrefix(a, filepath.Dir(w.home)) {
			a = filepath.Base(a)
		}
		if strings.ContainsAny(a, " \"") {
			a = fmt.Sprintf("%q", a)
		}
		words[i] = a
	}
	fmt.Printf(" %s$ photovault %s\n", who, strings.Join(words, " "))
}

func indent(w io.Writer, s string) {
	if s == "" {
		return
	}
	for line := range strings.Lines(s) {
		fmt.Fprint(w, "   ", line)
	}
	fmt.Fprintln(w)
}
