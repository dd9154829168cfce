package transit

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"photovault/vault/keys"
	"photovault/vault/secret"
)

const (
	prefix        = "vault:v"
	nonceSize     = 12
	tagSize       = 16
	sealedSize    = nonceSize + secret.KeySize + tagSize
	sealedText    = (sealedSize + 2) / 3 * 4 // 60 bytes are whole groups of base64: no padding, no spare bits
	versionDigits = 10
)

// version reads which version of the transit key a wrapped key is under, and
// refuses every spelling that the engine does not write: no two different
// texts are the same wrapped key.
func version(wrapped []byte) (uint32, error) {
	rest, ok := bytes.CutPrefix(wrapped, []byte(prefix))
	if !ok || len(wrapped) > len(prefix)+versionDigits+1+sealedText {
		return 0, keys.ErrRefused
	}
	number, text, ok := bytes.Cut(rest, []byte(":"))
	if !ok || len(number) == 0 || number[0] < '1' || number[0] > '9' || len(text) != sealedText {
		return 0, keys.ErrRefused
	}
	v, err := strconv.ParseUint(string(number), 10, 32)
	if err != nil {
		return 0, keys.ErrRefused
	}
	var raw [sealedSize]byte // padding or a line break, which the decoder skips, would leave some of it empty
	if n, err := base64.StdEncoding.Strict().Decode(raw[:], text); err != nil || n != sealedSize {
		return 0, keys.ErrRefused
	}
	return uint32(v), nil
}
