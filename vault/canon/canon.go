// Package canon is photovault's one rule for turning fields into bytes that
// are authenticated: contexts of containers and keys, bindings of rows,
// audit entries, signed statements.
//
//	uint16(len(domain)) || domain || (uint16(len(field)) || field)*
//
// Lengths count bytes and are big-endian. The domain names the use and its
// version ("photovault/row/v1"), so that bytes made for one use are never
// taken for another; the prefixes make the encoding injective: two different
// lists of fields never give the same bytes. Vectors: testdata/vectors.json.
package canon

import (
	"encoding/binary"
	"errors"
	"math"
)

// MaxField is the longest domain or field in bytes.
const MaxField = math.MaxUint16

// ErrMalformed reports bytes that Encode cannot have made for this domain.
var ErrMalformed = errors.New("canon: malformed encoding")

// Encode returns the encoding of the fields. It panics on a field longer than
// MaxField: bounds on outside input are checked where it enters.
func Encode(domain string, fields ...string) []byte {
	n := 2 + len(domain)
	for _, f := range fields {
		n += 2 + len(f)
	}
	b := appendField(make([]byte, 0, n), domain)
	for _, f := range fields {
		b = appendField(b, f)
	}
	return b
}

// Decode returns the fields of an encoding made for domain.
func Decode(domain string, b []byte) ([]string, error) {
	var fields []string
	for first := true; len(b) > 0; first = false {
		if len(b) < 2 {
			return nil, ErrMalformed
		}
		n := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+n {
			return nil, ErrMalformed
		}
		f := string(b[2 : 2+n])
		b = b[2+n:]
		switch {
		case !first:
			fields = append(fields, f)
		case f != domain:
			return nil, ErrMalformed
		case len(b) == 0:
			return nil, nil
		}
	}
	if fields == nil {
		return nil, ErrMalformed
	}
	return fields, nil
}

func appendField(b []byte, f string) []byte {
	if len(f) > MaxField {
		panic("canon: field longer than 65535 bytes")
	}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(f))), f...)
}
