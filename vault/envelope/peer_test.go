package envelope_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"photovault/vault/envelope"
	"photovault/vault/id"
	"photovault/vault/secret"
)

// vector is an envelope that testdata/generate.mjs made.
type vector struct {
	Suite     envelope.Suite `json:"suite"`
	Seed      string         `json:"seed"` // hex
	PublicKey []byte         `json:"public_key"`
	KeyID     id.UploadKey   `json:"key_id"`
	Practice  id.Practice    `json:"practice"`
	Capture   id.Capture     `json:"capture"`
	Size      int            `json:"size"`
	Envelope  []byte         `json:"envelope"`
}

func seedOf(t testing.TB, s string) *secret.Key {
	t.Helper()
	raw, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	k, err := secret.FromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func parseVectors(t testing.TB, raw []byte) []vector {
	t.Helper()
	var vectors []vector
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

// opener is the tablet that has the vector's key.
func (v vector) opener(t testing.TB) tablet {
	t.Helper()
	key, err := envelope.NewPrivateKey(v.Suite, v.KeyID, seedOf(t, v.Seed))
	if err != nil {
		t.Fatal(err)
	}
	return tablet{key, v.Practice, v.Capture}
}

func openVectors(t *testing.T, raw []byte) {
	t.Helper()
	seen := map[envelope.Suite]int{}
	for _, v := range parseVectors(t, raw) {
		x := v.opener(t)
		if !bytes.Equal(x.key.Public(), v.PublicKey) {
			t.Errorf("%s: the seed gives another key pair here", v.Suite)
		}
		if want := envelope.SealedSize(v.Suite, int64(v.Size)); int64(len(v.Envelope)) != want {
			t.Errorf("%s, size %d: %d bytes, SealedSize says %d", v.Suite, v.Size, len(v.Envelope), want)
		}
		plain, err := x.open(bytes.NewReader(v.Envelope))
		if err != nil || !bytes.Equal(plain, pattern(v.Size)) {
			t.Errorf("%s, size %d: %d bytes, %v", v.Suite, v.Size, len(plain), err)
		}
		seen[v.Suite]++
	}
	for _, s := range suites {
		if seen[s] < 5 {
			t.Errorf("%s: only %d vectors", s, seen[s])
		}
	}
}

func TestVectorsOfAnIndependentImplementationOpen(t *testing.T) {
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	openVectors(t, raw)
}

// node runs a script of testdata with its npm packages.
func node(t *testing.T, script string, input []byte) []byte {
	t.Helper()
	modules := os.Getenv("PHOTOVAULT_NODE_MODULES")
	if modules == "" {
		modules = "testdata/node_modules"
	}
	modules, err := filepath.Abs(modules)
	if err != nil {
		t.Fatal(err)
	}
	missing := t.Skipf
	if os.Getenv("PHOTOVAULT_REQUIRE") == "all" {
		missing = t.Fatalf
	}
	program, err := exec.LookPath("node")
	if err != nil {
		missing("node is not installed: %v", err)
	}
	for _, name := range []string{"hpke", "@panva/hpke-noble"} {
		if _, err := os.Stat(filepath.Join(modules, name)); err != nil {
			missing("npm package %s is not in %s: run npm ci in vault/envelope/testdata, or set PHOTOVAULT_NODE_MODULES", name, modules)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, filepath.Join("testdata", script))
	cmd.Env = append(os.Environ(), "PHOTOVAULT_NODE_MODULES="+modules)
	cmd.Stdin = bytes.NewReader(input)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return out
}

func TestFreshEnvelopesOfNodeOpen(t *testing.T) {
	openVectors(t, node(t, "generate.mjs", nil))
}

func TestNodeOpensAndVerifiesWhatGoMade(t *testing.T) {
	type sealed struct {
		Seed     string      `json:"seed"`
		Practice id.Practice `json:"practice"`
		Capture  id.Capture  `json:"capture"`
		Envelope []byte      `json:"envelope"`
	}
	type signed struct {
		Pinned string               `json:"pinned"`
		List   *envelope.SignedKeys `json:"list"`
	}
	var question struct {
		Envelopes []sealed `json:"envelopes"`
		Lists     []signed `json:"lists"`
	}
	var digests []string
	for _, s := range suites {
		seed := secret.New()
		key, err := envelope.NewPrivateKey(s, id.New[id.UploadKey](), seed)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 16384, 100_000} {
			x := tablet{key, id.New[id.Practice](), id.New[id.Capture]()}
			e := sealed{hex.EncodeToString(seed.Bytes()), x.practice, x.capture, x.seal(t, pattern(n))}
			question.Envelopes = append(question.Envelopes, e)
			digest := sha256.Sum256(pattern(n))
			digests = append(digests, hex.EncodeToString(digest[:]))

			// So that the peer is seen to refuse, too.
			e.Envelope = bytes.Clone(e.Envelope)
			e.Envelope[len(e.Envelope)-1] ^= 1
			question.Envelopes = append(question.Envelopes, e)
			digests = append(digests, "")
		}
	}
	signer := newSigner(t)
	pin := base64.StdEncoding.EncodeToString(pinned(signer))
	altered := newList(t, signer)
	altered.Keys[0].SealUntil = altered.Keys[0].SealUntil.AddDate(1, 0, 0)
	question.Lists = []signed{{pin, newList(t, signer)}, {pin, altered}}

	input, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Envelopes []*string
		Lists     []bool
	}
	if err := json.NewDecoder(bytes.NewReader(node(t, "check.mjs", input))).Decode(&answer); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if len(answer.Envelopes) != len(digests) || len(answer.Lists) != 2 {
		t.Fatalf("an answer to %d envelopes and %d lists", len(answer.Envelopes), len(answer.Lists))
	}
	for i, want := range digests {
		got := ""
		if answer.Envelopes[i] != nil {
			got = *answer.Envelopes[i]
		}
		if got != want {
			t.Errorf("envelope %d: node read %q, want %q", i, got, want)
		}
	}
	if !answer.Lists[0] || answer.Lists[1] {
		t.Errorf("node says the list is %t and the altered one %t", answer.Lists[0], answer.Lists[1])
	}
}
