// Package transit is the key service of production: the transit engine of
// HashiCorp Vault (or OpenBao), which holds the key-encryption key and never
// gives it out. Setup and policies: deploy/policies/transit.
//
// A data key is made by datakey/plaintext and unwrapped by decrypt, on an
// aes256-gcm96 key with derived=true: the engine derives the key that wraps
// from the key-encryption key and the whole of keys.Context, so that a wrapped
// key opens in its own context only. (The engine ignores associated_data on
// datakey without a word; it is not used.) A wrapped key is the engine's text,
//
//	vault:v<version>:<base64 of nonce 12 || data key 32 || tag 16>
//
// in the one spelling that the engine writes. Any other is refused before it
// is sent: the engine itself takes line breaks and leading zeros.
//
// # Trouble
//
// ErrRefused is said only where the engine has looked at the wrapped key and
// said so. A missing key or mount, a policy, a sealed, slow or unreachable
// server are ErrUnavailable, with a sentence for whoever runs it: else a slip
// of theirs would read as damaged data. A version below min_decryption_version
// is refused: it is being erased, or is.
//
// Calls are limited in time each and together, tried again a few times, as all
// of them may be, and answered at once by a circuit breaker while the server
// is down. A token is replaced before it ends (tokens.go).
//
// # Memory
//
// A data key comes as base64 in JSON over TLS. It is decoded out of the answer's
// buffer into the secret.Key directly, and the buffer is overwritten. Copies in
// the buffers of net/http and crypto/tls stay until they are used again.
package transit
