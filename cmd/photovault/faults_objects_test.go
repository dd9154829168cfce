package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"photovault/vault/vaulttest/faultproxy"
)

// The object store fails in the ways that object stores and the networks
// before them do.
func TestSoakFaultsOfTheObjectStore(t *testing.T) {
	t.Parallel()
	on := sharedGround(t)
	proxies := bucketProxies(t, &on, 2)
	c := newClusterOn(t, 2, on)
	for _, p := range proxies {
		p.Harm(nil, nil)
	}
	endure(t, c.site(), []fault{
		harmful(proxies, "S3 resets connections", func(w http.ResponseWriter, _ *http.Request) bool { faultproxy.CutOff(w); return true }, nil),
		harmful(proxies, "S3 answers 500", func(w http.ResponseWriter, r *http.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>`)
			return true
		}, nil),
		harmful(proxies, "S3 is slow", func(_ http.ResponseWriter, r *http.Request) bool {
			pause(r.Context(), time.Second)
			return false
		}, nil),
		harmful(proxies, "S3 truncates", nil, func(r *http.Response) error {
			if ofObject(r.Request, http.MethodGet) {
				r.Body = &faultproxy.Broken{ReadCloser: r.Body, Left: r.ContentLength / 2}
			}
			return nil
		}),
		harmful(proxies, "S3 sends wrong bytes", nil, func(r *http.Response) error {
			if ofObject(r.Request, http.MethodGet) {
				r.Body = &faultproxy.Flipped{ReadCloser: r.Body, At: r.ContentLength / 2}
			}
			return nil
		}),
		harmful(proxies, "S3 gets wrong bytes", func(_ http.ResponseWriter, r *http.Request) bool {
			if ofObject(r, http.MethodPut) {
				r.Body = &faultproxy.Flipped{ReadCloser: r.Body, At: r.ContentLength / 2}
			}
			return false
		}, nil),
	})
}

// ofObject: the request is for an object, not for the bucket.
func ofObject(r *http.Request, method string) bool {
	return r.Method == method && (strings.Contains(r.URL.Path, "/photos/") || strings.Contains(r.URL.Path, "/staging/"))
}

// harmful does this to all that goes through the proxies.
func harmful(proxies []*faultproxy.HTTP, name string, request func(http.ResponseWriter, *http.Request) bool, response func(*http.Response) error) fault {
	var did atomic.Int64
	return fault{name: name, lasts: 1500 * time.Millisecond,
		begin: func(*testing.T) {
			for _, p := range proxies {
				p.Harm(func(w http.ResponseWriter, r *http.Request) bool {
					did.Add(1)
					return request != nil && request(w, r)
				}, response)
			}
		},
		heal: func(*testing.T) {
			for _, p := range proxies {
				p.Harm(nil, nil)
			}
		},
		felt: func() bool { return did.Load() > 0 }}
}
