package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"photovault/vault/blobs"
)

const (
	// rounds is how often what came in meanwhile is removed too.
	rounds = 3
	// maxVersions is how many versions of one object are looked at in a
	// round. An object is written once: one version is usual.
	maxVersions = 1000
)

// version is one version of an object, or a delete marker.
type version struct{ id string }

// Delete implements blobs.Store. A version that Object Lock retains is
// ErrRetained: the other versions are gone, and the caller tries again later.
func (s *Store) Delete(ctx context.Context, name blobs.Name) error {
	if !name.Valid() {
		return blobs.ErrName
	}
	if err := live(ctx); err != nil {
		return err
	}
	limited, cancel := s.budgeted(ctx, 0)
	defer cancel()
	return s.unavailable(ctx, "delete", s.remove(limited, s.key(name)))
}

// remove removes every version of the key and sees that none is left.
func (s *Store) remove(ctx context.Context, key string) error {
	var failed error
	for range rounds {
		versions, err := s.versions(ctx, key)
		if err != nil || len(versions) == 0 {
			return err
		}
		failed = nil
		for _, v := range versions {
			failed = errors.Join(failed, s.deleteVersion(ctx, key, v))
		}
		if errors.Is(failed, ErrRetained) || ctx.Err() != nil {
			return failed
		}
	}
	if failed == nil {
		failed = fmt.Errorf("%w: s3: delete: versions are still listed after their removal", blobs.ErrUnavailable)
	}
	return failed
}

// versions lists the versions and delete markers of exactly this key.
func (s *Store) versions(ctx context.Context, key string) ([]version, error) {
	var found []version
	err := try(ctx, func() error {
		found = nil
		for o := range s.core.ListObjectsIter(ctx, s.o.Bucket, minio.ListObjectsOptions{
			Prefix: key, Recursive: true, WithVersions: true, MaxKeys: maxVersions}) {
			if o.Err != nil {
				return o.Err
			}
			if o.Key != key { // keys come in order: those after it are others'
				break
			}
			if found = append(found, version{o.VersionID}); len(found) == maxVersions {
				break
			}
		}
		return ctx.Err() // a cancelled iterator just ends
	})
	return found, err
}

func (s *Store) deleteVersion(ctx context.Context, key string, v version) error {
	err := try(ctx, func() error {
		return s.core.RemoveObject(ctx, s.o.Bucket, key, minio.RemoveObjectOptions{VersionID: v.id})
	})
	switch code(err) {
	case "NoSuchKey", "NoSuchVersion":
		return nil
	}
	if s := status(err); err == nil || s >= http.StatusInternalServerError || s == 0 {
		return err
	}
	if until := s.retained(ctx, key, v); until != "" {
		return fmt.Errorf("%w %s", ErrRetained, until)
	}
	return err
}

// retained tells what holds a version, or "". The head of the version says
// it, to who may see it (s3:GetObjectRetention, s3:GetObjectLegalHold).
func (s *Store) retained(ctx context.Context, key string, v version) string {
	info, err := s.core.StatObject(ctx, s.o.Bucket, key, minio.StatObjectOptions{VersionID: v.id})
	if err != nil {
		return ""
	}
	if info.Headers.Get("x-amz-object-lock-legal-hold") == "ON" {
		return "by a legal hold"
	}
	until, err := time.Parse(time.RFC3339, info.Headers.Get("x-amz-object-lock-retain-until-date"))
	if err != nil || !until.After(time.Now()) {
		return ""
	}
	return "until " + until.UTC().Format(time.RFC3339)
}
