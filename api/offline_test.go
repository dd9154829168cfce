package api_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"photovault/api"
	"photovault/vault"
	"photovault/vault/envelope"
	"photovault/vault/id"
)

// offline installs the sealer in a folder and seals the picture there, once for
// each suite, with the list of keys alone.
func (s *stack) offline(list json.RawMessage, suites ...envelope.Suite) (shots []*shot) {
	s.Helper()
	node, modules := nodeModules(s, "hpke", "@panva/hpke-noble")
	folder := s.TempDir()
	installed := filepath.Join(folder, "node_modules", "photovault-sealer")
	s.must(os.MkdirAll(installed, 0o700))
	entries, err := os.ReadDir(modules)
	s.must(err)
	for _, e := range entries {
		if e.IsDir() && e.Name() != ".bin" {
			s.must(os.Symlink(filepath.Join(modules, e.Name()), filepath.Join(folder, "node_modules", e.Name())))
		}
	}
	sources, err := filepath.Glob("web/sealer/*.js*")
	s.must(err)
	for _, from := range append(sources, "testdata/tus/offline.mjs") {
		b, err := os.ReadFile(from)
		s.must(err)
		to := installed
		if filepath.Ext(from) == ".mjs" {
			to = folder
		}
		s.must(os.WriteFile(filepath.Join(to, filepath.Base(from)), b, 0o600))
	}
	file := filepath.Join(folder, "photo.jpg")
	s.must(os.WriteFile(file, picture(), 0o600))
	type photo struct {
		File    string         `json:"file"`
		Sealed  string         `json:"sealed"`
		Suite   envelope.Suite `json:"suite"`
		Capture string         `json:"capture"`
	}
	var photos []photo
	for i, suite := range suites {
		photos = append(photos, photo{file, filepath.Join(folder, strconv.Itoa(i)), suite, string(id.New[id.Capture]())})
	}
	in, err := json.Marshal(map[string]any{"uploadKeys": list, "pinned": []byte(s.pinned), "practice": s.practice, "photos": photos})
	s.must(err)
	cmd := exec.CommandContext(s.Context(), node, "--no-warnings", "offline.mjs")
	cmd.Dir, cmd.Stdin = folder, bytes.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("node: %v\n%s", err, out)
	}
	for _, p := range photos {
		sealed, err := os.ReadFile(p.Sealed)
		s.must(err)
		shots = append(shots, &shot{in: api.NewPhoto{Device: string(id.New[id.Device]()), Capture: p.Capture}, sealed: sealed})
	}
	return shots
}

// What the sealer sealed offline is taken in 20 days later, and 59, though its
// key was rotated on the day after; once the key's time is over its refusal says so.
func TestAPhotoSealedOfflineArrivesUnderARotatedKey(t *testing.T) {
	s := newStack(t)
	suites := []envelope.Suite{envelope.MLKEM768X25519, envelope.P256}
	shots := s.offline(s.ask("GET", "/v1/upload-keys", s.token("provider"), nil).ok(200).body, append(suites, suites...)...)
	patient, day := s.consented(), 24*time.Hour
	send := func(x *shot) {
		s.Helper()
		x.in.Patient = string(patient)
		x.PhotoDeclared = into[api.PhotoDeclared](s.ask("POST", "/v1/photos", s.token("provider"), x.in), 201)
		up := s.create(x.Grant, len(x.sealed))
		s.patch(up, x.Grant, 0, x.sealed).ok(204)
	}
	s.clock.advance(day)
	s.ask("POST", "/v1/upload-keys/rotate", s.token("admin"), nil).ok(200)
	for i, after := range []time.Duration{19 * day, 39 * day} {
		s.clock.advance(after)
		send(shots[i])
		s.arrivedExactly(shots[i])
	}
	s.clock.advance(2 * day)
	for _, x := range shots[2:] {
		send(x)
		if p := s.await(x.Photo.ID, vault.Rejected); p.RejectedCode != "upload_key_unknown" {
			t.Errorf("rejected as %s", p.RejectedCode)
		}
	}
}
