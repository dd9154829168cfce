package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
)

// SetSalt makes the next containers use the given salt, for vectors.
func SetSalt(salt []byte) (restore func()) {
	was := newSalt
	newSalt = func(b []byte) { copy(b, salt) }
	return func() { newSalt = was }
}

// BareAEAD is the floor of the benchmarks.
func BareAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	var aead cipher.AEAD
	fips140.WithoutEnforcement(func() { aead, err = cipher.NewGCM(block) })
	if err != nil {
		panic(err)
	}
	return aead
}
