package s3_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"photovault/vault/blobs"
	"photovault/vault/blobs/s3"
	"photovault/vault/blobs/s3/s3test"
	"photovault/vault/vaulttest/devstack"
)

var (
	uuid      = `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`
	onlyIDs   = regexp.MustCompile(`^/pv-[a-z0-9]+/(?:clinic/(?:photos|staging)/` + uuid + `/` + uuid + `)?$`)
	signature = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=[A-Za-z0-9]+/\d{8}/eu-central-1/s3/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=[0-9a-f]{64}$`)
	// headers is all that a request may carry.
	headers = []string{"Accept-Encoding", "Authorization", "Content-Length", "Content-Type", "If-None-Match", "Range", "User-Agent", "X-Amz-Checksum-Algorithm", "X-Amz-Checksum-Mode",
		"X-Amz-Checksum-Sha256", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Decoded-Content-Length", "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date",
		"X-Amz-Server-Side-Encryption", "X-Amz-Trailer", "Content-Encoding", "X-Amz-Sdk-Checksum-Algorithm"}
	queries = []string{"delimiter", "encoding-type", "list-type", "location", "max-keys", "object-lock", "policyStatus", "prefix", "start-after", "versioning", "versions",
		"versionId", "continuation-token", "key-marker", "version-id-marker", "fetch-owner"}
)

// TestEveryRequest looks at all that goes out: each request is signed for the
// pinned region, over TLS, names ids only, and each PUT is conditional and
// carries its SHA-256, signed or behind the body.
func TestEveryRequest(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, ca string) {
		p, o := behind(t, devstack.Need(t), s3test.BucketWith(t, server, ca, s3test.Setup{ObjectLock: true}))
		o.Prefix = "clinic"
		if server.Name == "minio" { // which has a key for it
			o.Encryption = s3.SSES3
		}
		var mu sync.Mutex
		bodies := map[string][]byte{}
		record := func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				b, err := io.ReadAll(r.Body)
				if err != nil {
					return false
				}
				r.Body = io.NopCloser(bytes.NewReader(b))
				mu.Lock()
				bodies[r.Header.Get("Authorization")] = b
				mu.Unlock()
			}
			return false
		}
		p.harm(record, nil)
		s := open(t, o)
		n, large := newName(), newName()
		put(t, s, n, noise(1000))
		b := noise(9 << 20)
		if err := s.Put(t.Context(), large, stream(b), int64(len(b))); err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct{ off, n int64 }{{0, -1}, {0, 0}, {5, -1}, {5, 10}, {1000, -1}} {
			if _, err := got(s, t.Context(), n, x.off, x.n); err != nil {
				t.Error(err)
			}
		}
		if err := s.List(t.Context(), n.Practice, n.Area, func(blobs.Name, int64) error { return nil }); err != nil {
			t.Error(err)
		}
		for _, n := range []blobs.Name{n, large} {
			if err := s.Delete(t.Context(), n); err != nil {
				t.Error(err)
			}
		}
		if err := s.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		requests := p.requests()
		unsigned, puts, streams := 0, 0, 0
		for _, r := range requests {
			what := r.Method + " " + r.URL.String()
			if r.TLS == nil || r.TLS.Version < 0x0303 {
				t.Errorf("%s: not over TLS 1.2", what)
			}
			if !onlyIDs.MatchString(r.URL.Path) {
				t.Errorf("%s names more than ids", what)
			}
			for q, v := range r.URL.Query() {
				if !slices.Contains(queries, q) || q == "prefix" && !strings.HasPrefix(v[0], "clinic/") {
					t.Errorf("%s: query %s", what, q)
				}
			}
			for h := range r.Header {
				if !slices.Contains(headers, h) {
					t.Errorf("%s: header %s", what, h)
				}
			}
			if agent := r.Header.Get("User-Agent"); r.Header.Get("Authorization") != "" && !strings.HasPrefix(agent, "MinIO (") && agent != "Go-http-client/1.1" {
				t.Errorf("%s: %s", what, agent)
			}
			if r.Header.Get("Authorization") == "" {
				if unsigned++; r.Method != http.MethodGet {
					t.Errorf("%s is not signed", what)
				}
				continue
			}
			m := signature.FindStringSubmatch(r.Header.Get("Authorization"))
			if m == nil {
				t.Errorf("%s: signed otherwise", what)
				continue
			}
			signed := strings.Split(m[1], ";")
			for _, h := range []string{"host", "x-amz-content-sha256", "x-amz-date"} {
				if !slices.Contains(signed, h) {
					t.Errorf("%s: %s is not signed", what, h)
				}
			}
			payload := r.Header.Get("X-Amz-Content-Sha256")
			if r.Method != http.MethodPut {
				if payload != empty {
					t.Errorf("%s: payload %s", what, payload)
				}
				continue
			}
			puts++
			for _, h := range []string{"if-none-match", "content-type"} {
				if !slices.Contains(signed, h) {
					t.Errorf("%s: %s is not signed", what, h)
				}
			}
			if r.Header.Get("If-None-Match") != "*" || r.Header.Get("Content-Type") != "application/octet-stream" || r.ContentLength <= 0 {
				t.Errorf("%s: %v", what, r.Header)
			}
			body := bodies[r.Header.Get("Authorization")]
			if payload == "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
				streams++
				want := sha256.Sum256(b)
				if r.Header.Get("X-Amz-Trailer") != "x-amz-checksum-sha256" || !slices.Contains(signed, "x-amz-trailer") ||
					!bytes.Contains(body[len(body)-200:], []byte("x-amz-checksum-sha256:"+base64.StdEncoding.EncodeToString(want[:]))) {
					t.Errorf("%s: no checksum behind the body", what)
				}
				continue
			}
			digest := sha256.Sum256(body)
			if payload != hex.EncodeToString(digest[:]) || !slices.Contains(signed, "x-amz-checksum-sha256") {
				t.Errorf("%s: the payload is not what is signed", what)
			}
		}
		// Without a signature: one listing and one object of each area.
		if unsigned != 3 || puts < 8 || streams != 1 {
			t.Errorf("%d requests, of these %d unsigned, %d puts, %d streams", len(requests), unsigned, puts, streams)
		}
	})
}

const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestObjectsCarryNoMetadata(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, ca string) {
		o := s3test.Bucket(t, server, ca)
		s := open(t, o)
		for _, r := range []func([]byte) io.Reader{func(b []byte) io.Reader { return bytes.NewReader(b) }, stream} {
			n, b := newName(), noise(9<<20)
			if err := s.Put(t.Context(), n, r(b), int64(len(b))); err != nil {
				t.Fatal(err)
			}
			head := s3test.NewClient(t, o).Must(t, http.MethodHead, n.String(), "", http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}, nil).Header
			for h := range head {
				if strings.HasPrefix(h, "X-Amz-Meta-") || h == "Content-Disposition" || h == "X-Amz-Tagging-Count" ||
					h == "Content-Encoding" && head.Get(h) != "aws-chunked" { // of the transfer; versitygw keeps it
					t.Errorf("%s: %s", h, head.Get(h))
				}
			}
			sum := sha256.Sum256(b)
			if head.Get("Content-Type") != "application/octet-stream" || head.Get(checksum) != base64.StdEncoding.EncodeToString(sum[:]) {
				t.Errorf("type %s, checksum %s", head.Get("Content-Type"), head.Get(checksum))
			}
		}
	})
}

func TestEncryptionByTheServerIsAskedFor(t *testing.T) {
	server, ca := minioServer(t)
	for _, x := range []struct {
		how       s3.Encryption
		key, want string
	}{{s3.SSES3, "", "AES256"}, {s3.SSEKMS, "devstack", "aws:kms"}, {s3.SSEKMS, "", "aws:kms"}} {
		o := s3test.Bucket(t, server, ca)
		o.Encryption, o.KMSKey = x.how, x.key
		s := open(t, o)
		n, b := newName(), noise(100_000)
		put(t, s, n, b)
		head := s3test.NewClient(t, o).Must(t, http.MethodHead, n.String(), "", nil, nil).Header
		if how := head.Get("X-Amz-Server-Side-Encryption"); how != x.want {
			t.Errorf("%s: %q", x.how, how)
		}
		if back, err := got(s, t.Context(), n, 0, -1); err != nil || !bytes.Equal(back, b) {
			t.Errorf("%s: %d bytes back, %v", x.how, len(back), err)
		}
	}
}

// TestSourceIsLeftAloneAfterPut: a reader belongs to its owner again when Put
// has returned, also when the request has failed half-way.
func TestSourceIsLeftAloneAfterPut(t *testing.T) {
	stack := devstack.Need(t)
	p, s, o := troubled(t, stack.S3[0])
	p.harm(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			answer(w, http.StatusForbidden, "AccessDenied") // without having read
			return true
		}
		return false
	}, nil)
	for range 20 {
		b := noise(20 << 20)
		source := &counted{r: bytes.NewReader(b)}
		err := s.Put(t.Context(), newName(), source, int64(len(b)))
		discreet(t, o, "put", err)
		source.mu.Lock()
		source.over = true
		source.mu.Unlock()
		if source.late {
			t.Fatal("read after Put")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, newName(), &counted{r: bytes.NewReader(nil), over: true}, 10); err == nil {
		t.Error("cancelled, and no error")
	}
}

type counted struct {
	mu         sync.Mutex
	r          io.Reader
	over, late bool
}

func (c *counted) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = c.late || c.over
	return c.r.Read(p)
}
