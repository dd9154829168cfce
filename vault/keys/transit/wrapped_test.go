package transit_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"photovault/vault/keys"
	"photovault/vault/keys/transit"
)

// The engine takes several spellings of one wrapped key: v0 and v+1 for v1, line
// breaks within the base64. Only the one that it writes is a wrapped key here.
func TestAWrappedKeyHasOneSpelling(t *testing.T) {
	var s transit.Service // Version asks nobody
	text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("wrapped key ", 5)))
	for spelling, want := range map[string]uint32{
		"vault:v1:" + text:          1,
		"vault:v27:" + text:         27,
		"vault:v4294967295:" + text: 1<<32 - 1,

		"":                                 0,
		text:                               0,
		"vault:v0:" + text:                 0,
		"vault:v01:" + text:                0,
		"vault:v+1:" + text:                0,
		"vault:v-1:" + text:                0,
		"vault:v 1:" + text:                0,
		"vault:v1 :" + text:                0,
		"vault:v1_0:" + text:               0,
		"vault:v0x1:" + text:               0,
		"vault:v4294967296:" + text:        0,
		"vault:v18446744073709551617:":     0,
		"vault:v:" + text:                  0,
		"vault:v1" + text:                  0,
		"vault:1:" + text:                  0,
		"VAULT:v1:" + text:                 0,
		" vault:v1:" + text:                0,
		"vault:v1:" + text + "\n":          0,
		"vault:v1:" + text + " ":           0,
		"vault:v1:" + text + "=":           0,
		"vault:v1:" + text + "====":        0,
		"vault:v1:" + text + "AAAA":        0,
		"vault:v1:\n" + text:               0,
		"vault:v1:" + "\n" + text[1:]:      0,
		"vault:v1:" + text[:79] + "\n":     0,
		"vault:v1:" + text[:79] + "=":      0,
		"vault:v1:" + text[:78] + "==":     0,
		"vault:v1:" + text[:76]:            0,
		"vault:v1:" + text[:79] + "-":      0,
		"vault:v1:" + text[:79] + "_":      0,
		"vault:v1:" + text[:78] + "\"}":    0,
		"vault:v1:" + text[:78] + "\u00e9": 0,
	} {
		got, err := s.Version([]byte(spelling))
		if want == 0 && !errors.Is(err, keys.ErrRefused) || want != 0 && err != nil || got != want {
			t.Errorf("%.40q: %d, %v, want %d", spelling, got, err, want)
		}
	}
}

func FuzzVersion(f *testing.F) {
	var s transit.Service
	f.Add([]byte("vault:v1:" + strings.Repeat("A", 80)))
	f.Add([]byte("vault:v10:" + strings.Repeat("+/", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := s.Version(b)
		if err != nil {
			return
		}
		number, text, _ := strings.Cut(strings.TrimPrefix(string(b), "vault:v"), ":")
		raw, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || base64.StdEncoding.EncodeToString(raw) != text || len(raw) != 60 || number[0] == '0' || v == 0 {
			t.Errorf("%q is taken for a wrapped key", b)
		}
	})
}
