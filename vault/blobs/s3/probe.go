package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"

	"photovault/vault/blobs"
	"photovault/vault/id"
)

// probe writes an object of each area under random ids, finds out what the
// server makes of it, and removes it. What cannot be learned otherwise: a
// server that does not know If-None-Match replaces objects silently.
func (s *Store) probe(ctx context.Context) (Faults, error) {
	practice := id.New[id.Practice]()
	var all Faults
	for _, area := range []blobs.Area{blobs.Photos, blobs.Staging} {
		name := blobs.Name{Practice: practice, Area: area, Object: id.New[id.Object]()}
		f, err := s.probeArea(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, f...)
	}
	return distinct(all), nil
}

func (s *Store) probeArea(ctx context.Context, name blobs.Name) (all Faults, err error) {
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
		defer cancel()
		switch gone := s.Delete(late, name); {
		case gone == nil || err != nil: // what is left is a few bytes under a random name
		case errors.Is(gone, ErrRetained) && len(all) > 0:
		default:
			f, transient := refused("objects cannot be removed (allow s3:ListBucketVersions, s3:DeleteObject and s3:DeleteObjectVersion)", gone)
			all, err = append(all, f...), transient
		}
	}()
	content := []byte(name.String())
	for _, step := range []func(context.Context, blobs.Name, []byte) (Faults, error){
		s.probeChecksum, s.probePut, s.probeCondition, s.probeGet, s.probePublic,
	} {
		f, err := step(ctx, name, content)
		if err != nil {
			return nil, err
		}
		if all = append(all, f...); len(f) > 0 && slices.Contains(f, unwritable) {
			break // nothing to look at
		}
	}
	return all, nil
}

// probeChecksum sends a checksum that is wrong, with the headers that a photo
// of this area has, retention among them.
func (s *Store) probeChecksum(ctx context.Context, name blobs.Name, content []byte) (Faults, error) {
	right, wrong := sha256.Sum256(content), sha256.Sum256(nil)
	err := try(ctx, func() error {
		o := s.put(name.Area)
		o.UserMetadata = map[string]string{checksumHeader: base64.StdEncoding.EncodeToString(wrong[:])}
		_, err := s.core.PutObject(ctx, s.o.Bucket, s.key(name), bytes.NewReader(content), int64(len(content)), "", hex.EncodeToString(right[:]), o)
		if mismatch(err) {
			return errRefusedAsItShould // once is enough
		}
		return err
	})
	switch {
	case err == nil:
		return Faults{"the server stores objects that differ from their checksum; it must verify x-amz-checksum-sha256"}, nil
	case errors.Is(err, errRefusedAsItShould), code(err) == "InvalidRequest":
		return nil, nil
	case code(err) == "AccessDenied":
		return Faults{unwritable}, nil
	}
	return refused("objects cannot be written", err)
}

var errRefusedAsItShould = credentialsError{errors.New("refused")}

const unwritable = "objects cannot be written: allow s3:PutObject, with Object Lock s3:PutObjectRetention too, and the KMS key if there is one, as deploy/policies/s3 does"

// probePut stores it, without retention: it must be removable.
func (s *Store) probePut(ctx context.Context, name blobs.Name, content []byte) (Faults, error) {
	return s.probeStored(s.putProbe(ctx, name, content))
}

func (s *Store) probeStored(err error) (Faults, error) {
	if err == nil {
		return nil, nil
	}
	if code(err) == "AccessDenied" {
		return Faults{unwritable}, nil
	}
	return refused("objects cannot be written", err)
}

func (s *Store) putProbe(ctx context.Context, name blobs.Name, content []byte) error {
	sum := sha256.Sum256(content)
	tried := false
	return try(ctx, func() error {
		o := s.put(name.Area)
		o.Mode = ""
		o.UserMetadata = map[string]string{checksumHeader: base64.StdEncoding.EncodeToString(sum[:])}
		_, err := s.core.PutObject(ctx, s.o.Bucket, s.key(name), bytes.NewReader(content), int64(len(content)), "", hex.EncodeToString(sum[:]), o)
		if code(err) == taken && tried { // by the try before
			return nil
		}
		tried = tried || err != nil && code(err) != taken
		return err
	})
}

// probeCondition stores it again, which must be refused.
func (s *Store) probeCondition(ctx context.Context, name blobs.Name, _ []byte) (Faults, error) {
	err := s.putProbe(ctx, name, []byte("another object"))
	switch {
	case err == nil:
		return Faults{"the server replaces an object although If-None-Match: * forbids it; it must honour conditional writes"}, nil
	case code(err) == taken:
		return nil, nil
	}
	return refused("conditional writes (If-None-Match: *) are not understood", err)
}

// probeGet reads it; the checksum must come with it.
func (s *Store) probeGet(ctx context.Context, name blobs.Name, content []byte) (Faults, error) {
	r, _, err := s.Get(ctx, name, 0, -1)
	switch {
	case errors.Is(err, blobs.ErrNotFound):
		return Faults{"an object that was written is not there afterwards; the store must be consistent"}, nil
	case err != nil:
		return nil, err
	}
	verified := r.(*body).sum != nil
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	var f Faults
	if !bytes.Equal(got, content) && string(got) != "another object" {
		f = append(f, "an object comes back as another one")
	}
	if !verified {
		f = append(f, "the server does not keep x-amz-checksum-sha256; a version that does is needed")
	}
	return f, nil
}

// probePublic reads it without a signature, which must be refused.
func (s *Store) probePublic(ctx context.Context, name blobs.Name, _ []byte) (Faults, error) {
	return s.anonymous(ctx, strings.TrimPrefix(s.key(name), "/"), nil)
}
