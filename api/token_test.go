package api_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
)

func TestATokenIsUsedOnce(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	for _, form := range []consent.Form{consent.InHeader, consent.InPath} {
		token := s.forCare(photo.ID, "web", form, 1)
		s.wantPhoto(s.fetch("GET", token), rendition(s, photo, "web"))
		for range 3 {
			s.fetch("GET", token).problem(404, "not_found")
		}
		s.fetch("HEAD", token).ok(404)
	}
	token := s.forCare(photo.ID, "web", consent.InHeader, 3)
	for range 3 {
		s.wantPhoto(s.fetch("GET", token), rendition(s, photo, "web"))
	}
	s.fetch("GET", token).problem(404, "not_found")
}

func TestPeeksDoNotConsumeAToken(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	web := rendition(s, photo, "web")
	for _, form := range []consent.Form{consent.InHeader, consent.InPath} {
		token := s.forCare(photo.ID, "web", form, 1)
		for _, tweaks := range [][]tweak{nil, {header("Range", "bytes=0-9")}, {header("Range", fmt.Sprintf("bytes=%d-", web.Size))}} {
			a := s.fetch("HEAD", token, tweaks...).ok(200) // Range is for GET (RFC 9110 §14.2)
			if got := a.header.Get("Content-Length"); got != fmt.Sprint(web.Size) {
				t.Errorf("HEAD says %s bytes, the rendition has %d", got, web.Size)
			}
		}
		for _, purpose := range []string{"prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip"} {
			for _, method := range []string{"GET", "HEAD"} {
				if a := s.fetch(method, token, header("Sec-Purpose", purpose)).ok(204); len(a.body) > 0 {
					t.Errorf("%d bytes were released to a prefetch", len(a.body))
				}
			}
		}
		s.wantPhoto(s.fetch("GET", token), web)
	}
}

func TestRangesOfTheHeaderForm(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	web := rendition(s, photo, "web")
	whole := s.fetch("GET", s.forCare(photo.ID, "web", consent.InHeader, 1)).ok(200).body
	n := len(whole)
	for _, c := range []struct {
		header     string
		start, end int // of the answer; end 0: ignored; -1: not satisfiable
	}{
		{"bytes=0-0", 0, 1}, {"bytes=100-199", 100, 200}, {fmt.Sprintf("bytes=%d-", n-1), n - 1, n}, {"bytes=-50", n - 50, n},
		{fmt.Sprintf("bytes=-%d", n+100), 0, n}, {fmt.Sprintf("bytes=10-%d", n+100), 10, n}, {"bytes=0-", 0, n},
		{fmt.Sprintf("bytes=%d-", n), 0, -1}, {fmt.Sprintf("bytes=%d-%d", n+5, n+9), 0, -1},
		{"bytes=5-4", 0, 0}, {"bytes=0-1,4-5", 0, 0}, {"bytes=", 0, 0}, {"bytes=-", 0, 0}, {"bytes=a-b", 0, 0}, {"items=0-1", 0, 0},
		{"bytes=+1-5", 0, 0}, {"bytes=--5", 0, 0}, {"bytes=99999999999999999999-", 0, 0},
	} {
		t.Run(c.header, func(t *testing.T) {
			token := s.forCare(photo.ID, "web", consent.InHeader, 1)
			a := s.fetch("GET", token, header("Range", c.header))
			switch c.end {
			case 0:
				s.wantPhoto(a, web)
			case -1:
				a.problem(416, "range_not_satisfiable")
				if got := a.header.Get("Content-Range"); got != fmt.Sprintf("bytes */%d", n) {
					t.Errorf("Content-Range %s", got)
				}
				s.wantPhoto(s.fetch("GET", token), web) // not consumed
			default:
				if got, want := a.ok(206).header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", c.start, c.end-1, n); got != want {
					t.Errorf("Content-Range %s, %s wanted", got, want)
				}
				if !bytes.Equal(a.body, whole[c.start:c.end]) {
					t.Errorf("%d bytes that are not the part asked for", len(a.body))
				}
				if c.end-c.start == n { // all of it is one
					s.fetch("GET", token).problem(404, "not_found")
				} else {
					s.wantPhoto(s.fetch("GET", token), web) // a part is none
				}
			}
		})
	}
}

// Whoever goes on with a file that it has a part of must not be given the rest
// of another (RFC 9110 §13.1.5), and dates and weak tags name none exactly.
func TestARangeIsOfWhatItWasMeantFor(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	web := rendition(s, photo, "web")
	for _, validator := range []string{`"x"`, `""`, `W/"x"`, "Fri, 27 Nov 2026 14:00:00 GMT", "x"} {
		token := s.forCare(photo.ID, "web", consent.InHeader, 1)
		s.wantPhoto(s.fetch("GET", token, header("Range", "bytes=10-"), header("If-Range", validator)), web)
		s.fetch("GET", token).problem(404, "not_found")
	}
	token := s.forCare(photo.ID, "web", consent.InHeader, 1)
	tag := s.fetch("HEAD", token).header.Get("ETag")
	s.wantPhoto(s.fetch("GET", token, header("Range", "bytes=10-"), header("If-Range", "W/"+tag)), web)
	token = s.forCare(photo.ID, "web", consent.InHeader, 1)
	tag = s.fetch("HEAD", token).header.Get("ETag")
	if a := s.fetch("GET", token, header("Range", "bytes=10-"), header("If-Range", tag)); a.status != 206 || !bytes.Equal(a.body, s.fetch("GET", token).body[10:]) {
		t.Error("the rest is not that of the rendition")
	}
}

// A tag is private: the same to who holds one token, another for each token of
// the same photo. What it names is not sent again, which is no use.
func TestATagNamesAPhotoToTheHolderOfItsToken(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	seen := map[string]bool{}
	for range 3 {
		for _, form := range []consent.Form{consent.InHeader, consent.InPath} {
			token := s.forCare(photo.ID, "web", form, 1)
			tag := s.fetch("HEAD", token).header.Get("ETag")
			if len(tag) != 24 || seen[tag] {
				t.Errorf("tag %s", tag)
			}
			seen[tag] = true
			for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
				if a := s.fetch("GET", token, header("If-None-Match", known), header("Range", "bytes=999999999-")); a.status != 304 || len(a.body) != 0 || a.header.Get("ETag") != tag {
					t.Errorf("what is known, by %s: %d, %d bytes", known, a.status, len(a.body))
				}
			}
			if a := s.fetch("HEAD", token, header("If-None-Match", tag)); a.status != 304 {
				t.Errorf("HEAD of what is known: %d", a.status)
			}
			a := s.fetch("GET", token, header("If-None-Match", `"x", "*"`))
			s.wantPhoto(a, rendition(s, photo, "web"))
			if a.header.Get("ETag") != tag {
				t.Errorf("HEAD said %s, GET %s", tag, a.header.Get("ETag"))
			}
			if a := s.fetch("GET", token, header("If-None-Match", tag)); a.header.Get("ETag") != "" {
				t.Error("a token that is spent still tells the tag")
			}
			s.fetch("GET", token, header("If-None-Match", "*")).problem(404, "not_found")
		}
	}
	if a, b := s.forCare(photo.ID, "web", consent.InHeader, 1), s.forCare(photo.ID, "thumb", consent.InHeader, 1); s.fetch("HEAD", a).header.Get("ETag") == s.fetch("HEAD", b).header.Get("ETag") {
		t.Error("two renditions have one tag")
	}
}

func TestThePathFormIgnoresRange(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	for _, r := range []string{"bytes=0-9", "bytes=99999999-"} {
		s.wantPhoto(s.fetch("GET", s.forCare(photo.ID, "web", consent.InPath, 1), header("Range", r)), rendition(s, photo, "web"))
	}
}

func TestNoMoreThanThreeDeliveriesAreBegunForAUse(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	token := s.forCare(photo.ID, "web", consent.InHeader, 1)
	for range 3 {
		s.fetch("GET", token, header("Range", "bytes=0-9")).ok(206)
	}
	s.fetch("GET", token).problem(404, "not_found")
	if n := s.logged(func(e vault.Logged) bool { return e.Subject == string(token.ID) && e.Reason == "token_exhausted" }); n != 1 {
		t.Errorf("%d entries say why", n)
	}
}

// A delivery that breaks off may be retried, and the log says that it broke off.
func TestADeliveryThatBreaksOffMayBeRetried(t *testing.T) {
	s := newStack(t, func(o *options) { o.sendBuffer = 16 << 10 })
	photo := s.ready(s.consented(), func() []byte { return jpegOf(1600, 1200) })
	original := rendition(s, photo, "original")
	token := s.forCare(photo.ID, "original", consent.InHeader, 1)
	incomplete := func() int {
		return s.logged(func(e vault.Logged) bool { return e.Subject == string(token.ID) && e.Outcome == audit.Incomplete })
	}
	for i := range 2 {
		w := s.dial(4 << 10)
		w.send("", "GET /v1/content HTTP/1.1", "Host: x", "Authorization: Bearer "+token.Token)
		if _, err := w.in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		w.abort()
		s.eventually("the broken delivery is on record", func() bool { return incomplete() == i+1 })
	}
	s.wantPhoto(s.fetch("GET", token), original)
	s.fetch("GET", token).problem(404, "not_found")
}

func TestTokensExpire(t *testing.T) {
	s := newStack(t)
	photo := s.ready(s.consented(), small)
	issue := func(in api.NewToken) answer {
		in.Purpose = consent.ForCare
		return s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token("provider"), in)
	}
	for _, c := range []struct {
		in   api.NewToken
		life time.Duration
	}{{api.NewToken{Form: consent.InPath}, time.Minute}, {api.NewToken{}, 5 * time.Minute}, {api.NewToken{TTLSeconds: 3600, Uses: 20}, time.Hour}} {
		early, late := into[api.Token](issue(c.in), 201), into[api.Token](issue(c.in), 201)
		s.clock.advance(c.life - 5*time.Second)
		s.fetch("GET", early).ok(200)
		s.clock.advance(6 * time.Second)
		s.fetch("GET", late).problem(404, "not_found")
	}
	for _, in := range []api.NewToken{{TTLSeconds: 3601}, {TTLSeconds: -1}, {TTLSeconds: 1 << 60}, {TTLSeconds: -1 << 60}, {Uses: 21}, {Uses: -1}, {Uses: 2, Form: consent.InPath},
		{Rendition: "huge"}, {Form: "cookie"}, {Recipient: "x"}} {
		in.Purpose = consent.ForCare
		s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token("provider"), in, odd).problem(422, "field_invalid")
	}
	s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token("provider"), api.NewToken{Purpose: "curiosity"}, odd).problem(422, "field_invalid")
}

// Whatever is wrong with a token, the answer is the same, bytes and headers.
func TestDeadTokensLookAlike(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	auth := s.authorize(s.newAuthorization(patient))
	marketing := func() api.Token {
		return into[api.Token](s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", s.token("marketing"), s.forMarketing()), 201)
	}
	form := func(t api.Token, f consent.Form) api.Token { // as if of the other form
		t.Form, t.URL = f, "/v1/content"
		if f == consent.InPath {
			t.URL += "/" + t.Token
		}
		return t
	}
	expired := s.forCare(photo.ID, "web", consent.InHeader, 1)
	expiredInPath := s.forCare(photo.ID, "web", consent.InPath, 1)
	s.clock.advance(6 * time.Minute)
	used := s.forCare(photo.ID, "web", consent.InHeader, 1)
	s.fetch("GET", used).ok(200)
	revoked := marketing()
	s.revoke(auth)
	gone, goneToken := s.account("provider")
	s.treats(gone, patient)
	holder := into[api.Token](s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", goneToken, api.NewToken{Purpose: consent.ForCare}), 201)
	s.ask("DELETE", "/v1/accounts/"+string(gone), s.token("admin"), nil).ok(204)
	deletedPhoto := s.ready(patient, small)
	deleted := s.forCare(deletedPhoto.ID, "web", consent.InHeader, 1)
	s.ask("DELETE", "/v1/photos/"+string(deletedPhoto.ID), s.token("provider"), nil).ok(200)
	unknown := api.Token{Form: consent.InHeader, URL: "/v1/content", Token: string(consent.NewBearer(consent.TokenPrefix))}

	want := s.fetch("GET", unknown)
	want.problem(404, "not_found")
	for name, token := range map[string]api.Token{
		"expired": expired, "used": used, "revoked": revoked, "its account is revoked": holder, "its photo is deleted": deleted,
		"expired, in the path": expiredInPath, "unknown, in the path": form(unknown, consent.InPath),
		"of the header form, in the path":      form(s.forCare(photo.ID, "web", consent.InHeader, 1), consent.InPath),
		"of the path form, in the header":      form(s.forCare(photo.ID, "web", consent.InPath, 1), consent.InHeader),
		"a personal token":                     {Form: consent.InHeader, URL: "/v1/content", Token: s.token("provider")},
		"malformed":                            {Form: consent.InHeader, URL: "/v1/content", Token: "pvt_short"},
		"none":                                 {Form: consent.InHeader, URL: "/v1/content"},
		"of the header form, without a header": form(s.forCare(photo.ID, "web", consent.InHeader, 1), "none"),
	} {
		for _, tweaks := range [][]tweak{{odd}, {odd, header("Range", "bytes=0-1")}, {odd, header("Sec-Purpose", "prefetch")}} {
			if diff := same(s.fetch("GET", token, tweaks...), want); diff != "" {
				t.Errorf("%s: another answer than for an unknown token: %s", name, diff)
			}
		}
		if a := s.fetch("HEAD", token, odd); a.status != 404 || a.header.Get("Content-Length") != want.header.Get("Content-Length") {
			t.Errorf("%s: HEAD %d %v", name, a.status, a.header)
		}
	}
	reasons := map[string]int{}
	for _, e := range s.trail() {
		if e.Action == audit.Release && e.Outcome == audit.Denied {
			reasons[e.Reason]++
		}
	}
	for _, want := range []string{"token_expired", "token_used", "authorization_revoked", "holder_not_active", "not_found", "token_form"} {
		if reasons[want] == 0 {
			t.Errorf("no entry of the log says %s: %v", want, reasons)
		}
	}
}

// THREATS 12, on answers of every kind. What is held against every answer
// anyway is spelled out here once.
func TestNoAnswerLacksTheHeaders(t *testing.T) {
	s := newStack(t, func(o *options) { o.frameAncestors = []string{"https://emr.example", "https://chart.example"} })
	photo := s.ready(s.consented(), small)
	w := s.dial(0)
	w.send("", "NONSENSE")
	malformed := w.answer("GET")
	w = s.dial(0)
	w.send("", "GET /healthz HTTP/1.1", "Host: x", "X-Long: "+strings.Repeat("x", 20_000))
	tooLong := w.answer("GET")
	for name, a := range map[string]answer{
		"a photo":            s.fetch("GET", s.forCare(photo.ID, "web", consent.InPath, 1)).ok(200),
		"part of a photo":    s.fetch("GET", s.forCare(photo.ID, "web", consent.InHeader, 1), header("Range", "bytes=0-9")).ok(206),
		"a wrong range":      s.fetch("GET", s.forCare(photo.ID, "web", consent.InHeader, 1), header("Range", "bytes=99999999-")).ok(416),
		"a peek":             s.fetch("HEAD", s.forCare(photo.ID, "web", consent.InPath, 1)).ok(200),
		"a prefetch":         s.fetch("GET", s.forCare(photo.ID, "web", consent.InPath, 1), header("Sec-Purpose", "prefetch")).ok(204),
		"a dead token":       s.ask("GET", "/v1/content/pvt_x", "", nil, odd).ok(404),
		"no such path":       s.ask("GET", "/v2/photos", "", nil, odd).ok(404),
		"a trailing slash":   s.ask("GET", "/v1/content/", "", nil, odd).ok(404),
		"no such method":     s.ask("PUT", "/v1/photos", "", nil, odd).ok(405),
		"not authenticated":  s.ask("GET", "/v1/photos", "", nil, odd).ok(401),
		"not allowed":        s.ask("GET", "/v1/audit", s.token("marketing"), nil).ok(403),
		"not JSON":           s.ask("POST", "/v1/patients", s.token("provider"), []byte("{"), odd).ok(400),
		"invalid":            s.ask("POST", "/v1/patients", s.token("provider"), map[string]any{"record_number": ""}, odd).ok(422),
		"a body too many":    s.ask("GET", "/healthz", "", []byte("x"), odd).ok(413),
		"too long":           s.ask("POST", "/v1/patients", s.token("provider"), bytes.Repeat([]byte(" "), 70_000), odd).ok(413),
		"no HTTP":            malformed.ok(400),
		"headers too long":   tooLong.ok(400),
		"JSON":               s.ask("GET", "/v1/photos/"+string(photo.ID), s.token("provider"), nil).ok(200),
		"the document":       s.ask("GET", "/v1/openapi.yaml", "", nil).ok(200),
		"readiness":          s.ask("GET", "/readyz", "", nil).ok(200),
		"options of uploads": s.ask("OPTIONS", "/v1/uploads", "", nil).ok(204),
	} {
		for k, want := range map[string]string{"Cache-Control": "private, no-store", "Referrer-Policy": "no-referrer",
			"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-site", "X-Robots-Tag": "noindex",
			"Content-Security-Policy":   "default-src 'none'; sandbox; frame-ancestors https://emr.example https://chart.example",
			"Strict-Transport-Security": "max-age=31536000"} {
			if k == "Cross-Origin-Resource-Policy" && slices.Contains([]string{"a photo", "part of a photo", "a peek"}, name) {
				want = "cross-origin" // or the EMR of another site could not show it
			}
			if got := a.header.Values(k); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s is %q", name, k, got)
			}
		}
	}
}

func TestARevokedAccountsTokensAreDead(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	photo := s.ready(patient, small)
	account, token := s.account("provider")
	s.treats(account, patient)
	outstanding := into[api.Token](s.ask("POST", "/v1/photos/"+string(photo.ID)+"/tokens", token, api.NewToken{Purpose: consent.ForCare, Uses: 5}), 201)
	s.fetch("GET", outstanding).ok(200)
	s.ask("DELETE", "/v1/accounts/"+string(account), s.token("admin"), nil).ok(204)
	s.fetch("GET", outstanding).problem(404, "not_found")
	s.ask("GET", "/v1/photos/"+string(photo.ID), token, nil).problem(401, "unauthenticated")
	s.ask("DELETE", "/v1/accounts/"+string(account), s.token("admin"), nil).ok(204)
	for _, a := range into[api.AccountList](s.ask("GET", "/v1/accounts", s.token("admin"), nil), 200).Accounts {
		if a.Role == consent.Admin {
			s.ask("DELETE", "/v1/accounts/"+string(a.ID), s.token("admin"), nil).problem(409, "own_account")
		}
	}
}
