package s3

import (
	"context"
	"fmt"
	"strings"

	"github.com/minio/minio-go/v7"

	"photovault/vault/blobs"
	"photovault/vault/id"
)

const (
	anyObject = id.Object("00000000-0000-4000-8000-000000000000")
	pageSize  = 1000
)

// List implements blobs.Store. f may put and delete objects: it is called
// between pages of 1000. Keys that are no objects are passed over.
func (s *Store) List(ctx context.Context, practice id.Practice, area blobs.Area, f func(blobs.Name, int64) error) error {
	if !(blobs.Name{Practice: practice, Area: area, Object: anyObject}).Valid() {
		return blobs.ErrName
	}
	if err := live(ctx); err != nil {
		return err
	}
	prefix := strings.TrimSuffix(s.key(blobs.Name{Practice: practice, Area: area}), "/") + "/"
	for after := ""; ; {
		page, err := s.page(ctx, prefix, after)
		if err != nil {
			return s.unavailable(ctx, "list", err)
		}
		for _, o := range page {
			name := blobs.Name{Practice: practice, Area: area, Object: id.Object(strings.TrimPrefix(o.key, prefix))}
			if !name.Valid() {
				continue
			}
			if err := live(ctx); err != nil {
				return err
			}
			if err := f(name, o.size); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		after = page[len(page)-1].key
	}
}

type listed struct {
	key  string
	size int64
}

// page lists the next keys below prefix, in order.
func (s *Store) page(ctx context.Context, prefix, after string) ([]listed, error) {
	limited, cancel := s.budgeted(ctx, 0)
	defer cancel()
	owner := false
	var page []listed
	err := try(limited, func() error {
		page = page[:0]
		last := after
		for o := range s.core.ListObjectsIter(limited, s.o.Bucket, minio.ListObjectsOptions{
			Prefix: prefix, Recursive: true, StartAfter: after, MaxKeys: pageSize, FetchOwner: &owner}) {
			if o.Err != nil {
				return o.Err
			}
			// Else a list could go on for ever, or name what was not asked for.
			if !strings.HasPrefix(o.Key, prefix) || o.Key <= last || o.Size < 0 {
				return fmt.Errorf("%w: s3: list: keys out of order", blobs.ErrUnavailable)
			}
			last = o.Key
			if page = append(page, listed{o.Key, o.Size}); len(page) == pageSize {
				break
			}
		}
		return limited.Err() // a cancelled iterator just ends
	})
	return page, err
}
