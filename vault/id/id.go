// Package id names the things photovault keeps.
//
// Every kind of id is its own string type, so that a patient's id cannot be
// passed where a photo's is wanted. Ids that a client sees are UUIDv4
// (RFC 9562 §5.4): a UUIDv7 would publish the time of treatment.
package id

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
)

// The kinds of id. A value made by New or Parse is a UUIDv4 in lower-case
// canonical form, 36 bytes.
type (
	Practice      string // a practice (tenant); part of every key, row and context
	Account       string // a person or system that can authenticate
	Credential    string // one secret of an account
	Patient       string
	Photo         string // also the stable reference that an EMR embeds
	Capture       string // made on the tablet when the photo is taken
	Device        string // the tablet
	Upload        string // one tus upload
	Consent       string // a clinical consent
	Authorization string // a marketing authorization, 45 CFR 164.508
	Event         string // an event in a patient's record: revocation, deletion
	Object        string // a ciphertext in the blob store
	Entry         string // an audit entry
	Token         string // a retrieval token's row (never the token itself)
	UploadKey     string // a public key that tablets seal to
	Set           string // photos that belong together, such as before and after
	Treatment     string // a course of treatment, as the clinic's systems name it
	Campaign      string // what marketing does with photos, and where
	Template      string // a practice's text of an authorization
	Document      string // a signed document, kept as evidence
	Takedown      string // a task: what was released must come down
	Notice        string // a message to a receiver outside
)

// ErrMalformed reports a string that is not a lower-case canonical UUIDv4.
var ErrMalformed = errors.New("id: not a UUIDv4 in canonical form")

// New returns a fresh random id.
func New[T ~string]() T {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return T(format(b))
}

// Parse accepts exactly the form that New returns.
func Parse[T ~string](s string) (T, error) {
	if !Valid(s) {
		return "", ErrMalformed
	}
	return T(s), nil
}

// Valid reports whether s has the form that New returns.
func Valid(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		case 14:
			if c != '4' {
				return false
			}
		case 19:
			if c != '8' && c != '9' && c != 'a' && c != 'b' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

func format(b [16]byte) string {
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:36], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}
