package sealer_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"testing"

	"photovault/vault/envelope"
	"photovault/vault/id"
	"photovault/vault/secret"
)

// The vectors of the service's packages, and what the sealer makes of them.
type (
	canonVector struct {
		Domain string   `json:"domain"`
		Fields []string `json:"fields"`
		Hex    string   `json:"hex"`
	}
	containerVector struct {
		Verdict string `json:"verdict"`
		Key     string `json:"key"`
		Context string `json:"context"`
		Salt    string `json:"salt"`
		Size    int    `json:"size"`
		SHA256  string `json:"sealed_sha256"`
	}
	envelopeVector struct {
		Suite    envelope.Suite `json:"suite"`
		Seed     string         `json:"seed"`
		KeyID    id.UploadKey   `json:"key_id"`
		Practice id.Practice    `json:"practice"`
		Capture  id.Capture     `json:"capture"`
		Size     int            `json:"size"`
		Envelope []byte         `json:"envelope"`
	}
	ephemeral struct {
		Suite    envelope.Suite `json:"suite"`
		Key      []byte         `json:"key"`
		ID       id.UploadKey   `json:"id"`
		Practice id.Practice    `json:"practice"`
		Capture  id.Capture     `json:"capture"`
		Size     int            `json:"size"`
		Seed     string         `json:"seed"` // of the ephemeral key
	}
)

func published[T any](t *testing.T, file string) (all []T) {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	must(t, json.Unmarshal(b, &all))
	return all
}

func privateKey(t *testing.T, s envelope.Suite, k id.UploadKey, seed string) *envelope.PrivateKey {
	t.Helper()
	raw, err := hex.DecodeString(seed)
	must(t, err)
	key, err := secret.FromBytes(raw)
	must(t, err)
	pair, err := envelope.NewPrivateKey(s, k, key)
	must(t, err)
	return pair
}

func TestTheSealerMakesThePublishedVectors(t *testing.T) {
	a := newApp(t)
	canon := published[canonVector](t, "../../../vault/canon/testdata/vectors.json")
	envelopes := published[envelopeVector](t, "../../../vault/envelope/testdata/vectors.json")
	var containers []containerVector
	for _, v := range published[containerVector](t, "../../../vault/seal/testdata/vectors.json") {
		if v.Verdict == "opens" {
			containers = append(containers, v)
		}
	}
	recipient := privateKey(t, envelope.P256, id.New[id.UploadKey](), digest([]byte("recipient")))
	fixed := ephemeral{envelope.P256, recipient.Public(), recipient.ID(), id.New[id.Practice](), id.New[id.Capture](), 20_000, digest([]byte("ephemeral"))}

	// Chunks that no test can fill a file up to: the number takes 38 bits of the nonce.
	chunks := []uint64{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 5, 1<<38 - 1}
	key, salt := sha256.Sum256([]byte("far")), make([]byte, 24)
	far := object{"key": hex.EncodeToString(key[:]), "salt": hex.EncodeToString(salt), "chunks": chunks}

	got := run[struct {
		Canon      []string
		Containers [][]byte
		Envelopes  [][]byte
		Ephemeral  [][][]byte
		Far        [][]byte
	}](a, object{"far": far, "canon": canon, "containers": containers, "envelopes": envelopes, "ephemeral": []ephemeral{fixed}}, "vectors.mjs")

	if len(canon) < 5 || len(containers) != 21 || len(envelopes) != 10 {
		t.Fatalf("%d, %d and %d vectors", len(canon), len(containers), len(envelopes))
	}
	for i, v := range canon {
		if got.Canon[i] != v.Hex {
			t.Errorf("canon %q %q: %s", v.Domain, v.Fields, got.Canon[i])
		}
	}
	for i, v := range containers {
		if sum := sha256.Sum256(got.Containers[i]); fmt.Sprintf("%x", sum) != v.SHA256 {
			t.Errorf("container of %d bytes, context %.8s: made otherwise than the vector", v.Size, v.Context)
		}
	}
	for i, v := range envelopes {
		if !bytes.Equal(got.Envelopes[i], v.Envelope) {
			t.Errorf("%s, %d bytes: made otherwise than the vector", v.Suite, v.Size)
		}
	}

	for i, n := range chunks {
		if want := chunk(t, key[:], salt, n, patterned(100)); !bytes.Equal(got.Far[i], want) {
			t.Errorf("chunk %d: made otherwise than it should be", n)
		}
	}

	// With its ephemeral key and salt fixed, the whole envelope is: enc is the
	// public half that the service derives from the same seed.
	first, second := got.Ephemeral[0][0], got.Ephemeral[0][1]
	if !bytes.Equal(first, second) {
		t.Error("one ephemeral key and one salt give two envelopes")
	}
	if enc := privateKey(t, envelope.P256, recipient.ID(), fixed.Seed).Public(); !bytes.Equal(first[80:145], enc) {
		t.Errorf("enc is %x, want %x", first[80:145], enc)
	}
	c := &clinic{practice: fixed.Practice, keys: map[id.UploadKey]*envelope.PrivateKey{recipient.ID(): recipient}}
	if plain, err := c.open(first, fixed.Capture); err != nil || !bytes.Equal(plain, patterned(fixed.Size)) {
		t.Errorf("%d bytes, %v", len(plain), err)
	}
}

// chunk seals one chunk of a container without context, by the text of
// c2sp.org/chunked-encryption.
func chunk(t *testing.T, key, salt []byte, n uint64, plain []byte) []byte {
	t.Helper()
	derived, err := hkdf.Expand(sha512.New, key, "c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"+string(salt), 44)
	must(t, err)
	block, err := aes.NewCipher(derived[:32])
	must(t, err)
	var aead cipher.AEAD
	fips140.WithoutEnforcement(func() { aead, err = cipher.NewGCM(block) })
	must(t, err)
	nonce := new(big.Int).Xor(new(big.Int).SetBytes(derived[32:]), new(big.Int).SetUint64(n)).FillBytes(make([]byte, 12))
	return aead.Seal(nil, nonce, plain, nil)
}
