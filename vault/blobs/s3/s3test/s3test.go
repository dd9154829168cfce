// Package s3test makes buckets for tests, on the real servers that
// devstack found, and speaks to these servers beside the store under test.
package s3test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"photovault/vault/blobs/s3"
	"photovault/vault/vaulttest/devstack"
)

// Setup is how a bucket is made. The zero value is a plain one.
type Setup struct {
	Versioning string // "", Enabled or Suspended
	ObjectLock bool   // also makes it versioned
}

// Bucket makes a bucket with a random name, and removes it with every version
// in it at cleanup. The options have the server's root credentials; ca is the
// file of its authority.
func Bucket(t testing.TB, server devstack.S3, ca string) s3.Options {
	t.Helper()
	return BucketWith(t, server, ca, Setup{})
}

// BucketWith is Bucket with a setup.
func BucketWith(t testing.TB, server devstack.S3, ca string, setup Setup) s3.Options {
	t.Helper()
	o := s3.Options{
		Endpoint: "https://" + server.Endpoint, Region: server.Region, Bucket: "pv-" + strings.ToLower(rand.Text()), CAFile: ca,
		AccessKey: server.AccessKey, SecretKey: server.SecretKey,
	}
	c := NewClient(t, o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := c.removeBucket(ctx); err != nil {
			t.Errorf("bucket %s stays: %v", o.Bucket, err)
		}
	})
	header := http.Header{}
	if setup.ObjectLock {
		header.Set("x-amz-bucket-object-lock-enabled", "true")
	}
	c.Must(t, http.MethodPut, "", "", header, []byte(`<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>`+
		server.Region+`</LocationConstraint></CreateBucketConfiguration>`))
	if setup.Versioning != "" {
		c.Versioning(t, setup.Versioning)
	}
	return o
}

// Client sends single requests for one bucket, signed by itself.
type Client struct {
	o    s3.Options
	http *http.Client
}

// NewClient returns a client for the options' bucket and account.
func NewClient(t testing.TB, o s3.Options) *Client {
	t.Helper()
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("%s: no certificate", o.CAFile)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &Client{o: o, http: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
}

// Answer is what a server said.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends one request for an object of the bucket, or for the bucket itself
// where key is empty. A body goes with its checksum.
func (c *Client) Do(ctx context.Context, method, key, query string, header http.Header, body []byte) (Answer, error) {
	u := c.o.Endpoint + "/" + c.o.Bucket
	if key != "" {
		u += "/" + escape(key)
	}
	if query != "" {
		u += "?" + query
	}
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	for k, v := range header {
		req.Header[http.CanonicalHeaderKey(k)] = v
	}
	if c.o.SessionToken != "" {
		req.Header.Set("X-Amz-Security-Token", c.o.SessionToken)
	}
	if len(body) > 0 {
		sum := sha256.Sum256(body)
		req.Header.Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(sum[:]))
		req.Header.Set("X-Amz-Sdk-Checksum-Algorithm", "SHA256")
	}
	sign(req, body, c.o.AccessKey, c.o.SecretKey, c.o.Region, "s3")
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, resp.Header, b}, err
}

// Must is Do that has to succeed.
func (c *Client) Must(t testing.TB, method, key, query string, header http.Header, body []byte) Answer {
	t.Helper()
	a, err := c.Do(t.Context(), method, key, query, header, body)
	if err != nil {
		t.Fatal(err)
	}
	if a.Status/100 != 2 {
		t.Fatalf("%s %s?%s: %d %s", method, key, query, a.Status, a.Body)
	}
	return a
}

// Versioning sets the bucket's versioning: Enabled or Suspended.
func (c *Client) Versioning(t testing.TB, state string) {
	t.Helper()
	c.Must(t, http.MethodPut, "", "versioning=", nil,
		[]byte(`<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>`+state+`</Status></VersioningConfiguration>`))
}

// Version is one version of an object, or a delete marker.
type Version struct {
	Key       string
	VersionID string `xml:"VersionId"`
	Marker    bool   `xml:"-"`
}

// Versions lists every version and delete marker in the bucket.
func (c *Client) Versions(ctx context.Context) ([]Version, error) {
	var all []Version
	query := url.Values{"versions": {""}}
	for {
		a, err := c.Do(ctx, http.MethodGet, "", query.Encode(), nil, nil)
		if err != nil {
			return nil, err
		}
		if a.Status != http.StatusOK {
			return nil, fmt.Errorf("list versions: %d %s", a.Status, a.Body)
		}
		var page struct {
			IsTruncated         bool
			NextKeyMarker       string
			NextVersionIDMarker string    `xml:"NextVersionIdMarker"`
			Versions            []Version `xml:"Version"`
			Markers             []Version `xml:"DeleteMarker"`
		}
		if err := xml.Unmarshal(a.Body, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Versions...)
		for _, m := range page.Markers {
			m.Marker = true
			all = append(all, m)
		}
		if !page.IsTruncated {
			return all, nil
		}
		query.Set("key-marker", page.NextKeyMarker)
		if page.NextVersionIDMarker != "" {
			query.Set("version-id-marker", page.NextVersionIDMarker)
		}
	}
}

// removeBucket removes the bucket and all that is in it.
func (c *Client) removeBucket(ctx context.Context) error {
	versions, err := c.Versions(ctx)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(8)
	for _, v := range versions {
		g.Go(func() error { return c.removeVersion(ctx, v) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	a, err := c.Do(ctx, http.MethodDelete, "", "", nil, nil)
	if err != nil {
		return err
	}
	if a.Status/100 != 2 {
		return fmt.Errorf("%d %s", a.Status, a.Body)
	}
	return nil
}

func (c *Client) removeVersion(ctx context.Context, v Version) error {
	q := url.Values{}
	if v.VersionID != "" {
		q.Set("versionId", v.VersionID)
	}
	bypass := http.Header{"X-Amz-Bypass-Governance-Retention": {"true"}}
	a, err := c.Do(ctx, http.MethodDelete, v.Key, q.Encode(), bypass, nil)
	if err != nil {
		return err
	}
	if a.Status/100 != 2 && a.Status != http.StatusNotFound {
		return fmt.Errorf("%s: %d %s", v.Key, a.Status, a.Body)
	}
	return nil
}
