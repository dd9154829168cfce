package s3_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"photovault/vault/blobs"
	"photovault/vault/blobs/s3"
	"photovault/vault/blobs/s3/s3test"
	"photovault/vault/vaulttest/devstack"
)

// way is one way to do the same.
type way struct {
	name   string
	do     func(*testing.B) error
	before func(*testing.B) error // not measured
}

// alternate takes turns, so that what else the machine does hits each alike,
// and reports each one's median and the first one's ratio to the others.
func alternate(b *testing.B, ways []way) {
	times := make([][]time.Duration, len(ways))
	b.ReportAllocs()
	for b.Loop() {
		for i, w := range ways {
			if w.before != nil {
				if err := w.before(b); err != nil {
					b.Fatal(err)
				}
			}
			start := time.Now()
			if err := w.do(b); err != nil {
				b.Fatalf("%s: %v", w.name, err)
			}
			times[i] = append(times[i], time.Since(start))
		}
	}
	medians := make([]time.Duration, len(ways))
	for i := range times {
		slices.Sort(times[i])
		medians[i] = times[i][len(times[i])/2]
		b.ReportMetric(float64(medians[i].Microseconds())/1000, "ms-"+ways[i].name)
	}
	for i := range ways[1:] {
		b.ReportMetric(float64(medians[0])/float64(medians[i+1]), "x-"+ways[i+1].name)
	}
}

// peers are a bare client of the library, and presigned URLs over net/http.
type peers struct {
	o    s3.Options
	core *minio.Core
	http *http.Client
}

func newPeers(b *testing.B, o s3.Options) *peers {
	b.Helper()
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		b.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	core, err := minio.NewCore(strings.TrimPrefix(o.Endpoint, "https://"), &minio.Options{
		Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), Secure: true, Region: o.Region, Transport: transport})
	if err != nil {
		b.Fatal(err)
	}
	return &peers{o, core, &http.Client{Transport: transport}}
}

// send is one request to a presigned URL.
func (p *peers) send(b *testing.B, method, key string, body []byte) error {
	u, err := p.core.Presign(b.Context(), method, p.o.Bucket, key, time.Minute, nil)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(b.Context(), method, u.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", method, resp.Status)
	}
	return nil
}

func eachSize(b *testing.B, run func(b *testing.B, s *s3.Store, p *peers, content []byte)) {
	stack := devstack.Need(b)
	for _, server := range stack.S3 {
		for _, size := range []int{200_000, 4 << 20} {
			b.Run(fmt.Sprintf("%s/%dkB", server.Name, size/1000), func(b *testing.B) {
				o := s3test.Bucket(b, server, stack.CA)
				run(b, open(b, o), newPeers(b, o), noise(size))
			})
		}
	}
}

func BenchmarkPut(b *testing.B) {
	eachSize(b, func(b *testing.B, s *s3.Store, p *peers, content []byte) {
		size := int64(len(content))
		alternate(b, []way{
			{name: "Put", do: func(b *testing.B) error { return s.Put(b.Context(), newName(), bytes.NewReader(content), size) }},
			{name: "minio-go", do: func(b *testing.B) error {
				sum := sha256.Sum256(content)
				_, err := p.core.PutObject(b.Context(), p.o.Bucket, newName().String(), bytes.NewReader(content), size, "", hex.EncodeToString(sum[:]), minio.PutObjectOptions{})
				return err
			}},
			{name: "presigned", do: func(b *testing.B) error { return p.send(b, http.MethodPut, newName().String(), content) }},
		})
	})
}

func BenchmarkGet(b *testing.B) {
	eachSize(b, func(b *testing.B, s *s3.Store, p *peers, content []byte) {
		n := newName()
		if err := s.Put(b.Context(), n, bytes.NewReader(content), int64(len(content))); err != nil {
			b.Fatal(err)
		}
		alternate(b, []way{
			{name: "Get", do: func(b *testing.B) error { return drain(b, s, n, 0, -1) }},
			{name: "minio-go", do: func(b *testing.B) error {
				r, _, _, err := p.core.GetObject(b.Context(), p.o.Bucket, n.String(), minio.GetObjectOptions{})
				if err != nil {
					return err
				}
				defer r.Close()
				_, err = io.Copy(io.Discard, r)
				return err
			}},
			{name: "presigned", do: func(b *testing.B) error { return p.send(b, http.MethodGet, n.String(), nil) }},
			{name: "range", do: func(b *testing.B) error { return drain(b, s, n, 1, -1) }},
		})
	})
}

func drain(b *testing.B, s *s3.Store, n blobs.Name, off, length int64) error {
	r, _, err := s.Get(b.Context(), n, off, length)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

func BenchmarkDelete(b *testing.B) {
	stack := devstack.Need(b)
	for _, server := range stack.S3 {
		b.Run(server.Name, func(b *testing.B) {
			o := s3test.Bucket(b, server, stack.CA)
			s, p := open(b, o), newPeers(b, o)
			var n blobs.Name
			before := func(b *testing.B) error {
				n = newName()
				return s.Put(b.Context(), n, bytes.NewReader([]byte("x")), 1)
			}
			alternate(b, []way{
				{name: "Delete", do: func(b *testing.B) error { return s.Delete(b.Context(), n) }, before: before},
				{name: "one-DELETE", do: func(b *testing.B) error {
					return p.core.RemoveObject(b.Context(), o.Bucket, n.String(), minio.RemoveObjectOptions{})
				}, before: before},
			})
		})
	}
}
