package api_test

import (
	"strconv"
	"testing"

	"photovault/vault"
)

// override is how a client asks whose network lets only POST through.
func override(method string) tweak { return header("X-HTTP-Method-Override", method) }

func TestAMethodMayBeOverriddenByPOST(t *testing.T) {
	s := newStack(t)
	octets := header("Content-Type", "application/offset+octet-stream")
	x := s.declare(s.consented(), small())
	up := s.create(x.Grant, len(x.sealed))
	half := len(x.sealed) / 2
	a := s.ask("POST", up, x.Grant, x.sealed[:half], tus, octets, header("Upload-Offset", "0"), override("PATCH")).ok(204)
	if got := a.header.Get("Upload-Offset"); got != strconv.Itoa(half) {
		t.Errorf("offset %s of %d", got, half)
	}
	for _, method := range []string{"", "HEAD", "GET", "POST", "PUT", "patch", "DELETE, PATCH"} {
		a := s.ask("POST", up, x.Grant, x.sealed[half:], tus, octets, header("Upload-Offset", strconv.Itoa(half)), override(method), odd)
		a.problem(405, "method_not_allowed")
		if a.header.Get("Allow") == "" {
			t.Errorf("%q: no Allow", method)
		}
	}
	other := s.declare(s.consented(), small())
	s.ask("POST", up, other.Grant, x.sealed[half:], tus, octets, header("Upload-Offset", strconv.Itoa(half)), override("PATCH")).problem(404, "not_found")
	s.ask("POST", up, other.Grant, nil, tus, override("DELETE")).problem(404, "not_found")
	s.ask("POST", up, x.Grant, x.sealed[half:], tus, octets, header("Upload-Offset", strconv.Itoa(half)), override("PATCH")).ok(204)
	s.await(x.Photo.ID, vault.Ready)

	up = s.create(other.Grant, len(other.sealed))
	s.ask("POST", up, other.Grant, nil, tus, override("DELETE")).ok(204)
	s.ask("HEAD", up, other.Grant, nil, tus).ok(404)

	// Nothing else is asked otherwise than by its own method.
	s.ask("GET", "/v1/photos/"+string(x.Photo.ID), s.token("privacy"), nil, override("DELETE")).ok(200)
	s.ask("GET", "/v1/photos/"+string(x.Photo.ID), s.token("provider"), nil).ok(200)
}

func TestACodedBodyIsNotTaken(t *testing.T) {
	s := newStack(t)
	x := s.declare(s.consented(), small())
	up := s.create(x.Grant, len(x.sealed))
	s.patch(up, x.Grant, 0, x.sealed, header("Content-Encoding", "gzip"), odd).problem(415, "media_type_unsupported")
	if n := s.offset(up, x.Grant); n != 0 {
		t.Errorf("offset %d after a refusal", n)
	}
}
