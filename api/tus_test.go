package api_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

// sealedBig is a sealed file of a few MiB that need not be a photo: what is
// in it is looked at only when it is whole.
func (s *stack) sealedBig() *shot {
	s.Helper()
	return s.declare(s.consented(), bytes.Repeat([]byte("0123456789abcdef"), 200_000))
}

func TestAnUploadComesInPieces(t *testing.T) {
	s := newStack(t)
	x := s.declare(s.consented(), small())
	up := s.create(x.Grant, len(x.sealed))
	if n := s.offset(up, x.Grant); n != 0 {
		t.Fatalf("offset %d", n)
	}
	third := len(x.sealed) / 3
	for _, at := range [][2]int{{0, third}, {third, 2 * third}, {2 * third, len(x.sealed)}} {
		a := s.patch(up, x.Grant, at[0], x.sealed[at[0]:at[1]]).ok(204)
		if a.header.Get("Upload-Offset") != strconv.Itoa(at[1]) {
			t.Errorf("offset %s after %d", a.header.Get("Upload-Offset"), at[1])
		}
	}
	s.await(x.Photo.ID, vault.Ready)
	receipt := into[vault.Receipt](s.ask("GET", "/v1/photos/"+string(x.Photo.ID)+"/receipt", s.token("provider"), nil), 200)
	if receipt.Findings.InputSHA256 != digest(small()) {
		t.Error("another photo is stored")
	}
}

func TestAnUploadMayBeginWithItsCreation(t *testing.T) {
	s := newStack(t)
	octets := header("Content-Type", "application/offset+octet-stream")
	whole := s.declare(s.consented(), small())
	a := s.ask("POST", "/v1/uploads", whole.Grant, whole.sealed, tus, octets, header("Upload-Length", strconv.Itoa(len(whole.sealed)))).ok(201)
	if a.header.Get("Upload-Offset") != strconv.Itoa(len(whole.sealed)) {
		t.Errorf("offset %s", a.header.Get("Upload-Offset"))
	}
	s.await(whole.Photo.ID, vault.Ready)

	begun := s.declare(s.consented(), small())
	a = s.ask("POST", "/v1/uploads", begun.Grant, begun.sealed[:500], tus, octets, header("Upload-Length", strconv.Itoa(len(begun.sealed)))).ok(201)
	s.patch(a.header.Get("Location"), begun.Grant, 500, begun.sealed[500:]).ok(204)
	s.await(begun.Photo.ID, vault.Ready)

	// A provider's own token names the photo.
	own := s.declare(s.consented(), small())
	up := s.create(s.token("provider"), len(own.sealed), namingPhoto(own.Photo.ID))
	s.patch(up, s.token("provider"), 0, own.sealed).ok(204)
	s.await(own.Photo.ID, vault.Ready)
}

func TestACreationThatBreaksOffKeepsWhatArrived(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	w := s.dial(0)
	w.send(string(x.sealed[:1<<20+77]), "POST /v1/uploads HTTP/1.1", "Host: x", "Authorization: Bearer "+x.Grant, "Tus-Resumable: 1.0.0",
		"Content-Type: application/offset+octet-stream", fmt.Sprintf("Upload-Length: %d", len(x.sealed)), fmt.Sprintf("Content-Length: %d", len(x.sealed)))
	s.must(w.CloseWrite())
	a := w.answer("POST").ok(201)
	if got := a.header.Get("Upload-Offset"); got != strconv.Itoa(1<<20+77) {
		t.Errorf("offset %s", got)
	}
	up := a.header.Get("Location")
	s.patch(up, x.Grant, s.offset(up, x.Grant), x.sealed[1<<20+77:]).ok(204)
}

func TestAChunkedPatchIsTakenUpToTheLength(t *testing.T) {
	s := newStack(t)
	x := s.declare(s.consented(), small())
	up := s.create(x.Grant, len(x.sealed))
	lines := s.patchLines(up, x.Grant, 0, 0)
	lines[len(lines)-1] = "Transfer-Encoding: chunked"
	w := s.dial(0)
	half := x.sealed[:len(x.sealed)/2]
	w.send(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(half), half), lines...)
	if got := w.answer("PATCH").ok(204).header.Get("Upload-Offset"); got != strconv.Itoa(len(half)) {
		t.Errorf("offset %s of %d", got, len(half))
	}
	w = s.dial(0)
	lines = s.patchLines(up, x.Grant, len(half), 0)
	lines[len(lines)-1] = "Transfer-Encoding: chunked"
	rest := string(x.sealed[len(half):])
	w.send(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(rest), rest), lines...)
	w.answer("PATCH").ok(204)
	s.await(x.Photo.ID, vault.Ready)
}

func TestAChunkedPatchThatIsTooLongDoesNotCompleteTheUpload(t *testing.T) {
	s := newStack(t)
	sum := func(b []byte) string {
		d := sha256.Sum256(b)
		return "Upload-Checksum: sha256 " + base64.StdEncoding.EncodeToString(d[:])
	}
	for _, checked := range []bool{false, true} {
		for _, x := range []*shot{s.declare(s.consented(), small()), s.sealedBig()} {
			up := s.create(x.Grant, len(x.sealed))
			send := func(offset int, body []byte) answer {
				lines := s.patchLines(up, x.Grant, offset, 0)
				lines[len(lines)-1] = "Transfer-Encoding: chunked"
				if checked {
					lines = append(lines, sum(body))
				}
				w := s.dial(0)
				w.send(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body), lines...)
				return w.answer("PATCH")
			}
			send(0, append(x.sealed[:len(x.sealed):len(x.sealed)], 'x')).problem(413, "too_large")
			at := s.offset(up, x.Grant)
			if at == len(x.sealed) || checked && at != 0 {
				t.Errorf("checked %v: %d bytes of %d count", checked, at, len(x.sealed))
			}
			send(at, x.sealed[at:]).ok(204)
		}
	}
}

func TestTusRefusals(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))
	s.patch(up, x.Grant, 0, x.sealed[:1000]).ok(204)
	length := header("Upload-Length", strconv.Itoa(len(x.sealed)))

	s.patch(up, x.Grant, 0, x.sealed[:1000]).problem(409, "offset_mismatch")
	s.patch(up, x.Grant, 999, x.sealed[999:]).problem(409, "offset_mismatch")
	s.patch(up, x.Grant, 1000, append(x.sealed[1000:len(x.sealed):len(x.sealed)], 0)).problem(413, "too_large")
	s.patch(up, x.Grant, -1, x.sealed[:10], odd).problem(400, "malformed_request")
	for _, offset := range []string{"many", "+1000", "01000", "1000.0", "0x3e8", "9223372036854775808"} {
		s.patch(up, x.Grant, 0, x.sealed[1000:1010], header("Upload-Offset", offset), odd).problem(400, "malformed_request")
	}
	s.patch(up, x.Grant, 1000, x.sealed[1000:1010], header("Content-Type", "image/jpeg"), odd).problem(415, "media_type_unsupported")
	for _, version := range []string{"", "0.2.2", "1.0.1"} {
		no := header("Tus-Resumable", version)
		s.patch(up, x.Grant, 1000, x.sealed[1000:1010], no, odd).problem(412, "tus_version_unsupported")
		s.ask("HEAD", up, x.Grant, nil, no, odd).ok(412)
		s.ask("DELETE", up, x.Grant, nil, no, odd).problem(412, "tus_version_unsupported")
		s.ask("POST", "/v1/uploads", x.Grant, nil, length, no, odd).problem(412, "tus_version_unsupported")
	}
	if n := s.offset(up, x.Grant); n != 1000 {
		t.Errorf("offset %d after refusals", n)
	}
	for _, c := range []struct {
		length, code string
		status       int
	}{{"", "upload_length_required", 422}, {"0", "field_invalid", 422}, {"-5", "upload_length_required", 422},
		{"+5", "upload_length_required", 422}, {"05", "upload_length_required", 422}, {"1e6", "upload_length_required", 422}, {strconv.Itoa(64<<20 + 1), "too_large", 413}} {
		s.ask("POST", "/v1/uploads", x.Grant, nil, tus, header("Upload-Length", c.length), odd).problem(c.status, c.code)
	}
	s.ask("POST", "/v1/uploads", x.Grant, nil, tus, header("Upload-Defer-Length", "1"), odd).problem(422, "upload_length_required")
	provider := s.token("provider")
	s.ask("POST", "/v1/uploads", provider, nil, tus, length).problem(422, "photo_required")
	s.ask("POST", "/v1/uploads", provider, nil, tus, length, header("Upload-Metadata", "photo !!!")).problem(400, "malformed_request")
	s.ask("POST", "/v1/uploads", provider, nil, tus, length, header("Upload-Metadata", "photo eA==")).problem(404, "not_found")
	// Requests refused above left the offset and the upload alone.
	s.patch(up, x.Grant, 1000, x.sealed[1000:]).ok(204)
	if o := s.ask("OPTIONS", "/v1/uploads", "", nil).ok(204); o.header.Get("Tus-Version") != "1.0.0" ||
		o.header.Get("Tus-Extension") != "creation,creation-with-upload,termination,expiration,checksum,concatenation" ||
		o.header.Get("Tus-Checksum-Algorithm") != "sha256,sha1" {
		t.Errorf("%v", o.header)
	}
}

// tus, Creation: a HEAD tells the metadata and the parts as the client named them.
func TestWhatAClientSaidIsToldAgain(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	const metadata = "filename YmVmb3JlLmpwZw==,is_confidential,empty "
	up := s.create(x.Grant, len(x.sealed), header("Upload-Metadata", metadata+",size MTI="))
	if got := s.ask("HEAD", up, x.Grant, nil, tus).ok(200).header.Get("Upload-Metadata"); got != metadata+",size MTI=" {
		t.Errorf("metadata %q", got)
	}
	var parts []string
	for _, half := range [][]byte{x.sealed[:1000], x.sealed[1000:]} {
		parts = append(parts, "https://vault.clinic.example"+s.part(x.Grant, half))
	}
	final := s.final(x.Grant, parts...).ok(201).header.Get("Location")
	h := s.ask("HEAD", final, x.Grant, nil, tus).ok(200).header
	if got := h.Get("Upload-Concat"); got != "final;"+strings.Join(parts, " ") {
		t.Errorf("concat %q", got)
	}
	if h.Get("Upload-Metadata") != "" {
		t.Errorf("metadata that was not given: %q", h.Get("Upload-Metadata"))
	}
	y := s.sealedBig()
	for _, bad := range []string{"filename !!!", "a YQ==,a Yg==", "a YQ==,", "a  YQ==", "a YQ== b", "a YQ", "ä YQ=="} {
		s.ask("POST", "/v1/uploads", y.Grant, nil, tus, header("Upload-Length", "10"), header("Upload-Metadata", bad), odd).problem(400, "malformed_request")
	}
}

// Threat 8: who is not the owner cannot tell an upload from none.
func TestAForeignUploadIsAsOneThatIsNot(t *testing.T) {
	s := newStack(t)
	x, y := s.sealedBig(), s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))
	s.create(y.Grant, len(y.sealed))
	s.patch(up, x.Grant, 0, x.sealed[:4096]).ok(204)
	missing := "/v1/uploads/" + string(id.New[id.Upload]())
	_, colleague := s.account("provider")
	for who, token := range map[string]string{"another grant": y.Grant, "another provider": colleague, "marketing": s.token("marketing"),
		"the administrator": s.token("admin"), "an EMR": s.token("emr")} {
		for name, do := range map[string]func(path string, more ...tweak) answer{
			"HEAD":   func(p string, more ...tweak) answer { return s.ask("HEAD", p, token, nil, append(more, tus)...) },
			"PATCH":  func(p string, more ...tweak) answer { return s.patch(p, token, 4096, x.sealed[4096:], more...) },
			"DELETE": func(p string, more ...tweak) answer { return s.ask("DELETE", p, token, nil, append(more, tus)...) },
		} {
			foreign, none := do(up).ok(404), do(missing).ok(404)
			if same(foreign, none) != "" {
				t.Errorf("%s as %s: %s", name, who, same(foreign, none))
			}
			if malformed := do("/v1/uploads/nonsense", odd); same(malformed, none) != "" {
				t.Errorf("%s as %s of a malformed id: %s", name, who, same(malformed, none))
			}
		}
		a := s.ask("POST", "/v1/uploads", token, nil, tus, header("Upload-Length", "1000"), namingPhoto(x.Photo.ID))
		if who != "another grant" && a.status != 404 { // a grant begins its own photo's upload, whatever is named
			t.Errorf("creation as %s: %d", who, a.status)
		}
	}
	if n := s.offset(up, x.Grant); n != 4096 {
		t.Errorf("offset %d", n)
	}
	s.patch(up, x.Grant, 4096, x.sealed[4096:]).ok(204)
}

// same says how two answers differ, but for their date.
func same(a, b answer) string {
	if a.status != b.status || !bytes.Equal(a.body, b.body) {
		return fmt.Sprintf("%d %.300q | %d %.300q", a.status, a.body, b.status, b.body)
	}
	clean := func(h http.Header) string {
		h = h.Clone()
		h.Del("Date")
		var text strings.Builder
		_ = h.Write(&text)
		return text.String()
	}
	if clean(a.header) != clean(b.header) {
		return clean(a.header) + "|" + clean(b.header)
	}
	return ""
}

func TestAnUploadExpires(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))
	s.clock.advance(23 * time.Hour)
	s.patch(up, x.Grant, 0, x.sealed[:1000]).ok(204) // each byte moves the end
	s.clock.advance(23 * time.Hour)
	s.patch(up, x.Grant, 1000, x.sealed[1000:2000]).ok(204)
	s.clock.advance(25 * time.Hour)
	s.ask("HEAD", up, x.Grant, nil, tus).ok(410)
	s.patch(up, x.Grant, 2000, x.sealed[2000:]).problem(410, "upload_gone")
	s.ask("DELETE", up, x.Grant, nil, tus).problem(410, "upload_gone")
	swept, err := s.service.Sweep(t.Context())
	s.must(err)
	if swept.Uploads != 1 || swept.Objects < 2 {
		t.Errorf("swept %+v", swept)
	}
	s.ask("HEAD", up, x.Grant, nil, tus).ok(404)
	up = s.create(x.Grant, len(x.sealed)) // the photo can be uploaded anew
	s.patch(up, x.Grant, 0, x.sealed).ok(204)
}

func TestAGrantExpires(t *testing.T) {
	s := newStack(t)
	x := s.declare(s.consented(), small())
	s.clock.advance(29 * 24 * time.Hour) // as long as an offline tablet may need
	up := s.create(x.Grant, len(x.sealed))
	s.clock.advance(2 * 24 * time.Hour)
	s.patch(up, x.Grant, 0, x.sealed).problem(401, "unauthenticated")
}

func TestAGrantEndsWithItsAccount(t *testing.T) {
	s := newStack(t)
	token := s.token("provider")
	x := s.declare(s.consented(), small())
	up := s.create(x.Grant, len(x.sealed))
	accounts := into[api.AccountList](s.ask("GET", "/v1/accounts", s.token("admin"), nil), 200).Accounts
	for _, a := range accounts {
		if a.Role == consent.Provider {
			s.ask("DELETE", "/v1/accounts/"+string(a.ID), s.token("admin"), nil).ok(204)
		}
	}
	s.patch(up, x.Grant, 0, x.sealed).problem(401, "unauthenticated")
	s.ask("GET", "/v1/photos/"+string(x.Photo.ID), token, nil).problem(401, "unauthenticated")
}

// Who sends when the account ends does not add the photo with a request that
// began before, however long it takes.
func TestAPatchThatOutlastsItsAccountAddsNoPhoto(t *testing.T) {
	s := newStack(t)
	who, token := s.account("provider")
	x := s.declareAs(token, s.consented())
	x.sealed = s.seal(id.Capture(x.in.Capture), bytes.Repeat([]byte("0123456789abcdef"), 200_000))
	up := s.create(x.Grant, len(x.sealed))
	w := s.stalled(up, x.Grant, x.sealed, 1<<20)
	s.ask("DELETE", "/v1/accounts/"+string(who), s.token("admin"), nil).ok(204)
	_, err := w.Write(x.sealed[1<<20:])
	s.must(err)
	w.answer("PATCH").problem(404, "not_found")
	s.await(x.Photo.ID, vault.Receiving)
}

// Promise P7: a PATCH that is cut keeps what arrived.
func TestACutPatchKeepsWhatArrived(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s := newStack(t)
	x := s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))

	// The sender's side ends: exactly what was sent is kept.
	k := 1 + rnd.IntN(1<<20)
	w := s.dial(0)
	w.send(string(x.sealed[:k]), s.patchLines(up, x.Grant, 0, len(x.sealed))...)
	s.must(w.CloseWrite())
	w.answer("PATCH").problem(400, "body_incomplete")
	if n := s.offset(up, x.Grant); n != k {
		t.Errorf("%d of the %d bytes that arrived are kept", n, k)
	}

	// The connection breaks at some byte, after a segment went through.
	from := k
	w = s.dial(0)
	w.send(string(x.sealed[from:from+1<<20]), s.patchLines(up, x.Grant, from, len(x.sealed)-from)...)
	s.eventually("the first MiB is durable while the request runs", func() bool { return s.offset(up, x.Grant) >= from+1<<20 })
	more := from + 1<<20 + 1 + rnd.IntN(len(x.sealed)-from-1<<20-1)
	_, err := w.Write(x.sealed[from+1<<20 : more])
	s.must(err)
	w.abort()
	// Whoever goes on is told to wait until the broken request has ended.
	var last answer
	s.eventually("the broken request ends", func() bool {
		at := s.offset(up, x.Grant)
		if at > more {
			t.Fatalf("offset %d, %d were sent", at, more)
		}
		last = s.patch(up, x.Grant, at, x.sealed[at:])
		return last.status != 423 && last.status != 409
	})
	last.ok(204)
	if s.offset(up, x.Grant) != len(x.sealed) {
		t.Error("not whole")
	}
}

func TestOneCompletedUploadPerPhoto(t *testing.T) {
	s := newStack(t)
	x := s.declare(s.consented(), small())
	up := s.create(x.Grant, len(x.sealed))
	s.patch(up, x.Grant, 0, x.sealed).ok(204)
	s.await(x.Photo.ID, vault.Ready)
	s.ask("POST", "/v1/uploads", x.Grant, nil, tus, header("Upload-Length", strconv.Itoa(len(x.sealed)))).problem(409, "already_received")
	// A replay of the last bytes adds nothing.
	if a := s.patch(up, x.Grant, 0, x.sealed); a.status != 409 && a.status != 404 {
		t.Errorf("a replayed PATCH is answered %d", a.status)
	}
	if a := s.ask("DELETE", up, x.Grant, nil, tus); a.status != 404 {
		t.Errorf("cancelling what has arrived is answered %d", a.status)
	}

	// A replayed declaration returns what has become of it, and a further grant.
	again := into[api.PhotoDeclared](s.ask("POST", "/v1/photos", s.token("provider"), x.in), 201)
	if again.Photo.ID != x.Photo.ID || again.Photo.State != vault.Ready || again.Grant == x.Grant {
		t.Errorf("declared again: %+v", again)
	}
	other := x.in
	other.Patient = string(s.consented())
	s.ask("POST", "/v1/photos", s.token("provider"), other).problem(409, "capture_differs")
}

func TestAnIdempotentDeclarationGivesWorkingGrants(t *testing.T) {
	s := newStack(t)
	x := s.declare(s.consented(), small())
	again := into[api.PhotoDeclared](s.ask("POST", "/v1/photos", s.token("provider"), x.in), 201)
	if again.Photo.ID != x.Photo.ID || again.Photo.State != vault.Declared {
		t.Fatalf("%+v", again.Photo)
	}
	up := s.create(x.Grant, len(x.sealed))
	s.patch(up, again.Grant, 0, x.sealed[:100]).ok(204) // either grant is the photo's
	s.patch(up, x.Grant, 100, x.sealed[100:]).ok(204)
	s.await(x.Photo.ID, vault.Ready)
}

func TestACancelledUploadCanBeginAnew(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))
	s.patch(up, x.Grant, 0, x.sealed[:5000]).ok(204)
	s.ask("DELETE", up, x.Grant, nil, tus).ok(204)
	s.ask("HEAD", up, x.Grant, nil, tus).ok(404)
	s.ask("DELETE", up, x.Grant, nil, tus).problem(404, "not_found")
	s.await(x.Photo.ID, vault.Declared)

	first := s.create(x.Grant, len(x.sealed))
	second := s.create(x.Grant, len(x.sealed)) // ends the older, unfinished one
	s.ask("HEAD", first, x.Grant, nil, tus).ok(404)
	s.patch(second, x.Grant, 0, x.sealed).ok(204)
}

func TestWhatIsNoPhotoIsRejectedWithACode(t *testing.T) {
	s := newStack(t)
	send := func(x *shot) api.Photo {
		s.Helper()
		up := s.create(x.Grant, len(x.sealed))
		s.patch(up, x.Grant, 0, x.sealed).ok(204)
		return s.await(x.Photo.ID, vault.Rejected)
	}
	patient := s.consented()
	text := s.declare(patient, []byte("this is no photo"))
	if p := send(text); p.RejectedCode != "unsupported_format" {
		t.Errorf("text: %s", p.RejectedCode)
	}
	garbage := s.declare(patient, nil)
	garbage.sealed = bytes.Repeat([]byte("garbage!"), 100)
	if p := send(garbage); p.RejectedCode != "envelope_malformed" {
		t.Errorf("garbage: %s", p.RejectedCode)
	}
	flipped := s.declare(patient, small())
	flipped.sealed[len(flipped.sealed)/2] ^= 1
	if p := send(flipped); p.RejectedCode != "envelope_refused" {
		t.Errorf("flipped: %s", p.RejectedCode)
	}
	// Threat 1: what was sealed for one capture is not another's photo.
	swapped, donor := s.declare(patient, small()), s.declare(patient, small())
	swapped.sealed = donor.sealed
	p := send(swapped)
	if p.RejectedCode != "envelope_refused" {
		t.Errorf("swapped: %s", p.RejectedCode)
	}
	s.ask("POST", "/v1/photos/"+string(p.ID)+"/tokens", s.token("provider"), api.NewToken{Purpose: consent.ForCare}).problem(403, "photo_not_ready")
	s.ask("GET", "/v1/photos/"+string(p.ID)+"/receipt", s.token("provider"), nil).problem(404, "not_found")
}
