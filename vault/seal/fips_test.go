package seal_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"testing"
)

// The whole package works while fips140=only is enforced; the exemption it
// takes for GCM's constructor is needed, and does not outlast it.
func TestWorksUnderEnforcement(t *testing.T) {
	if !fips140.Enforced() {
		t.Fatal("fips140=only is not in force: go.mod sets it")
	}
	if err := opens(t, key, context, sealed(t, 40_000), plain(40_000)); err != nil {
		t.Fatal(err)
	}
	if !fips140.Enforced() {
		t.Error("enforcement was left off")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cipher.NewGCM(block); err == nil {
		t.Error("cipher.NewGCM is allowed: the exemption in derive is not needed any more")
	}
}
