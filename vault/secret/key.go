// Package secret holds key material so that it is neither copied nor printed
// by accident, and is overwritten when its maker is done with it.
package secret

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

// KeySize is the size in bytes of every symmetric key in photovault.
const KeySize = 32

// Key is 32 bytes of key material. It is used through a pointer only; whoever
// made it (New, FromBytes) destroys it. A destroyed or zero Key has no bytes.
//
// Overwriting is best effort: the Go runtime may have copied stacks, and the
// kernel may have paged memory; start-up refuses plain swap for that reason.
type Key struct {
	_     [0]func() // not comparable: Equal is constant-time
	bytes []byte
}

var errPrinted = errors.New("secret: a key is never encoded")

// New returns a fresh random key, owned by the caller.
func New() *Key {
	k := &Key{bytes: make([]byte, KeySize)}
	rand.Read(k.bytes)
	return k
}

// FromBytes takes ownership of b, which must be KeySize bytes long.
// The caller must not use b afterwards.
func FromBytes(b []byte) (*Key, error) {
	if len(b) != KeySize {
		clear(b)
		return nil, fmt.Errorf("secret: a key has %d bytes, not %d", KeySize, len(b))
	}
	return &Key{bytes: b}, nil
}

// Bytes lends the key material until Destroy. The caller must not keep,
// change or copy it. It panics on a destroyed key: sealing under a key of no
// bytes must never happen silently.
func (k *Key) Bytes() []byte {
	if len(k.bytes) != KeySize {
		panic("secret: use of a destroyed key")
	}
	return k.bytes
}

// Clone returns a copy with an owner of its own.
func (k *Key) Clone() *Key { return &Key{bytes: append([]byte(nil), k.Bytes()...)} }

// Equal compares in constant time.
func (k *Key) Equal(o *Key) bool { return subtle.ConstantTimeCompare(k.Bytes(), o.Bytes()) == 1 }

// Destroy overwrites the key. It may be called twice, and on nil.
func (k *Key) Destroy() {
	if k != nil {
		clear(k.bytes)
		k.bytes = nil
	}
}

const redacted = "[secret key]"

func (k *Key) String() string               { return redacted }
func (k *Key) GoString() string             { return redacted }
func (k *Key) Format(s fmt.State, _ rune)   { fmt.Fprint(s, redacted) }
func (k *Key) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (k *Key) MarshalText() ([]byte, error) { return nil, errPrinted }
func (k *Key) MarshalJSON() ([]byte, error) { return nil, errPrinted }
func (k *Key) GobEncode() ([]byte, error)   { return nil, errPrinted }
