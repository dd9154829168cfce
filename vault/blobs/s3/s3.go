// Package s3 keeps objects in a bucket of an S3 server: AWS, Ceph RGW, MinIO,
// versitygw. An object's key is the options' prefix and its name; it carries
// no metadata.
//
// Every request goes over TLS 1.2 or newer and is signed for the pinned region
// (AWS Signature Version 4). An object is stored by one conditional PUT
// (If-None-Match: *) with its SHA-256, which the server verifies and keeps, so
// that a whole-object read is verified too. The payload is signed where it is
// at hand, and followed by its checksum (STREAMING-UNSIGNED-PAYLOAD-TRAILER)
// where it streams. Deleting removes every version and delete marker, one by
// one, and lists to see that none is left.
//
// Trying again is bounded, by number and by time. What the server and the
// network say is told by code, never by text: no key, signature or URL is in
// an error.
//
// MD5 is not approved (FIPS 140-3): nothing here calls for Content-MD5.
package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"

	"photovault/vault/blobs"
)

// Store implements blobs.Store.
type Store struct {
	o         Options
	core      *minio.Core
	transport *http.Transport
	signing   *signing
}

var _ blobs.Store = (*Store)(nil)

// Open checks the options and the bucket: that it exists, lies in the pinned
// region, is not public, honours conditional writes and checksums, and that
// its Object Lock agrees with the options. For that it writes, reads and
// removes objects of a few bytes under random names.
// Errors: Faults, which names everything found wrong; blobs.ErrUnavailable.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := connect(o)
	if err != nil {
		return nil, err
	}
	if err := s.inspect(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// connect makes the store without asking the server anything.
func connect(o Options) (*Store, error) {
	o = o.withDefaults()
	var all Faults
	var f Faults
	if err := o.Check(); errors.As(err, &f) {
		all = f
	}
	roots, err := rootsOf(o.CAFile)
	if err != nil {
		all = append(all, err.Error())
	}
	signing, err := newSigning(o)
	if err != nil {
		all = append(all, err.Error())
	}
	if err := all.err(); err != nil {
		return nil, err
	}
	host, _ := hostOf(o.Endpoint) // Check has seen it
	transport := newTransport(roots, o.Timeout)
	lookup := minio.BucketLookupPath
	if o.VirtualHost {
		lookup = minio.BucketLookupDNS
	}
	core, err := minio.NewCore(host, &minio.Options{
		Creds: signing.credentials(), Secure: true, Region: o.Region, BucketLookup: lookup,
		Transport:       wire{transport},
		TrailingHeaders: true,
		MaxRetries:      1, // retrying is ours
	})
	if err != nil {
		return nil, Faults{"the endpoint is not one: " + describe(err)}
	}
	core.SetAppInfo("photovault", "s3")
	core.SetS3EnableDualstack(false)                      // the host is the one in the options, or its region's
	o.AccessKey, o.SecretKey, o.SessionToken = "", "", "" // signing has them
	return &Store{o: o, core: core, transport: transport, signing: signing}, nil
}

// Format keeps every verb of fmt to where the bucket is.
func (s *Store) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.o.String()) }

// Close drops idle connections. Calls that are under way go on.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Ready implements blobs.Store: it asks for the bucket's head, once, and waits
// for a moment only.
func (s *Store) Ready(ctx context.Context) error {
	if err := live(ctx); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, min(s.o.Timeout, readyTimeout))
	defer cancel()
	there, err := s.core.BucketExists(short, s.o.Bucket)
	if err == nil && !there {
		err = minio.ErrorResponse{Code: "NoSuchBucket", StatusCode: http.StatusNotFound}
	}
	return s.unavailable(ctx, "ready", err)
}

// key is where an object lies in the bucket.
func (s *Store) key(n blobs.Name) string { return s.o.Prefix + n.String() }

var emptySHA256 = func() string {
	sum := sha256.Sum256(nil)
	return hex.EncodeToString(sum[:])
}()

// live is the error of a call whose ctx has ended.
func live(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: s3: %w", blobs.ErrUnavailable, err)
	}
	return nil
}
