// Package envelope is what a tablet sends: a photo sealed to a public key of
// its practice, so that neither the tablet nor anything between it and the
// vault can open it again.
//
// An envelope is a header followed by a vault/seal container. Offsets and
// sizes are in bytes, integers are big-endian.
//
//	 0    4  magic "PVEN"
//	 4    2  version, 1
//	 6    2  suite: HPKE KEM id, 0x647a MLKEM768-X25519 or 0x0010 DHKEM(P-256)
//	 8   36  id of the upload key, UUIDv4 in lower-case canonical form
//	44   36  id of the capture, in the same form
//	80    n  enc, the encapsulated key: 1120 (MLKEM768-X25519) or 65 (P-256)
//	80+n     container
//
// The header is as long as its suite says; no field in it is a length. It is
// sealed with HPKE (RFC 9180) in base mode, KDF HKDF-SHA256 (0x0001), AEAD
// export-only (0xFFFF), the hybrid KEM by draft-ietf-hpke-pq:
//
//	info          = canon.Encode("photovault/envelope/v1", practice, capture)
//	container key = Export("photovault/envelope/v1 container", 32)
//	context       = the header, all 80+n bytes
//
// So the practice and the capture are authenticated twice, by the key and by
// the header, and no bit of the header can change. HPKE only exports: its own
// AEAD is sequential, not key-committing, and refused by Go's certified FIPS
// module, while the container is none of these.
//
// Key pairs are derived from a 32-byte seed by DeriveKeyPair (RFC 9180 §7.1.3,
// draft-ietf-hpke-pq), so that the seed, an ordinary data key, is all that
// the vault keeps. testdata holds vectors made by an independent
// implementation, and the scripts that make them.
//
// The envelope does not say who sealed it: anybody with the public key can.
// That only an enrolled tablet adds photos is up to the upload's grant.
package envelope

import "errors"

var (
	// ErrFormat: this is no envelope, or of a version or suite not known here.
	ErrFormat = errors.New("envelope: not an envelope of a known version and suite")
	// ErrUnknownKey: the upload key it names is not known or no longer opened
	// with. The photo has to be sealed again, to a current key.
	ErrUnknownKey = errors.New("envelope: upload key unknown or expired")
	// ErrRefused: it does not authenticate: damaged, truncated, extended, or
	// sealed for another capture, practice or key. Says nothing about which.
	ErrRefused = errors.New("envelope: authentication failed")
	// ErrSignature: the list of upload keys is not what the pinned key signed.
	ErrSignature = errors.New("envelope: the list of upload keys is not signed by the key pinned at enrolment")
	// ErrNoKey: the list has no key of the suite that may still be sealed to.
	ErrNoKey = errors.New("envelope: no upload key may be sealed to now; fetch the list again and check the clock")
)
