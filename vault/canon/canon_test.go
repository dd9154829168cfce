package canon_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"photovault/vault/canon"
)

func TestVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Domain string
		Fields []string
		Hex    string
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, v := range vectors {
		got := canon.Encode(v.Domain, v.Fields...)
		if hex.EncodeToString(got) != v.Hex {
			t.Errorf("%q %q: %x, want %s", v.Domain, v.Fields, got, v.Hex)
		}
		if seen[v.Hex] {
			t.Errorf("%q %q: same bytes as another list", v.Domain, v.Fields)
		}
		seen[v.Hex] = true
		fields, err := canon.Decode(v.Domain, got)
		if err != nil {
			t.Errorf("%q %q: %v", v.Domain, v.Fields, err)
		}
		if d := cmp.Diff(v.Fields, fields, cmpopts.EquateEmpty()); d != "" {
			t.Error(d)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := canon.Encode("d", "field")
	for name, b := range map[string][]byte{
		"nothing":       nil,
		"other domain":  canon.Encode("e", "field"),
		"cut":           good[:len(good)-1],
		"one byte more": append(append([]byte(nil), good...), 0),
	} {
		if f, err := canon.Decode("d", b); err == nil {
			t.Errorf("%s: accepted as %q", name, f)
		}
	}
}

func TestOverlongFieldPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an overlong field was encoded")
		}
	}()
	canon.Encode("d", strings.Repeat("x", canon.MaxField+1))
}

func FuzzDecode(f *testing.F) {
	f.Add(canon.Encode("d", "a", ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		fields, err := canon.Decode("d", b)
		if err == nil && string(canon.Encode("d", fields...)) != string(b) {
			t.Fatalf("%x decodes to %q but encodes otherwise", b, fields)
		}
	})
}
