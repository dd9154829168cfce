package seal

import (
	"crypto/rand"
	"crypto/subtle"
	"slices"
)

// Seal appends the container of plaintext to dst and returns the extended
// slice. The key, of KeySize bytes, is borrowed. plaintext and the spare
// capacity of dst must not overlap.
func Seal(dst, key, context, plaintext []byte) ([]byte, error) {
	var salt [saltSize]byte
	rand.Read(salt[:])
	return sealWith(dst, key, context, plaintext, salt[:])
}

// sealWith takes the salt, which must never repeat under a key.
func sealWith(dst, key, context, plaintext, salt []byte) ([]byte, error) {
	c, commitment, err := derive(key, salt, context)
	if err != nil {
		return nil, err
	}
	dst = slices.Grow(dst, int(SealedSize(int64(len(plaintext)))))
	dst = append(append(dst, salt...), commitment...)
	for n := uint64(0); ; n++ {
		part := plaintext[:min(len(plaintext), ChunkSize)]
		plaintext = plaintext[len(part):]
		dst = c.seal(dst, n, part)
		if len(part) < ChunkSize {
			return dst, nil
		}
	}
}

// Open appends the plaintext of a container to dst and returns the extended
// slice, after all of it has authenticated; otherwise it returns nil, and what
// it wrote to the spare capacity of dst is wiped. sealed and that capacity
// must not overlap. The key, of KeySize bytes, is borrowed. Errors: ErrAuth,
// and another one for a key of the wrong size.
func Open(dst, key, context, sealed []byte) ([]byte, error) {
	size, err := PlaintextSize(int64(len(sealed)))
	if err != nil {
		return nil, err
	}
	c, err := begin(key, context, sealed[:HeaderSize])
	if err != nil {
		return nil, err
	}
	start, end := len(dst), len(dst)+int(size)
	all := slices.Grow(dst, int(size))[:end:end] // not a byte past what is appended is touched
	out, body := all[:start], sealed[HeaderSize:]
	for n := uint64(0); ; n++ {
		part := body[:min(len(body), sealedChunk)]
		body = body[len(part):]
		if out, err = c.open(out, n, part); err != nil {
			clear(all[start:])
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
