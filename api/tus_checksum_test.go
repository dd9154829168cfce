package api_test

import (
	"crypto/fips140"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"photovault/vault"
)

func checksum(algorithm string, body []byte) tweak {
	var sum []byte
	switch algorithm {
	case "sha256":
		d := sha256.Sum256(body)
		sum = d[:]
	case "sha1": // the test needs the exemption as much as the service
		fips140.WithoutEnforcement(func() { d := sha1.Sum(body); sum = d[:] })
	}
	return header("Upload-Checksum", algorithm+" "+base64.StdEncoding.EncodeToString(sum))
}

// A request with a checksum counts whole or not at all, whatever its size.
func TestTusChecksum(t *testing.T) {
	for _, algorithm := range []string{"sha256", "sha1"} {
		t.Run(algorithm, func(t *testing.T) {
			s := newStack(t)
			x := s.sealedBig() // three segments and a bit
			up := s.create(x.Grant, len(x.sealed))
			s.patch(up, x.Grant, 0, x.sealed[:1000], checksum(algorithm, x.sealed[:1000])).ok(204)
			s.patch(up, x.Grant, 1000, x.sealed[1000:], checksum(algorithm, x.sealed[:1000])).problem(460, "checksum_mismatch")
			if n := s.offset(up, x.Grant); n != 1000 {
				t.Fatalf("offset %d after a mismatch", n)
			}
			if n := s.staged(); n != 1 {
				t.Errorf("%d staged objects are left, want that of the first request", n)
			}
			s.patch(up, x.Grant, 1000, x.sealed[1000:], checksum(algorithm, x.sealed[1000:])).ok(204)
			s.receivedWhole(x)
		})
	}
}

func TestTusChecksumRefusals(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))
	for name, value := range map[string]string{
		"unknown algorithm": "md5 " + base64.StdEncoding.EncodeToString(make([]byte, 16)),
		"no digest":         "sha256",
		"short digest":      "sha256 " + base64.StdEncoding.EncodeToString(make([]byte, 31)),
		"not base64":        "sha256 !!!",
		"another case":      "SHA256 " + base64.StdEncoding.EncodeToString(make([]byte, 32)),
	} {
		t.Run(name, func(t *testing.T) {
			s.patch(up, x.Grant, 0, x.sealed[:10], header("Upload-Checksum", value)).problem(400, "checksum_unsupported")
			s.ask("POST", "/v1/uploads", x.Grant, nil, tus, header("Upload-Length", "10"), header("Upload-Checksum", value)).problem(400, "checksum_unsupported")
		})
	}
	if n := s.offset(up, x.Grant); n != 0 {
		t.Errorf("offset %d", n)
	}
}

// A body that breaks off keeps what arrived, but with a checksum nothing.
func TestACutPatchWithAChecksumKeepsNothing(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))
	sum := sha256.Sum256(x.sealed)
	line := "Upload-Checksum: sha256 " + base64.StdEncoding.EncodeToString(sum[:])
	w := s.dial(0)
	w.send(string(x.sealed[:2<<20]), append(s.patchLines(up, x.Grant, 0, len(x.sealed)), line)...)
	s.eventually("two segments are staged", func() bool { return s.staged() >= 1 })
	s.must(w.CloseWrite())
	w.answer("PATCH").problem(400, "body_incomplete")
	if n := s.offset(up, x.Grant); n != 0 {
		t.Errorf("offset %d", n)
	}
	if n := s.staged(); n != 0 {
		t.Errorf("%d staged objects are left", n)
	}
	// Chunked, whole, and right; then it is there.
	w = s.dial(0)
	lines := append(s.patchLines(up, x.Grant, 0, 0), line)
	lines[6] = "Transfer-Encoding: chunked"
	w.send(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(x.sealed), x.sealed), lines...)
	w.answer("PATCH").ok(204)
	s.receivedWhole(x)
}

// tus, Checksum: trailers are an extension of their own. One that is announced
// is not passed over, as if the bytes had been checked.
func TestAChecksumInATrailerIsRefused(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))
	w := s.dial(0)
	lines := slices.DeleteFunc(s.patchLines(up, x.Grant, 0, 5), func(l string) bool { return strings.HasPrefix(l, "Content-Length") })
	w.send("5\r\nabcde\r\n0\r\nUpload-Checksum: sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n", append(lines, "Transfer-Encoding: chunked", "Trailer: Upload-Checksum")...)
	w.answer("PATCH").problem(400, "checksum_unsupported")
	if n := s.offset(up, x.Grant); n != 0 {
		t.Errorf("offset %d", n)
	}
}

// A creation whose body fails its checksum made an upload, and nothing of it counts.
func TestACreationWithAChecksum(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	octets, length := header("Content-Type", "application/offset+octet-stream"), header("Upload-Length", strconv.Itoa(len(x.sealed)))
	a := s.ask("POST", "/v1/uploads", x.Grant, x.sealed[:5000], tus, octets, length, checksum("sha1", x.sealed[:4999])).ok(201)
	if got := a.header.Get("Upload-Offset"); got != "0" {
		t.Errorf("offset %s", got)
	}
	a = s.ask("POST", "/v1/uploads", x.Grant, x.sealed[:5000], tus, octets, length, checksum("sha1", x.sealed[:5000])).ok(201)
	if got := a.header.Get("Upload-Offset"); got != "5000" {
		t.Errorf("offset %s", got)
	}
}

// receivedWhole waits until ingest has looked at the file: it was sealed
// right, and is no photo.
func (s *stack) receivedWhole(x *shot) {
	s.Helper()
	if p := s.await(x.Photo.ID, vault.Rejected); p.RejectedCode != "unsupported_format" {
		s.Errorf("rejected as %s: what was put together is not what was sent", p.RejectedCode)
	}
}
