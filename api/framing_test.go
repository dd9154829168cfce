package api_test

import (
	"fmt"
	"testing"
)

// A field that is there twice is read in two ways: by this service, and by
// whoever stands before it (RFC 9110 §5.3, threat 11).
func TestWhatDecidesStandsOnce(t *testing.T) {
	s := newStack(t)
	x := s.declare(s.consented(), small())
	up := s.create(x.Grant, len(x.sealed))
	for _, twice := range []string{"Authorization: Bearer " + s.token("provider"), "authorization: Bearer x", "Host: y", "Upload-Offset: 0", "upload_offset: 5",
		"Tus-Resumable: 0.2.2", "Content-Type: text/plain", "Content-Length: 10"} {
		w := s.dial(0)
		w.send(string(x.sealed[:10]), append(s.patchLines(up, x.Grant, 0, 10), twice)...)
		w.answer("PATCH").problem(400, "malformed_request")
		w.ended()
	}
	for _, twice := range []string{"Upload-Length: 9", "Upload-Concat: partial", "Upload-Checksum: sha1 AAAA"} {
		w := s.dial(0)
		w.send("", "POST /v1/uploads HTTP/1.1", "Host: x", "Authorization: Bearer "+x.Grant, "Tus-Resumable: 1.0.0", "Content-Length: 0",
			fmt.Sprintf("Upload-Length: %d", len(x.sealed)), "Upload-Concat: partial", "Upload-Checksum: sha1 AAAA", twice)
		w.answer("POST").problem(400, "malformed_request")
		w.ended()
	}
	if n := s.offset(up, x.Grant); n != 0 {
		t.Errorf("offset %d after refusals", n)
	}
}

func TestOnlyHTTP1IsSpoken(t *testing.T) {
	s := newStack(t)
	for _, version := range []string{"HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.7", "HTTP/1.10", "http/1.1"} {
		w := s.dial(0)
		w.send("", "GET /healthz "+version, "Host: x")
		w.answer("GET").problem(400, "malformed_request")
		w.ended()
	}
	w := s.dial(0)
	w.send("", "GET /healthz HTTP/1.0")
	w.answer("GET").ok(200)
}
