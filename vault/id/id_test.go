package id_test

import (
	"testing"

	"photovault/vault/id"
)

func TestNewIsParsed(t *testing.T) {
	seen := map[id.Photo]bool{}
	for range 1000 {
		p := id.New[id.Photo]()
		if _, err := id.Parse[id.Photo](string(p)); err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		if seen[p] {
			t.Fatalf("%q twice", p)
		}
		seen[p] = true
	}
}

func TestParseRefusesOtherForms(t *testing.T) {
	for _, s := range []string{
		"",
		"0190a2b4-5c6d-7e8f-8abc-0123456789ab", // version 7
		"0190a2b4-5c6d-4e8f-cabc-0123456789ab", // variant
		"0190A2B4-5C6D-4E8F-8ABC-0123456789AB", // upper case
		"0190a2b45c6d4e8f8abc0123456789ab",
		"0190a2b4-5c6d-4e8f-8abc-0123456789ab ",
		"{190a2b4-5c6d-4e8f-8abc-0123456789a}",
		"0190a2b4-5c6d-4e8f-8abc-0123456789\x00b",
	} {
		if v, err := id.Parse[id.Photo](s); err == nil {
			t.Errorf("%q accepted as %q", s, v)
		}
	}
}
