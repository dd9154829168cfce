package seal_test

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"testing"
)

// AES-GCM alone does not commit to its key: one ciphertext and tag can be
// built that open under two keys, to two pictures. The test builds such a
// chunk, shows that bare GCM opens it under both, and that the container does
// not: its commitment names one key.
func TestFileThatOpensUnderTwoKeys(t *testing.T) {
	one, two := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	salt := bytes.Repeat([]byte{9}, 24)
	d1, d2 := derive(t, one, nil, salt), derive(t, two, nil, salt)
	chunk := collide(t, d1.key, d1.base, d2.key, d2.base, bytes.Repeat([]byte{0x42}, 48))
	var pictures [][]byte
	for i, d := range []derived{d1, d2} {
		p, err := gcm(t, d.key).Open(nil, d.base, chunk, nil)
		if err != nil {
			t.Fatalf("the collision does not open under key %d: the test is broken", i+1)
		}
		pictures = append(pictures, p)
	}
	if bytes.Equal(pictures[0], pictures[1]) {
		t.Fatal("both keys show the same picture: the test is broken")
	}
	file := func(commitment []byte) []byte { return bytes.Join([][]byte{salt, commitment, chunk}, nil) }
	for _, c := range []struct {
		committed  string
		commitment []byte
		right      []byte
		truth      []byte
		wrong      []byte
	}{
		{"first", d1.commitment, one, pictures[0], two},
		{"second", d2.commitment, two, pictures[1], one},
	} {
		if err := opens(t, c.right, nil, file(c.commitment), c.truth); err != nil {
			t.Errorf("committed to the %s key, it does not open under it: %v", c.committed, err)
		}
		refused(t, c.wrong, nil, file(c.commitment), nil, "committed to the "+c.committed+" key, under the other")
	}
	mixed := file(append(bytes.Clone(d1.commitment[:16]), d2.commitment[16:]...))
	refused(t, one, nil, mixed, nil, "half a commitment, first key")
	refused(t, two, nil, mixed, nil, "half a commitment, second key")
}

// collide appends one block to ciphertext so that its tag is the same under
// both keys, and appends that tag (SP 800-38D §7.1: the tag is linear in the
// ciphertext blocks, with powers of H as coefficients).
func collide(t *testing.T, k1, n1, k2, n2, ciphertext []byte) []byte {
	t.Helper()
	h1, s1 := hashKey(t, k1, n1)
	h2, s2 := hashKey(t, k2, n2)
	var lengths [16]byte
	binary.BigEndian.PutUint64(lengths[8:], uint64(len(ciphertext)+16)*8)
	constant := func(h, s element) element { // of the tag, with the free block at zero
		var y element
		for i := 0; i < len(ciphertext); i += 16 {
			y = mul(xor(y, load(ciphertext[i:])), h)
		}
		y = mul(y, h) // the free block
		return xor(mul(xor(y, load(lengths[:])), h), s)
	}
	// block·(H1² + H2²) = constant1 + constant2
	block := mul(xor(constant(h1, s1), constant(h2, s2)), invert(xor(mul(h1, h1), mul(h2, h2))))
	out := append(bytes.Clone(ciphertext), block.bytes()...)
	tag := xor(constant(h1, s1), mul(block, mul(h1, h1)))
	return append(out, tag.bytes()...)
}

func hashKey(t *testing.T, key, nonce []byte) (h, s element) {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	var b [16]byte
	block.Encrypt(b[:], b[:])
	h = load(b[:])
	copy(b[:], nonce)
	binary.BigEndian.PutUint32(b[12:], 1)
	block.Encrypt(b[:], b[:])
	return h, load(b[:])
}

// element of GF(2^128) in GCM's bit order: bit 0 is the highest of hi.
type element struct{ hi, lo uint64 }

func load(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (e element) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, e.hi), e.lo)
}

func xor(a, b element) element { return element{a.hi ^ b.hi, a.lo ^ b.lo} }

func mul(x, y element) (z element) {
	for i := range 128 {
		word := x.hi
		if i >= 64 {
			word = x.lo
		}
		if word>>(63-i%64)&1 == 1 {
			z = xor(z, y)
		}
		carry := y.lo & 1
		y.lo = y.lo>>1 | y.hi<<63
		y.hi >>= 1
		if carry == 1 {
			y.hi ^= 0xe1 << 56
		}
	}
	return z
}

// invert is x^(2^128-2).
func invert(x element) element {
	result, square := element{hi: 1 << 63}, x
	for range 127 {
		square = mul(square, square)
		result = mul(result, square)
	}
	return result
}
