package localkek_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha512"
	"testing"
)

// BenchmarkService compares with a bare derivation and AES-256-GCM of 32 bytes.
func BenchmarkService(b *testing.B) {
	s := open(b, create(b, nil), nil)
	_, wrapped, err := s.NewDataKey(b.Context(), testContext)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("NewDataKey", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			k, _, err := s.NewDataKey(b.Context(), testContext)
			if err != nil {
				b.Fatal(err)
			}
			k.Destroy()
		}
	})
	b.Run("UnwrapDataKey", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			k, err := s.UnwrapDataKey(b.Context(), testContext, wrapped)
			if err != nil {
				b.Fatal(err)
			}
			k.Destroy()
		}
	})
	kek, info := make([]byte, 32), string(testContext.Encode())
	sealed := bare(b, kek, info).Seal(nil, nil, make([]byte, 32), nil)
	b.Run("floor: derive, seal 32 bytes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			bare(b, kek, info).Seal(nil, nil, kek, nil)
		}
	})
	b.Run("floor: derive, open 32 bytes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bare(b, kek, info).Open(nil, nil, sealed, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func bare(b *testing.B, kek []byte, info string) cipher.AEAD {
	key, err := hkdf.Expand(sha512.New, kek, info, 32)
	if err != nil {
		b.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		b.Fatal(err)
	}
	return aead
}
