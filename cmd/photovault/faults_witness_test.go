package main

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// patience is how long a client waits for an answer to begin.
const patience = 30 * time.Second

// witness sees every answer that clients get. An honest one in trouble is 503
// with Retry-After, in time; one that says no, or that something is broken,
// is a lie while a store or a network fails.
type witness struct {
	sum   *tallied
	kills bool
	fail  func(string)
	late  atomic.Int64 // answers that took longer than slowAnswer
}

// slowAnswer is more than any takes where nothing is wrong.
const slowAnswer = 500 * time.Millisecond

func (w *witness) wrap(over http.RoundTripper) http.RoundTripper {
	return seen(func(r *http.Request) (*http.Response, error) {
		began := time.Now()
		res, err := over.RoundTrip(r)
		took := time.Since(began)
		w.sum.mu.Lock()
		defer w.sum.mu.Unlock()
		w.sum.slowest = max(w.sum.slowest, took)
		if took > slowAnswer {
			w.late.Add(1)
		}
		if lie := w.judge(r, res, err, took); lie != "" {
			w.sum.dishonest++
			w.fail(fmt.Sprintf("%s %s after %v: %s", r.Method, route(r), took.Round(time.Millisecond), lie))
		}
		return res, err
	})
}

// route is the path without what differs.
func route(r *http.Request) string {
	parts := strings.Split(r.URL.Path, "/")
	return strings.Join(parts[:min(3, len(parts))], "/")
}

// judge says what is wrong with an answer. The caller holds sum.mu.
func (w *witness) judge(r *http.Request, res *http.Response, err error, took time.Duration) string {
	if took > patience {
		return "a client has given up by now"
	}
	if err != nil {
		if r.Context().Err() != nil {
			return ""
		}
		w.sum.broken++
		w.sum.felt = true
		if w.kills {
			return ""
		}
		return err.Error()
	}
	switch s := res.StatusCode; {
	case s == http.StatusServiceUnavailable:
		w.sum.unavailable++
		w.sum.felt = true
		if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); res.Header.Get("Retry-After") == "" || kind != "application/problem+json" {
			return "503 that does not say when to come again, or is no problem document"
		}
	case s >= 500:
		return res.Status + problemText(res)
	case s == http.StatusConflict, s == http.StatusLocked: // what a client that comes again is told
	case s >= 400:
		return res.Status + problemText(res)
	}
	return ""
}

// problemText takes the body: the client sees it as broken off.
func problemText(res *http.Response) string {
	b, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
	return " " + string(b)
}

type seen func(*http.Request) (*http.Response, error)

func (f seen) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
