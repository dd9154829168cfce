package seal_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"photovault/vault/seal"
)

const sealedChunk = seal.ChunkSize + seal.Overhead

var (
	key     = bytes.Repeat([]byte{7}, seal.KeySize)
	context = []byte("practice, photo, rendition")
)

func plain(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*31 + (i>>8)*17 + 7)
	}
	return b
}

func sealed(t testing.TB, n int) []byte {
	t.Helper()
	b, err := seal.Seal(nil, key, context, plain(n))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// agree opens in all three ways, which must give the same plaintext or the
// same refusal: ErrAuth itself and no byte, but from the stream, which may
// have given out whole chunks before.
func agree(t testing.TB, key, context, container []byte) (plain, streamed []byte, err error) {
	t.Helper()
	prefix := []byte("prefix")
	whole, err := seal.Open(prefix, key, context, container)
	if err == nil {
		var ok bool
		if plain, ok = bytes.CutPrefix(whole, prefix); !ok {
			t.Fatal("Open changed what was before the plaintext")
		}
	} else if whole != nil {
		t.Fatal("Open returned bytes beside an error")
	}

	r, streamErr := seal.NewReader(bytes.NewReader(container), key, context)
	if streamErr == nil {
		streamed, streamErr = io.ReadAll(r)
		if _, again := r.Read(make([]byte, 1)); streamErr != nil && again != streamErr {
			t.Fatalf("Reader failed with %v and goes on with %v", streamErr, again)
		}
	}
	var random []byte
	at, atErr := seal.NewReaderAt(bytes.NewReader(container), int64(len(container)), key, context)
	if atErr == nil {
		random = make([]byte, at.Size())
		_, atErr = io.ReadFull(io.NewSectionReader(at, 0, at.Size()), random)
	}
	for way, e := range map[string]error{"Open": err, "Reader": streamErr, "ReaderAt": atErr} {
		if (e == nil) != (err == nil) {
			t.Fatalf("Open says %v, %s says %v", err, way, e)
		}
		if e != nil && e != seal.ErrAuth {
			t.Fatalf("%s: %v is more than ErrAuth", way, e)
		}
	}
	if err == nil && (!bytes.Equal(plain, streamed) || !bytes.Equal(plain, random)) {
		t.Fatal("the three ways of opening give different bytes")
	}
	return plain, streamed, err
}

// opens is agree for a container of which the truth is known: whatever is
// given out must be true, also before a refusal.
func opens(t testing.TB, key, context, container, truth []byte) error {
	t.Helper()
	plain, streamed, err := agree(t, key, context, container)
	if err == nil && !bytes.Equal(plain, truth) {
		t.Fatal("it opens to other bytes")
	}
	if !bytes.HasPrefix(truth, streamed) {
		t.Fatal("Reader gave out bytes that were never sealed")
	}
	return err
}

func refused(t testing.TB, key, context, container, truth []byte, what string) {
	t.Helper()
	if err := opens(t, key, context, container, truth); !errors.Is(err, seal.ErrAuth) {
		t.Errorf("%s: %v", what, err)
	}
}

// derived is what the published key derivation gives.
type derived struct{ key, base, commitment []byte }

func derive(t testing.TB, key, context, salt []byte) derived {
	t.Helper()
	okm, err := hkdf.Expand(sha512.New, key, "c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"+string(salt)+string(context), 76)
	if err != nil {
		t.Fatal(err)
	}
	return derived{okm[:32], okm[32:44], okm[44:]}
}

func (d derived) nonce(n uint64) []byte {
	counter := binary.BigEndian.AppendUint64(make([]byte, 4, 12), n)
	for i := range counter {
		counter[i] ^= d.base[i]
	}
	return counter
}

func gcm(t testing.TB, key []byte) (a cipher.AEAD) {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	fips140.WithoutEnforcement(func() { a, err = cipher.NewGCM(block) })
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// frame is a chunk of so many bytes under the nonce of a chunk number.
type frame struct {
	size   int
	number uint64
}

// forge is what somebody makes who has the key and other ideas of framing.
func forge(t testing.TB, key, context, salt, plain []byte, frames []frame) []byte {
	t.Helper()
	d := derive(t, key, context, salt)
	aead := gcm(t, d.key)
	out := append(bytes.Clone(salt), d.commitment...)
	for _, f := range frames {
		out = aead.Seal(out, d.nonce(f.number), plain[:f.size], nil)
		plain = plain[f.size:]
	}
	return out
}
