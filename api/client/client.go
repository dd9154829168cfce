// Package client talks to a photovault service: sealed uploads that resume,
// consents, tokens, photos. It trusts exactly one certificate authority.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"photovault/api"
)

// Client is a connection to one service on behalf of one bearer of a token.
// It is safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// New returns a client of the service at base ("https://host:port"), which
// must present a certificate of the authority caPEM; empty caPEM means the
// system's authorities. Anything but https is refused.
func New(base, token string, caPEM []byte) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("client: the server's address must begin with https://")
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(caPEM) > 0 {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(caPEM) {
			return nil, errors.New("client: the authority file holds no certificate")
		}
	}
	transport := &http.Transport{TLSClientConfig: conf, ResponseHeaderTimeout: time.Minute, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 64}
	return &Client{base: strings.TrimSuffix(u.String(), "/"), token: token,
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// With returns a client that presents another secret.
func (c *Client) With(token string) *Client {
	other := *c
	other.token = token
	return &other
}

// Through returns a client whose requests go by way of what wrap makes of the
// transport: to count, time or trace them.
func (c *Client) Through(wrap func(http.RoundTripper) http.RoundTripper) *Client {
	other, over := *c, *c.http
	over.Transport = wrap(over.Transport)
	other.http = &over
	return &other
}

// Error is a refusal by the service; Problem.Code is stable.
type Error struct{ Problem api.Problem }

func (e *Error) Error() string {
	p := e.Problem
	text := fmt.Sprintf("%s (%s, HTTP %d)", or(p.Detail, p.Title), p.Code, p.Status)
	for _, d := range p.Defects {
		text += fmt.Sprintf("\n  - %s [%s] %s", d.Field, or(d.Paragraph, "request"), d.Sentence)
	}
	for _, r := range p.Refusals {
		text += fmt.Sprintf("\n  - %s [%s] %s", r.Code, or(r.Paragraph, "rule"), r.Sentence)
	}
	return text
}

// Code returns the stable code of a refusal by the service, or "".
func Code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Problem.Code
	}
	return ""
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Get and Post make one call; out may be nil.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.Call(ctx, "GET", path, nil, out)
}

func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.Call(ctx, "POST", path, in, out)
}

// Call sends in as JSON, unless it is nil, and decodes the answer into out,
// unless that is nil. A refusal is an *Error.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil || res.StatusCode == http.StatusNoContent {
		_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
		return err
	}
	return json.NewDecoder(res.Body).Decode(out)
}

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, errors.New("client: malformed request path")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// do sends the request; an answer that is not 2xx becomes an *Error. The path
// is kept out of transport errors: it can hold a token.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, fmt.Errorf("client: %s %s: %w", req.Method, req.URL.Host, err)
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	e := &Error{Problem: api.Problem{Status: res.StatusCode, Title: http.StatusText(res.StatusCode), Code: "http_" + fmt.Sprint(res.StatusCode)}}
	if raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20)); err == nil && json.Valid(raw) {
		if err := json.Unmarshal(raw, &e.Problem); err != nil {
			return nil, err
		}
	}
	return nil, e
}

// Content fetches a photo by its retrieval token and writes it to w. It
// returns the number of bytes; fewer than announced is an error.
func (c *Client) Content(ctx context.Context, t api.Token, w io.Writer) (int64, error) {
	other := c.With("")
	if t.Form == "header" {
		other.token = t.Token
	}
	req, err := other.request(ctx, "GET", t.URL, nil)
	if err != nil {
		return 0, err
	}
	res, err := other.do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return io.Copy(w, res.Body)
}
