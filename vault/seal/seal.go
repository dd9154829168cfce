package seal

import (
	"crypto/subtle"
	"slices"
)

// Seal appends the container of plaintext to dst. The key is borrowed.
func Seal(dst, key, context, plaintext []byte) ([]byte, error) {
	var salt [saltSize]byte
	newSalt(salt[:])
	c, commitment, err := derive(key, salt[:], context)
	if err != nil {
		return nil, err
	}
	dst = slices.Grow(dst, int(SealedSize(int64(len(plaintext)))))
	dst = append(append(dst, salt[:]...), commitment...)
	for n := uint64(0); ; n++ {
		part := plaintext[:min(len(plaintext), ChunkSize)]
		plaintext = plaintext[len(part):]
		dst = c.seal(dst, n, part)
		if len(part) < ChunkSize {
			return dst, nil
		}
	}
}

// Open appends the plaintext of a container to dst, after all of it has
// authenticated. Errors: ErrAuth.
func Open(dst, key, context, sealed []byte) ([]byte, error) {
	size, err := PlaintextSize(int64(len(sealed)))
	if err != nil {
		return nil, err
	}
	c, err := begin(key, context, sealed[:HeaderSize])
	if err != nil {
		return nil, err
	}
	start := len(dst)
	out := append(dst, make([]byte, size)...)[:start]
	body := sealed[HeaderSize:]
	for n := uint64(0); ; n++ {
		part := body[:min(len(body), sealedChunk)]
		body = body[len(part):]
		if out, err = c.open(out, n, part); err != nil {
			clear(dst[start:cap(dst)])
			return nil, err
		}
		if len(part) < sealedChunk {
			return out, nil
		}
	}
}

// begin derives the container's key and checks its commitment, so that no
// chunk is ever tried under a key the container was not made with.
func begin(key, context, header []byte) (*chunks, error) {
	c, commitment, err := derive(key, header[:saltSize], context)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(commitment, header[saltSize:HeaderSize]) != 1 {
		return nil, ErrAuth
	}
	return c, nil
}
