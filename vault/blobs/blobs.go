// Package blobs is the contract of the object store. It holds ciphertext only
// and is trusted with nothing: what comes back is authenticated by its reader.
//
// Implementations: dir (embedded), and S3.
package blobs

import (
	"context"
	"errors"
	"io"

	"photovault/vault/id"
)

// Area separates objects by how long they live.
type Area string

// The areas.
const (
	Photos  Area = "photos"  // sealed renditions
	Staging Area = "staging" // segments of uploads that are not photos yet
)

// Name is where an object is kept. It holds random ids only: nothing in it
// names a person or tells what is in the picture.
type Name struct {
	Practice id.Practice
	Area     Area
	Object   id.Object
}

// String returns "area/practice/object", the key in the store.
func (n Name) String() string {
	return string(n.Area) + "/" + string(n.Practice) + "/" + string(n.Object)
}

// Valid reports whether both ids and the area are well-formed; stores refuse
// other names with ErrName, so that no name can leave its folder.
func (n Name) Valid() bool {
	return id.Valid(string(n.Practice)) && id.Valid(string(n.Object)) && (n.Area == Photos || n.Area == Staging)
}

// Store keeps objects. Objects are written once and never changed.
// Implementations are safe for concurrent use and honour ctx: a cancelled call
// is ErrUnavailable and ctx's error both.
type Store interface {
	// Put stores exactly size bytes of r under name, durably before it
	// returns nil. After an error nothing is visible under name, or what is
	// visible was complete (the caller sweeps it). A reader that ends early
	// or has more bytes is ErrSize.
	// An error of r itself passes through.
	// Errors: ErrName, ErrExists, ErrSize, ErrUnavailable.
	Put(ctx context.Context, name Name, r io.Reader, size int64) error
	// Get returns n bytes from offset off, and the object's whole size in
	// bytes. n < 0 means up to the end; a range that leaves the object is
	// ErrSize. The caller closes the reader; a store that breaks off makes
	// Read fail with something other than io.EOF.
	// Errors: ErrName, ErrNotFound, ErrSize, ErrUnavailable.
	Get(ctx context.Context, name Name, off, n int64) (io.ReadCloser, int64, error)
	// Delete removes every version of the object and verifies that it is
	// gone. An absent object is not an error. Retry-safe.
	// Errors: ErrName, ErrUnavailable.
	Delete(ctx context.Context, name Name) error
	// List calls f for every object of the area and practice, in no order,
	// until f returns an error, which it returns. Size is in bytes.
	// Errors: ErrName, ErrUnavailable.
	List(ctx context.Context, practice id.Practice, area Area, f func(Name, int64) error) error
	// Ready reports whether the store can be written now.
	// Errors: ErrUnavailable.
	Ready(ctx context.Context) error
}

var (
	ErrName        = errors.New("blobs: malformed object name")
	ErrNotFound    = errors.New("blobs: no such object")
	ErrExists      = errors.New("blobs: object exists already")
	ErrSize        = errors.New("blobs: size differs from what was declared")
	ErrUnavailable = errors.New("blobs: object store unavailable")
)
