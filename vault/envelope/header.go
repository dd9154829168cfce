package envelope

import (
	"encoding/binary"

	"photovault/vault/canon"
	"photovault/vault/id"
)

const (
	magic   = "PVEN"
	version = 1

	idSize     = 36
	prefixSize = len(magic) + 2 + 2
	fixedSize  = prefixSize + 2*idSize

	infoDomain    = "photovault/envelope/v1"
	exporterLabel = "photovault/envelope/v1 container"
	exportedSize  = 32
)

// appendHeader returns the header; ids are valid and enc has its suite's size.
func appendHeader(b []byte, s Suite, key id.UploadKey, capture id.Capture, enc []byte) []byte {
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint16(b, version)
	b = binary.BigEndian.AppendUint16(b, uint16(s))
	b = append(b, key...)
	b = append(b, capture...)
	return append(b, enc...)
}

// parsePrefix returns the suite. What is no envelope of this version is ErrFormat.
func parsePrefix(b []byte) (Suite, error) {
	if len(b) < prefixSize || string(b[:len(magic)]) != magic || binary.BigEndian.Uint16(b[len(magic):]) != version {
		return 0, ErrFormat
	}
	s := Suite(binary.BigEndian.Uint16(b[len(magic)+2:]))
	if !s.Known() {
		return 0, ErrFormat
	}
	return s, nil
}

func info(practice id.Practice, capture id.Capture) []byte {
	return canon.Encode(infoDomain, string(practice), string(capture))
}
