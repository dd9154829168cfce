package s3_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"photovault/vault/blobs"
	"photovault/vault/blobs/s3"
	"photovault/vault/blobs/s3/s3test"
	"photovault/vault/vaulttest"
	"photovault/vault/vaulttest/devstack"
)

const policies = "../../../deploy/policies/s3/"

func policyOf(t *testing.T, file, bucket string) string {
	t.Helper()
	b, err := os.ReadFile(policies + file)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b) {
		t.Fatalf("%s is not JSON", file)
	}
	return strings.ReplaceAll(string(b), "BUCKET", bucket)
}

// minioServer is the server that knows session policies (STS). versitygw has no
// users in the devstack, so that only its bucket owner can be tested.
func minioServer(t *testing.T) (devstack.S3, string) {
	stack := devstack.Need(t)
	for _, server := range stack.S3 {
		if server.Name == "minio" {
			return server, stack.CA
		}
	}
	t.Fatal("no minio")
	return devstack.S3{}, ""
}

func TestServiceLivesByItsPolicy(t *testing.T) {
	server, ca := minioServer(t)
	for _, setup := range []s3test.Setup{{}, {Versioning: "Enabled"}} {
		root := s3test.BucketWith(t, server, ca, setup)
		o := s3test.NewClient(t, root).AssumeRole(t, policyOf(t, "service.json", root.Bucket))
		s := open(t, o)
		vaulttest.Blobs(t, func(*testing.T) blobs.Store { return s })
	}
	root := s3test.BucketWith(t, server, ca, s3test.Setup{ObjectLock: true})
	o := s3test.NewClient(t, root).AssumeRole(t, policyOf(t, "service-object-lock.json", root.Bucket))
	o.RetentionDays = 1
	s := open(t, o)
	n := newName()
	put(t, s, n, []byte("x"))
	if err := s.Delete(t.Context(), n); !errors.Is(err, s3.ErrRetained) {
		t.Errorf("%v, want ErrRetained", err)
	}
}

func TestServiceMayDoNothingElse(t *testing.T) {
	server, ca := minioServer(t)
	other := s3test.Bucket(t, server, ca)
	s3test.NewClient(t, other).Must(t, http.MethodPut, "photos/x", "", nil, []byte("x"))
	for _, x := range []struct {
		file  string
		setup s3test.Setup
	}{{"service.json", s3test.Setup{Versioning: "Enabled"}}, {"service-object-lock.json", s3test.Setup{ObjectLock: true}}} {
		root := s3test.BucketWith(t, server, ca, x.setup)
		owner := s3test.NewClient(t, root)
		owner.Must(t, http.MethodPut, "elsewhere/x", "", nil, []byte("x"))
		locked := "photos/locked"
		if x.setup.ObjectLock {
			o := root
			o.RetentionDays = 1
			s := open(t, o)
			n := newName()
			put(t, s, n, []byte("x"))
			locked = n.String()
		}
		o := owner.AssumeRole(t, policyOf(t, x.file, root.Bucket))
		c := s3test.NewClient(t, o)
		elsewhere := o
		elsewhere.Bucket = other.Bucket
		fresh := o
		fresh.Bucket += "-new"
		for _, r := range []struct {
			client             *s3test.Client
			method, key, query string
			header             http.Header
			body               string
		}{
			{c, http.MethodGet, "elsewhere/x", "", nil, ""},
			{c, http.MethodPut, "elsewhere/y", "", nil, "x"},
			{c, http.MethodDelete, "elsewhere/x", "", nil, ""},
			{c, http.MethodPut, "photo", "", nil, "x"},
			{s3test.NewClient(t, elsewhere), http.MethodGet, "photos/x", "", nil, ""},
			{s3test.NewClient(t, elsewhere), http.MethodPut, "photos/y", "", nil, "x"},
			{s3test.NewClient(t, elsewhere), http.MethodDelete, "photos/x", "", nil, ""},
			{s3test.NewClient(t, elsewhere), http.MethodGet, "", "list-type=2", nil, ""},
			{s3test.NewClient(t, fresh), http.MethodPut, "", "", nil, ""},
			{c, http.MethodDelete, "", "", nil, ""},
			{c, http.MethodGet, "", "policy=", nil, ""},
			{c, http.MethodPut, "", "policy=", nil, `{"Version":"2012-10-17","Statement":[]}`},
			{c, http.MethodDelete, "", "policy=", nil, ""},
			{c, http.MethodPut, "", "versioning=", nil, `<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`},
			{c, http.MethodGet, "", "lifecycle=", nil, ""},
			{c, http.MethodGet, "", "encryption=", nil, ""},
			{c, http.MethodGet, "", "notification=", nil, ""},
			{c, http.MethodGet, "", "uploads=", nil, ""},
			{c, http.MethodPut, "photos/x", "tagging=", nil, `<Tagging><TagSet/></Tagging>`},
			{c, http.MethodPut, locked, "legal-hold=", nil, `<LegalHold><Status>ON</Status></LegalHold>`},
		} {
			a, err := r.client.Do(t.Context(), r.method, r.key, r.query, r.header, []byte(r.body))
			if err != nil {
				t.Fatal(err)
			}
			if a.Status != http.StatusForbidden {
				t.Errorf("%s: %s %s?%s: %d, want 403", x.file, r.method, r.key, r.query, a.Status)
			}
		}
		if !x.setup.ObjectLock {
			a, err := c.Do(t.Context(), http.MethodPut, newName().String(), "", http.Header{"X-Amz-Object-Lock-Mode": {"GOVERNANCE"},
				"X-Amz-Object-Lock-Retain-Until-Date": {"2099-01-01T00:00:00Z"}}, []byte("x"))
			if err != nil || a.Status/100 == 2 {
				t.Errorf("retention without the right to it: %d, %v", a.Status, err)
			}
			continue
		}
		versions, err := owner.Versions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		bypass := http.Header{"X-Amz-Bypass-Governance-Retention": {"true"}}
		for _, v := range versions {
			if v.Key != locked {
				continue
			}
			a, err := c.Do(t.Context(), http.MethodDelete, v.Key, "versionId="+v.VersionID, bypass, nil)
			if err != nil || a.Status/100 == 2 {
				t.Errorf("the service lifted retention: %d, %v", a.Status, err)
			}
		}
	}
}

func TestBucketPolicyIsTaken(t *testing.T) {
	server, ca := minioServer(t)
	o := s3test.Bucket(t, server, ca)
	s3test.NewClient(t, o).Must(t, http.MethodPut, "", "policy=", nil, []byte(policyOf(t, "bucket.json", o.Bucket)))
	s := open(t, o)
	n := newName()
	put(t, s, n, []byte("x"))
	if err := s.Delete(t.Context(), n); err != nil {
		t.Error(err)
	}
}
