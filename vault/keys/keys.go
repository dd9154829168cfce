// Package keys is the contract of the key service: it makes data keys and
// hands them out in clear only against their wrapped form and the exact
// context they were made for. The key-encryption key never leaves the service.
//
// Implementations: localkek (embedded), and HashiCorp Vault transit.
package keys

import (
	"context"
	"errors"

	"photovault/vault/canon"
	"photovault/vault/id"
	"photovault/vault/secret"
)

// Purpose separates kinds of keys: a key wrapped for one purpose cannot be
// unwrapped for another.
type Purpose string

// What keys are for. deploy/adr/0002-keys.md lists how each is rotated.
const (
	Photo         Purpose = "photo"          // seals the renditions of one photo
	Catalog       Purpose = "catalog"        // seals the rows of one practice
	Index         Purpose = "index"          // blind indexes of one practice
	Audit         Purpose = "audit"          // MACs the audit entries of one practice
	Checkpoint    Purpose = "checkpoint"     // Ed25519 seed: signs audit checkpoints and receipts
	Upload        Purpose = "upload"         // HPKE key-pair seed: tablets seal to its public half
	UploadSigning Purpose = "upload-signing" // Ed25519 seed: signs the list of upload keys
)

// Context is what a data key is bound to. A wrapped key presented with any
// other context is refused.
type Context struct {
	Purpose       Purpose
	Practice      id.Practice
	Subject       string           // the photo or upload key it belongs to, or a key version
	Authorization id.Authorization // for marketing renditions; otherwise empty
}

// Encode returns the bytes that implementations authenticate.
func (c Context) Encode() []byte {
	return canon.Encode("photovault/data-key/v1",
		string(c.Purpose), string(c.Practice), c.Subject, string(c.Authorization))
}

// Service makes and unwraps data keys. Implementations are safe for concurrent
// use and honour ctx. Nothing of a key is ever logged or put into an error.
type Service interface {
	// NewDataKey returns a fresh key, owned by the caller, and its wrapped
	// form, at most MaxWrapped bytes. Errors: ErrUnavailable.
	NewDataKey(ctx context.Context, c Context) (*secret.Key, []byte, error)
	// UnwrapDataKey returns the key, owned by the caller. Retry-safe.
	// Errors: ErrRefused, ErrUnavailable.
	UnwrapDataKey(ctx context.Context, c Context, wrapped []byte) (*secret.Key, error)
	// Rewrap returns, in order, each key wrapped under the newest version of
	// the key-encryption key, never showing it in clear. At most MaxRewrap
	// items. An item that alone is refused has ErrRefused as its Err.
	// Errors of the whole call: ErrUnavailable.
	Rewrap(ctx context.Context, items []Wrapped) ([]Rewrapped, error)
	// Version returns which version of the key-encryption key a wrapped key is
	// under, without asking anyone: the answer is not authenticated.
	// Errors: ErrRefused (not a wrapped key of this service).
	Version(wrapped []byte) (uint32, error)
	// Versions returns which versions still open. Errors: ErrUnavailable.
	Versions(ctx context.Context) (Versions, error)
	// Ready reports whether a call would be served now. Errors: ErrUnavailable.
	Ready(ctx context.Context) error
}

// Wrapped is a wrapped key and what it was wrapped for.
type Wrapped struct {
	Context Context
	Key     []byte
}

// Rewrapped is one answer of Rewrap: a wrapped key, or why there is none.
type Rewrapped struct {
	Key []byte
	Err error
}

// Operator is what the practice's key officer may do with the key-encryption
// key, and the running service may not: an implementation holds another
// identity than the Service's (NIST SP 800-57 part 1, 5.3.5: destruction).
type Operator interface {
	// Versions returns which versions still open. Errors: ErrUnavailable.
	Versions(ctx context.Context) (Versions, error)
	// Rotate makes a new version, which wraps from then on. Older ones still
	// open. Errors: ErrUnavailable.
	Rotate(ctx context.Context) (Versions, error)
	// Erase destroys every version below `below` for good: nothing wrapped
	// under one is ever opened again, by anyone, whatever older copy of a
	// database they hold. below is at most Newest. It may be called again.
	// Errors: ErrUnavailable.
	Erase(ctx context.Context, below uint32) (Versions, error)
}

// Versions are the versions of the key-encryption key that still open:
// Oldest to Newest, the one that wraps.
type Versions struct {
	Oldest uint32 `json:"oldest"`
	Newest uint32 `json:"newest"`
}

// MaxRewrap is how many keys one Rewrap takes.
const MaxRewrap = 500

// MaxWrapped is the longest wrapped key in bytes that a catalog must hold.
const MaxWrapped = 1024

var (
	// ErrRefused: the wrapped key is damaged, foreign, of another context, or
	// its key-encryption key is gone. Final; says nothing about which.
	ErrRefused = errors.New("keys: wrapped key refused")
	// ErrUnavailable: the service is sealed, unreachable or over its limit. Retry later.
	ErrUnavailable = errors.New("keys: key service unavailable")
)
