package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync/atomic"
	"time"
)

// rootsOf reads a file of authorities; nil, the system's, without one.
func rootsOf(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("CA file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("CA file: no PEM certificate in %s", file)
	}
	return pool, nil
}

// newTransport speaks HTTP/1.1 over TLS, to the endpoint itself: no proxy out
// of the environment.
func newTransport(roots *x509.CertPool, silence time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: silence, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &watched{Conn: c, silence: silence}, nil
		},
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    silence,
		MaxIdleConns:           128,
		MaxIdleConnsPerHost:    128,
		MaxConnsPerHost:        512,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
		WriteBufferSize:        64 << 10,
		ReadBufferSize:         64 << 10,
		DisableCompression:     true,
	}
}

// watched ends a connection on which nothing moves while a request is under
// way. Each write gives the answer time anew, so that a long upload is no
// silence; while nobody reads a body there is no deadline that would count
// against it, because the next read sets its own.
type watched struct {
	net.Conn
	silence time.Duration
	busy    atomic.Int32 // requests under way: 1, or 2 for a moment when one follows another
}

func (w *watched) Read(p []byte) (int, error) {
	var deadline time.Time // none in the pool
	if w.busy.Load() > 0 {
		deadline = time.Now().Add(w.silence)
	}
	if err := w.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	return w.Conn.Read(p)
}

func (w *watched) Write(p []byte) (int, error) {
	if err := w.SetDeadline(time.Now().Add(w.silence)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// following returns a context that tells the connection of a request when it
// is taken out of the pool and put back.
func following(ctx context.Context) context.Context {
	var conn *watched
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if t, ok := info.Conn.(*tls.Conn); ok {
				conn, _ = t.NetConn().(*watched)
			}
			if conn != nil {
				conn.busy.Add(1)
			}
		},
		PutIdleConn: func(err error) {
			if conn != nil && err == nil {
				conn.busy.Add(-1)
			}
		},
	})
}

// maxAnswer is what an answer other than an object may hold. A page of 1000
// versions has about 600 kB.
const maxAnswer = 8 << 20

// wire sends requests. It cuts answers that are kept in memory to maxAnswer
// bytes.
type wire struct{ next http.RoundTripper }

var errAnswer = errors.New("the answer is too long")

func (w wire) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(req.WithContext(following(req.Context())))
	if err != nil || req.Method == http.MethodGet && req.URL.RawQuery == "" && resp.StatusCode < 300 {
		return resp, err
	}
	resp.Body = &cut{ReadCloser: resp.Body, left: maxAnswer}
	return resp, nil
}

type cut struct {
	io.ReadCloser
	left int
}

func (c *cut) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, errAnswer
	}
	n, err := c.ReadCloser.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
