package api_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
)

// hidden is a request that stands in another's body. Its answer must never be
// seen: that body is not the next request (threat 11).
const hidden = "GET /v1/openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n"

// nextAnswer reads what follows a trap: the answer to the probe that was sent
// after it, or the end of the connection. Anything else is a desync.
func (w *wire) nextAnswer(name string) {
	w.s.Helper()
	a, ok := w.next("GET")
	if !ok {
		w.s.Logf("%s: the connection ended", name)
		return
	}
	if a.status != 200 || !strings.Contains(string(a.body), `"status":"ok"`) {
		w.s.Errorf("%s: what was hidden in the body was taken for a request: %d %.100s", name, a.status, a.body)
	}
}

// probe is sent after a trap; writing fails if the connection is gone already.
func (w *wire) probe() { _, _ = io.WriteString(w.Conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") }

func TestAnUnreadBodyIsNotTheNextRequest(t *testing.T) {
	s := newStack(t)
	x := s.declare(s.consented(), small())
	up := s.create(x.Grant, len(x.sealed))
	length := fmt.Sprintf("Content-Length: %d", len(hidden))
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	provider := "Authorization: Bearer " + s.token("provider")
	for _, c := range []struct {
		name   string
		status int
		lines  []string
	}{
		{"401 before the body", 401, []string{"POST /v1/accounts HTTP/1.1", "Authorization: Bearer nonsense"}},
		{"401 of an upload", 401, []string{"PATCH " + up + " HTTP/1.1", "Tus-Resumable: 1.0.0"}},
		{"a GET with a body", 413, []string{"GET /readyz HTTP/1.1"}},
		{"a HEAD with a body", 413, []string{"HEAD /v1/content HTTP/1.1"}},
		{"OPTIONS with a body", 413, []string{"OPTIONS /v1/uploads HTTP/1.1"}},
		{"DELETE with a body", 413, []string{"DELETE " + up + " HTTP/1.1", provider, "Tus-Resumable: 1.0.0"}},
		{"no such path", 404, []string{"POST /nowhere HTTP/1.1"}},
		{"no such path, GET", 404, []string{"GET /nowhere HTTP/1.1"}},
		{"no such method", 405, []string{"PUT /v1/photos HTTP/1.1"}},
		{"an invented method", 405, []string{"BREW /v1/photos HTTP/1.1"}},
		{"a wrong offset", 409, []string{"PATCH " + up + " HTTP/1.1", "Authorization: Bearer " + x.Grant, "Tus-Resumable: 1.0.0",
			"Content-Type: application/offset+octet-stream", "Upload-Offset: 7"}},
		{"no tus version", 412, []string{"PATCH " + up + " HTTP/1.1", "Authorization: Bearer " + x.Grant}},
		{"another media type", 415, []string{"PATCH " + up + " HTTP/1.1", "Authorization: Bearer " + x.Grant, "Tus-Resumable: 1.0.0"}},
		{"not JSON", 400, []string{"POST /v1/patients HTTP/1.1", provider}},
		{"a form", 400, []string{"POST /v1/patients HTTP/1.1", provider, "Content-Type: multipart/form-data; boundary=x"}},
		{"no path", 400, []string{"GET  HTTP/1.1"}},
	} {
		for _, framing := range []struct{ name, line, body string }{{"length", length, hidden}, {"chunks", "Transfer-Encoding: chunked", chunked}} {
			name := c.name + ", by " + framing.name
			w := s.dial(0)
			w.send(framing.body, append(c.lines, "Host: x", framing.line)...)
			w.probe()
			method, _, _ := strings.Cut(c.lines[0], " ")
			if a := w.answer(method); a.status != c.status && a.status != 413 && a.status != 501 {
				t.Errorf("%s: %d, %d wanted: %.200s", name, a.status, c.status, a.body)
			}
			w.nextAnswer(name)
			_ = w.Close()
		}
	}
	if n := s.offset(up, x.Grant); n != 0 {
		t.Errorf("offset %d", n)
	}
}

// A client that is still sending gets to see the answer, and one that stops in
// the middle is answered nevertheless. In particular a form is not read whole,
// into files, before anybody asked who sends it.
func TestAnEarlyAnswerIsSeen(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))
	w := s.dial(0)
	w.send(string(x.sealed), s.patchLines(up, x.Grant, 5, len(x.sealed))...)
	w.answer("PATCH").problem(409, "offset_mismatch")

	begun := fmt.Sprintf("%x\r\n--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n%s", 1<<20, strings.Repeat("a", 16<<10))
	for name, lines := range map[string][]string{
		"an upload":              {"POST /v1/uploads HTTP/1.1", "Content-Length: 60000000"},
		"chunks":                 {"POST /v1/uploads HTTP/1.1", "Transfer-Encoding: chunked"},
		"more than is ever read": {"POST /v1/patients HTTP/1.1", "Content-Length: 99999999999"},
		"a form":                 {"POST /v1/uploads HTTP/1.1", "Content-Length: 60000000", "Content-Type: multipart/form-data; boundary=x"},
	} {
		w := s.dial(0)
		began := time.Now()
		w.send(begun, append(lines, "Host: x")...)
		a := w.answer("POST")
		if a.status != 401 && a.status != 413 {
			t.Errorf("%s: %d", name, a.status)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: answered after %v", name, took)
		}
		w.ended()
	}
}

// Requests whose end two readers could see in two places are refused and end
// the connection (RFC 9112 §6.1, §6.3, §11.2).
func TestAmbiguousFramingIsRefused(t *testing.T) {
	s := newStack(t)
	token := "Authorization: Bearer " + s.token("provider")
	chunked := fmt.Sprintf("0\r\n\r\n%s", hidden)
	for name, lines := range map[string][]string{
		"length and chunks":           {"Content-Length: 4", "Transfer-Encoding: chunked"},
		"chunks and length":           {"Transfer-Encoding: chunked", "Content-Length: 4"},
		"two lengths":                 {"Content-Length: 4", fmt.Sprintf("Content-Length: %d", len(chunked))},
		"two lengths in one line":     {"Content-Length: 4, 5"},
		"a length with a sign":        {"Content-Length: +4"},
		"a negative length":           {"Content-Length: -4"},
		"a length in hexadecimal":     {"Content-Length: 0x4"},
		"a length with a space in it": {"Content-Length: 4 4"},
		"an unknown coding":           {"Transfer-Encoding: cow"},
		"chunked not last":            {"Transfer-Encoding: chunked, identity"},
		"chunked twice":               {"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"},
		"a space before the colon":    {"Transfer-Encoding : chunked"},
		"a folded line":               {"X: a", " Transfer-Encoding: chunked"},
		"a name with a line feed":     {"X\nTransfer-Encoding: chunked"},
		"a zero byte":                 {"X: a\x00b"},
		"a line without a colon":      {"Transfer-Encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.dial(0)
			w.send(chunked, append([]string{"POST /v1/patients/find HTTP/1.1", "Host: x", token}, lines...)...)
			w.probe()
			a, ok := w.next("POST")
			if !ok {
				return
			}
			if a.status/100 != 4 && a.status != 501 {
				t.Errorf("answered %d %.100s", a.status, a.body)
			}
			rest, _ := io.ReadAll(w.in)
			if strings.Contains(string(rest), "openapi") {
				t.Errorf("the hidden request was answered: %.200s", rest)
			}
		})
	}
}

func TestMalformedChunksEndTheConnection(t *testing.T) {
	s := newStack(t)
	for name, body := range map[string]string{
		"a size that is none":  "zz\r\n" + hidden,
		"a negative size":      "-1\r\n" + hidden,
		"a size that overruns": "ffffffffffffffffff\r\n" + hidden,
		"a chunk without end":  "4\r\nabcdX" + hidden,
		"a bare line feed":     "4\nabcd\n0\n\n" + hidden,
	} {
		w := s.dial(0)
		w.send(body, "POST /v1/patients/find HTTP/1.1", "Host: x", "Authorization: Bearer "+s.token("provider"), "Transfer-Encoding: chunked")
		s.must(w.CloseWrite())
		all, _ := io.ReadAll(w.in)
		if strings.Contains(string(all), "openapi: 3.1") {
			t.Errorf("%s: the hidden request was answered", name)
		}
		if strings.Count(string(all), "HTTP/1.1 ") > 1 {
			t.Errorf("%s: more than one answer: %.600s", name, all)
		}
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	s := newStack(t)
	token := "Authorization: Bearer " + s.token("front-desk")
	create := func(n string) string {
		body := fmt.Sprintf(`{"record_number":%q}`, n)
		return strings.Join([]string{"POST /v1/patients HTTP/1.1", "Host: x", token, "Content-Type: application/json",
			fmt.Sprintf("Content-Length: %d", len(body)), "", body}, "\r\n")
	}
	w := s.dial(0)
	_, err := io.WriteString(w.Conn, create("A-1")+"GET /v1/nowhere HTTP/1.1\r\nHost: x\r\n\r\n"+create("A-2")+
		"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"+create("A-1"))
	s.must(err)
	if p := into[api.Patient](w.answer("POST"), 201); p.RecordNumber != "A-1" {
		t.Errorf("first: %+v", p)
	}
	w.answer("GET").problem(404, "not_found")
	if p := into[api.Patient](w.answer("POST"), 201); p.RecordNumber != "A-2" {
		t.Errorf("third: %+v", p)
	}
	w.answer("GET").ok(200)
	w.answer("POST").problem(409, "record_number_taken")
}

// Threat 9: nothing of a request is seen by a later one on the same connection.
func TestNothingBleedsBetweenRequests(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	desk, provider := s.token("front-desk"), s.token("provider")
	w := s.dial(0)
	s.must(w.SetDeadline(time.Now().Add(5 * time.Minute)))
	last := ""
	for i := range bleedingRounds {
		s.clock.advance(10 * time.Second)                                       // failures are counted by the minute
		number := fmt.Sprintf("BLEED-%d-%s", i, strings.Repeat("x", (i*37)%40)) // of changing length
		named := fmt.Sprintf(`{"record_number":%q,"name":%q}`, number, "Name of "+number)
		post := func(path, token, body string) answer {
			w.send(body, "POST "+path+" HTTP/1.1", "Host: x", "Authorization: Bearer "+token, "Content-Type: application/json",
				fmt.Sprintf("Content-Length: %d", len(body)))
			return w.answer("POST")
		}
		p := into[api.Patient](post("/v1/patients", desk, named), 201)
		if p.RecordNumber != number || p.Name != "Name of "+number {
			t.Fatalf("%d: asked for %s, answered %+v", i, number, p)
		}
		short := fmt.Sprintf(`{"record_number":"S%d"}`, i)
		if p := into[api.Patient](post("/v1/patients", desk, short), 201); p.Name != "" || p.RecordNumber != fmt.Sprintf("S%d", i) {
			t.Fatalf("%d: a field of an earlier body is back: %+v", i, p)
		}
		w.send("", "GET /v1/photos/"+string(photo.ID)+" HTTP/1.1", "Host: x") // without the header that came before
		w.answer("GET").problem(401, "unauthenticated")
		w.send("", "HEAD /v1/uploads/"+string(photo.ID)+" HTTP/1.1", "Host: x", "Authorization: Bearer "+provider,
			[]string{"X: y", "Tus-Resumable: 1.0.0"}[i%2])
		if a := w.answer("HEAD"); a.status != []int{412, 404}[i%2] || i%2 == 1 && a.header.Get("Tus-Version") != "" {
			t.Fatalf("%d: HEAD is answered %d %v", i, a.status, a.header)
		}
		a := post("/v1/patients/find", desk, `{"record_number":"none"}`)
		a.problem(404, "not_found")
		for _, secret := range []string{number, last, desk, provider} {
			if secret != "" && strings.Contains(string(a.body), secret) {
				t.Fatalf("%d: an answer holds what another request sent: %s", i, a.body)
			}
		}
		last = number
	}
	s.wantPhoto(s.fetch("GET", s.forCare(photo.ID, "web", consent.InHeader, 1)), rendition(s, photo, "web"))
}
