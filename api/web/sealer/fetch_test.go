package sealer_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheListIsFetchedAndVerified(t *testing.T) {
	a := newApp(t)
	c := newClinic(t, time.Now().Add(time.Hour))
	served, err := json.Marshal(c.list)
	must(t, err)
	tampered := c.served(t)
	keyOf(tampered, 0)["suite"] = 9
	changed, err := json.Marshal(tampered)
	must(t, err)

	mux := http.NewServeMux()
	serve := func(path string, status int, body []byte) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer the-token" || r.Header.Get("Cookie") != "" {
				status = http.StatusUnauthorized
			}
			w.WriteHeader(status)
			_, _ = w.Write(body)
		})
	}
	serve("/list", 200, served)
	serve("/tampered", 200, changed)
	serve("/down", 503, served)
	serve("/text", 200, []byte("<html>"))
	serve("/empty", 200, nil)
	serve("/null", 200, []byte("null"))
	serve("/long", 200, append(served, strings.Repeat(" ", 256<<10)...))
	mux.Handle("GET /moved", http.RedirectHandler("/list", http.StatusFound))
	server := httptest.NewServer(mux)
	defer server.Close()

	want := map[string]string{
		"/list": "none", "/tampered": "signature_invalid", "/null": "signature_invalid", "/down": "keys_unavailable",
		"/text": "keys_unavailable", "/empty": "keys_unavailable", "/long": "keys_unavailable", "/moved": "keys_unavailable",
		"/missing": "keys_unavailable",
	}
	var paths, urls []string
	for p := range want {
		paths, urls = append(paths, p), append(urls, server.URL+p)
	}
	answers := run[[]struct {
		Code string
		Keys int
	}](a, object{"urls": urls, "pinned": c.pinned(), "practice": c.practice, "token": "the-token"}, "fetch.mjs")
	got := map[string]string{}
	for i, r := range answers {
		got[paths[i]] = r.Code
		if (r.Keys == len(suites)) != (r.Code == "none") {
			t.Errorf("%s: %s, with %d keys", paths[i], r.Code, r.Keys)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
