package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"photovault/vault/blobs"
	"photovault/vault/id"
	"photovault/vault/keys"
)

// markOf is an object that stands where the photos of an installation belong,
// under its practice's id. Nothing else tells its bucket, prefix or folder from
// one that is empty, or another's: what a replica put there, the others would
// not find, and what they put, it would call damaged.
func markOf(p id.Practice) blobs.Name {
	return blobs.Name{Practice: p, Area: blobs.Photos, Object: id.Object(p)}
}

// Mark says that the object store is this installation's. It comes once, before
// the practice is made; again it is no error. Errors: ErrUnavailable.
func Mark(ctx context.Context, store blobs.Store, p id.Practice) error {
	const text = "photovault\n"
	err := store.Put(ctx, markOf(p), strings.NewReader(text), int64(len(text)))
	if errors.Is(err, blobs.ErrExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: the mark of the object store: %w", ErrUnavailable, err)
	}
	return nil
}

// CheckPlace refuses stores that do not belong together, or to the
// installation: a database without its practice, keys that do not open it, an
// object store without its mark. What is in the mark does not matter.
// Errors: ErrBroken, ErrUnavailable.
func CheckPlace(ctx context.Context, catalogs Catalogs, store blobs.Store, p id.Practice) error {
	list, err := catalogs.Practices(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(list, p) {
		return fmt.Errorf("%w: the database does not hold the practice %s: it is empty, or another's; restore it, with its key file, from one backup", ErrBroken, p)
	}
	if _, err := catalogs.PracticeKey(ctx, p, keys.Catalog); err != nil {
		return fmt.Errorf("practice %s: %w", p, err)
	}
	body, _, err := store.Get(ctx, markOf(p), 0, -1)
	if errors.Is(err, blobs.ErrNotFound) {
		return holdsPhotos(ctx, store, p)
	}
	if err != nil {
		return translate(err)
	}
	return body.Close()
}

// holdsPhotos refuses a store without a mark unless a photo of the practice is
// there: then the vault was made before there were marks.
func holdsPhotos(ctx context.Context, store blobs.Store, p id.Practice) error {
	found := errors.New("one is enough")
	switch err := store.List(ctx, p, blobs.Photos, func(blobs.Name, int64) error { return found }); {
	case errors.Is(err, found):
		return nil
	case err != nil:
		return translate(err)
	}
	return fmt.Errorf("%w: the object store does not hold %s, which init put there: the bucket, prefix or folder is empty, or another's; name the right one, or restore it", ErrBroken, markOf(p))
}
