package vault

import (
	"crypto/fips140"
	"crypto/sha1" //nolint:gosec // demanded by tus; no security rests on it
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash"
	"io"
)

// ChecksumAlgorithms are those that an upload's bytes may be checked with, by
// their names in tus. A checksum finds what a network or a client garbled;
// against forgery stands the envelope.
var ChecksumAlgorithms = []string{"sha256", "sha1"}

// Checksum is what a client says the bytes of one request add up to.
type Checksum struct {
	want []byte
	sum  hash.Hash
}

// NewChecksum errors: ErrInvalid for an algorithm that is not known or a
// digest that is not as long as the algorithm's.
func NewChecksum(algorithm string, want []byte) (*Checksum, error) {
	c := &Checksum{want: want}
	switch algorithm {
	case "sha256":
		c.sum = sha256.New()
	case "sha1":
		c.sum = newSHA1()
	default:
		return nil, fmt.Errorf("%w: checksum algorithm", ErrInvalid)
	}
	if len(want) != c.sum.Size() {
		return nil, fmt.Errorf("%w: checksum length", ErrInvalid)
	}
	return c, nil
}

// add takes bytes; a checksum that was not given takes none.
func (c *Checksum) add(b []byte) {
	if c != nil {
		_, _ = c.sum.Write(b) // a hash never fails
	}
}

// matches reports whether what was added is what was meant.
func (c *Checksum) matches() bool {
	return subtle.ConstantTimeCompare(c.sum.Sum(nil), c.want) == 1
}

// exemptSHA1 is SHA-1 under fips140=only, which refuses it at each call. tus
// demands that a server that checks at all knows it. It protects nothing: the
// exemption covers each call and nothing else.
type exemptSHA1 struct{ hash.Hash }

func newSHA1() hash.Hash {
	var h exemptSHA1
	fips140.WithoutEnforcement(func() { h.Hash = sha1.New() }) //nolint:gosec // see above
	return h
}

func (h exemptSHA1) Write(b []byte) (n int, err error) {
	fips140.WithoutEnforcement(func() { n, err = h.Hash.Write(b) })
	return n, err
}

func (h exemptSHA1) Sum(b []byte) (out []byte) {
	fips140.WithoutEnforcement(func() { out = h.Hash.Sum(b) })
	return out
}

var _ io.Writer = exemptSHA1{}
