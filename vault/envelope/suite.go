package envelope

import (
	"crypto/ecdh"
	"crypto/hpke"
	"fmt"

	"photovault/vault/seal"
)

// Suite is how an envelope's key is encapsulated: the HPKE KEM id (RFC 9180
// §7.1). KDF and AEAD are the same in every suite of version 1.
type Suite uint16

const (
	// MLKEM768X25519 withstands an attacker who records now and has a quantum
	// computer later. It is the default.
	MLKEM768X25519 Suite = 0x647a
	// P256 is DHKEM(P-256, HKDF-SHA256), for clients without ML-KEM.
	P256 Suite = 0x0010

	// Default is what clients seal with unless told otherwise.
	Default = MLKEM768X25519
)

// String returns the name that the specification uses.
func (s Suite) String() string {
	switch s {
	case MLKEM768X25519:
		return "MLKEM768-X25519"
	case P256:
		return "DHKEM(P-256, HKDF-SHA256)"
	default:
		return fmt.Sprintf("suite %#04x", uint16(s))
	}
}

// Known reports whether envelopes of the suite can be made and opened.
func (s Suite) Known() bool { return s.encSize() > 0 }

func (s Suite) kem() hpke.KEM {
	switch s {
	case MLKEM768X25519:
		return hpke.MLKEM768X25519()
	case P256:
		return hpke.DHKEM(ecdh.P256())
	default:
		return nil
	}
}

// encSize returns the size of the encapsulated key; 0: the suite is not known.
func (s Suite) encSize() int {
	switch s {
	case MLKEM768X25519:
		return 1088 + 32
	case P256:
		return 65
	default:
		return 0
	}
}

// HeaderSize returns the size of the header in bytes. It panics on a suite
// that is not known.
func HeaderSize(s Suite) int {
	if !s.Known() {
		panic("envelope: " + s.String() + " is not known")
	}
	return fixedSize + s.encSize()
}

// SealedSize returns the size of the envelope of plain bytes. It panics on a
// suite that is not known and on a size that seal.SealedSize refuses.
func SealedSize(s Suite, plain int64) int64 {
	return int64(HeaderSize(s)) + seal.SealedSize(plain)
}
