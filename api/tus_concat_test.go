package api_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"photovault/vault"
	"photovault/vault/blobs"
	"photovault/vault/id"
)

// staged counts the objects of uploads in the store.
func (s *stack) staged() int {
	s.Helper()
	n := 0
	s.must(s.blobs.List(s.Context(), s.practice, blobs.Staging, func(blobs.Name, int64) error { n++; return nil }))
	return n
}

var partial = header("Upload-Concat", "partial")

// part begins and fills a partial upload.
func (s *stack) part(grant string, bytes []byte) string {
	s.Helper()
	up := s.create(grant, len(bytes), partial)
	s.patch(up, grant, 0, bytes).ok(204)
	return up
}

func (s *stack) final(grant string, parts ...string) answer {
	s.Helper()
	return s.ask("POST", "/v1/uploads", grant, nil, tus, header("Upload-Concat", "final;"+strings.Join(parts, " ")))
}

func TestTusConcatenation(t *testing.T) {
	s := newStack(t)
	x := s.declare(s.consented(), small())
	third := len(x.sealed) / 3
	pieces := [][]byte{x.sealed[:third], x.sealed[third : 2*third], x.sealed[2*third:]}
	ups := make([]string, 3)
	var wg sync.WaitGroup
	for i, piece := range pieces {
		ups[i] = s.create(x.Grant, len(piece), partial)
	}
	for i, piece := range pieces { // at the same time, as clients do it
		wg.Go(func() { s.patch(ups[i], x.Grant, 0, piece).ok(204) })
	}
	wg.Wait()
	if a := s.ask("HEAD", ups[0], x.Grant, nil, tus).ok(200); a.header.Get("Upload-Concat") != "partial" {
		t.Errorf("%v", a.header)
	}
	s.await(x.Photo.ID, vault.Receiving)
	named := []string{"https://" + s.address + ups[0], ups[1], "https://else.example" + ups[2]}
	a := s.final(x.Grant, named...).ok(201)
	final := a.header.Get("Location")
	h := s.ask("HEAD", final, x.Grant, nil, tus).ok(200).header
	if h.Get("Upload-Concat") != "final;"+strings.Join(named, " ") || h.Get("Upload-Offset") != strconv.Itoa(len(x.sealed)) ||
		h.Get("Upload-Length") != h.Get("Upload-Offset") {
		t.Errorf("%v", h)
	}
	s.patch(final, x.Grant, len(x.sealed), []byte("x")).problem(403, "upload_final")
	s.patch(final, x.Grant, 0, []byte("x")).problem(403, "upload_final")
	s.await(x.Photo.ID, vault.Ready)
	// A client that missed the answer finds its parts and asks again.
	if n := s.offset(ups[1], x.Grant); n != third {
		t.Errorf("offset %d of a part that was taken in", n)
	}
	if again := s.final(x.Grant, ups...).ok(201).header.Get("Location"); again != final {
		t.Errorf("another upload was made: %s after %s", again, final)
	}
	s.ask("DELETE", ups[0], x.Grant, nil, tus).problem(404, "not_found")
	receipt := into[vault.Receipt](s.ask("GET", "/v1/photos/"+string(x.Photo.ID)+"/receipt", s.token("provider"), nil), 200)
	if receipt.Findings.InputSHA256 != digest(small()) {
		t.Error("another photo is stored")
	}
	s.eventually("the segments are gone", func() bool { return s.staged() == 0 })
}

func TestTusConcatenationRefusals(t *testing.T) {
	s := newStack(t)
	x, y := s.sealedBig(), s.sealedBig()
	half := len(x.sealed) / 2
	one, two := s.part(x.Grant, x.sealed[:half]), s.create(x.Grant, len(x.sealed)-half, partial)
	theirs := s.part(y.Grant, y.sealed)
	other := s.sealedBig()
	whole := s.create(other.Grant, len(other.sealed))
	s.patch(whole, other.Grant, 0, other.sealed[:10]).ok(204)
	s.final(other.Grant, whole).problem(404, "not_found") // not partial
	s.final(x.Grant, one, two).problem(409, "upload_unfinished")
	s.patch(two, x.Grant, 0, x.sealed[half:]).ok(204)
	s.final(x.Grant, one, theirs).problem(404, "not_found")
	s.final(x.Grant, one, "/v1/uploads/"+string(id.New[id.Upload]())).problem(404, "not_found")
	s.final(x.Grant, one, "/v1/uploads/nonsense").problem(404, "not_found")
	s.final(x.Grant, one, one).problem(422, "field_invalid")
	for _, bad := range []string{"final;", "final; ", "final;/v1/photos/x", "final;" + one + "?x=1", "final", "final " + one, "Partial", "partial;"} {
		s.ask("POST", "/v1/uploads", x.Grant, nil, tus, header("Upload-Concat", bad), header("Upload-Length", "10"), odd).problem(422, "upload_concat_invalid")
	}
	s.ask("POST", "/v1/uploads", x.Grant, nil, tus, header("Upload-Concat", "final;"+one), header("Upload-Length", "10")).problem(422, "upload_concat_invalid")
	// Together they would be too long.
	a := s.create(y.Grant, 64<<20, partial)
	s.final(y.Grant, theirs, a).problem(413, "too_large")
	// Nothing of this did harm.
	s.final(x.Grant, one, two).ok(201)
	s.receivedWhole(x)
}

// Parts stand beside each other, a whole upload ends them, and they end it.
func TestPartsAndWholeUploadsOfAPhoto(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	whole := s.create(x.Grant, len(x.sealed))
	one := s.part(x.Grant, x.sealed[:1000])
	s.ask("HEAD", whole, x.Grant, nil, tus).ok(404)
	for range vault.MaxParts - 1 {
		s.create(x.Grant, 100, partial)
	}
	s.ask("HEAD", one, x.Grant, nil, tus).ok(200)
	s.create(x.Grant, 100, partial)
	s.ask("HEAD", one, x.Grant, nil, tus).ok(404) // the oldest
	whole = s.create(x.Grant, len(x.sealed))
	s.patch(whole, x.Grant, 0, x.sealed).ok(204)
	s.receivedWhole(x)
}

func TestPartsExpireAndCanBeCancelled(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	one := s.part(x.Grant, x.sealed[:1000])
	two := s.part(x.Grant, x.sealed[1000:])
	s.ask("DELETE", one, x.Grant, nil, tus).ok(204)
	s.await(x.Photo.ID, vault.Receiving)
	s.final(x.Grant, one, two).problem(404, "not_found")
	s.clock.advance(25 * time.Hour)
	s.final(x.Grant, two).problem(410, "upload_gone")
	swept, err := s.service.Sweep(t.Context())
	s.must(err)
	if swept.Uploads != 1 {
		t.Errorf("swept %+v", swept)
	}
	s.await(x.Photo.ID, vault.Declared)
	if n := s.staged(); n != 0 {
		t.Errorf("%d staged objects are left", n)
	}
}
