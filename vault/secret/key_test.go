package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"photovault/vault/secret"
)

func TestKeyIsNeverPrinted(t *testing.T) {
	raw := bytes.Repeat([]byte{0xA7}, secret.KeySize)
	k, err := secret.FromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", k, "nested", struct{ K *secret.Key }{k})
	var g bytes.Buffer
	if err := gob.NewEncoder(&g).Encode(k); err == nil {
		t.Error("gob encoded a key")
	}
	if b, err := json.Marshal(k); err == nil {
		t.Errorf("json encoded a key: %s", b)
	}
	out := log.String() + g.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
		out += fmt.Sprintf(verb, k) + fmt.Sprintf(verb, struct{ K *secret.Key }{k})
	}
	for _, form := range []string{hex.EncodeToString(raw[:4]), "A7A7", "167 167", "167,167", string(raw[:4]), "p6en"} {
		if strings.Contains(out, form) {
			t.Errorf("key material %q in %s", form, out)
		}
	}
}

func TestDestroyOverwrites(t *testing.T) {
	raw := bytes.Repeat([]byte{1}, secret.KeySize)
	k, _ := secret.FromBytes(raw)
	k.Destroy()
	k.Destroy()
	if !bytes.Equal(raw, make([]byte, secret.KeySize)) {
		t.Error("bytes still there")
	}
	defer func() {
		if recover() == nil {
			t.Error("a destroyed key was lent")
		}
	}()
	k.Bytes()
}

func TestWrongLengthIsRefused(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33, 64} {
		if _, err := secret.FromBytes(make([]byte, n)); err == nil {
			t.Errorf("%d bytes accepted", n)
		}
	}
}
