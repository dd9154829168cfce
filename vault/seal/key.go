package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes in bytes.
const (
	KeySize    = 32
	ChunkSize  = 16 << 10 // plaintext of every chunk but the last, which is shorter
	Overhead   = 16       // GCM tag of each chunk
	HeaderSize = saltSize + commitmentSize

	saltSize       = 24
	commitmentSize = 32
	nonceSize      = 12
	sealedChunk    = ChunkSize + Overhead

	// The counter may reach into 38 bits of the nonce and no further: the
	// published bounds on nonce collisions hold up to there.
	maxChunks = 1 << 38
	maxPlain  = maxChunks*ChunkSize - 1 // 4 PiB less a byte: the last chunk is short
)

// label is the info prefix of the key derivation, as published.
const label = "c2sp.org/chunked-encryption@v1+" + "AEAD_AES_256_GCM" + "\x00"

// ErrAuth is the one answer to anything that does not authenticate: damaged,
// truncated, extended, reordered, or under another key or context. It is
// returned as it is, so that it does not tell which of them, nor where.
var ErrAuth = errors.New("seal: authentication failed")

var (
	errKeySize = fmt.Errorf("seal: a key has %d bytes", KeySize)
	errTooLong = errors.New("seal: a container holds less than 4 PiB")
	errClosed  = errors.New("seal: the container is complete")
)

// SealedSize returns the size in bytes of a container that holds plain bytes.
// It panics on a negative size and on one of 4 PiB or more, which no container
// holds.
func SealedSize(plain int64) int64 {
	if plain < 0 || plain > maxPlain {
		panic("seal: size out of range")
	}
	return HeaderSize + plain + (plain/ChunkSize+1)*Overhead
}

// PlaintextSize returns how many bytes a container of sealed bytes holds. A
// size that no container can have is ErrAuth. What it returns is arithmetic:
// only opening the last chunk shows that the size is the true one.
func PlaintextSize(sealed int64) (int64, error) {
	if sealed < HeaderSize+Overhead {
		return 0, ErrAuth
	}
	body := sealed - HeaderSize
	full, last := body/sealedChunk, body%sealedChunk
	if full >= maxChunks || last < Overhead {
		return 0, ErrAuth // the last chunk is never full and never without a tag
	}
	return full*ChunkSize + last - Overhead, nil
}

// chunks seals and opens the chunks of one container.
type chunks struct {
	aead  cipher.AEAD
	base  [nonceSize]byte
	nonce [nonceSize]byte
}

// derive returns the chunk cipher and the commitment of a container. Of the
// derived key only its schedule inside the cipher outlives the call.
func derive(key, salt, context []byte) (*chunks, []byte, error) {
	if len(key) != KeySize {
		return nil, nil, errKeySize
	}
	info := make([]byte, 0, len(label)+saltSize+len(context))
	info = append(append(append(info, label...), salt...), context...)
	okm, err := hkdf.Expand(sha512.New, key, string(info), KeySize+nonceSize+commitmentSize)
	if err != nil {
		return nil, nil, fmt.Errorf("seal: derive: %w", err)
	}
	defer clear(okm[:KeySize+nonceSize])
	block, err := aes.NewCipher(okm[:KeySize])
	if err != nil {
		return nil, nil, fmt.Errorf("seal: cipher: %w", err)
	}
	c := &chunks{}
	// Nonces are a fresh base XOR a counter under a fresh key, so that none
	// repeats: the deterministic construction of SP 800-38D §8.2.1. Go's
	// certified module approves GCM only where it makes the nonce itself, and
	// fips140=only refuses this constructor for that reason alone. The
	// exemption covers the constructor and nothing else; the cipher that it
	// returns needs none.
	fips140.WithoutEnforcement(func() { c.aead, err = cipher.NewGCM(block) })
	if err != nil {
		return nil, nil, fmt.Errorf("seal: cipher: %w", err)
	}
	copy(c.base[:], okm[KeySize:])
	return c, okm[KeySize+nonceSize:], nil
}

// at sets the nonce of chunk n: base XOR n, big-endian. n is below maxChunks.
func (c *chunks) at(n uint64) []byte {
	c.nonce = c.base
	tail := c.nonce[nonceSize-8:]
	binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)^n)
	return c.nonce[:]
}

func (c *chunks) seal(dst []byte, n uint64, plain []byte) []byte {
	return c.aead.Seal(dst, c.at(n), plain, nil)
}

func (c *chunks) open(dst []byte, n uint64, sealed []byte) ([]byte, error) {
	out, err := c.aead.Open(dst, c.at(n), sealed, nil)
	if err != nil {
		return nil, ErrAuth
	}
	return out, nil
}
