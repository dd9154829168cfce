package api

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"photovault/api/identity"
	"photovault/consent"
	"photovault/vault"
)

// content delivers a photo for a token in the Authorization header.
func (c *call) content() error {
	req := vault.ContentRequest{Token: bearer(c.Ctx), Form: consent.InHeader}
	if c.Method() == "GET" { // Range is defined for nothing else (RFC 9110 §14.2)
		req.Range, req.Of = parseRange(c.Get("Range")), opaque(c.Get("If-Range"))
	}
	return c.deliver(req)
}

// contentInPath delivers a photo for a token in the URL, for <img>.
func (c *call) contentInPath() error {
	return c.deliver(vault.ContentRequest{Token: consent.Bearer(c.Params("token")), Form: consent.InPath})
}

func (c *call) deliver(req vault.ContentRequest) error {
	req.Source = c.source
	prefetch := isPrefetch(c.Get("Sec-Purpose")) || isPrefetch(c.Get("Purpose")) || isPrefetch(c.Get("X-Moz"))
	req.Peek, req.Known = c.Method() == "HEAD" || prefetch, tags(c.Get("If-None-Match"))
	d, err := c.service().OpenContent(c.ctx, req)
	if err != nil {
		// A token that exists is never slowed down; what does not is counted.
		if errors.Is(err, vault.ErrUnknownToken) && c.server.Auth.Failed(c.source) {
			return identity.ErrSlowDown
		}
		return err
	}
	if prefetch { // nothing is released to a guess
		return c.SendStatus(204)
	}
	if len(c.server.FrameAncestors) > 0 { // an EMR of another site shows it in an <img>
		c.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	c.Set("ETag", `"`+d.Tag+`"`)
	if d.Known {
		return c.SendStatus(304)
	}
	c.Set("Content-Type", d.ContentType)
	c.Set("Content-Disposition", "inline")
	if req.Form == consent.InHeader {
		c.Set("Accept-Ranges", "bytes")
	} else {
		c.Set("Accept-Ranges", "none")
	}
	if d.Partial {
		c.Status(206).Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", d.Start, d.Start+d.Length-1, d.Size))
	}
	if req.Peek {
		c.Response().SkipBody = true
		c.Response().Header.SetContentLength(int(d.Length))
		return nil
	}
	conn := c.Context().Conn()
	d.OnCut(func() { reset(conn) })
	return c.SendStream(&outgoing{d}, int(d.Length))
}

// isPrefetch: browsers say so in one of three headers, newest first
// (Fetch, Sec-Purpose).
func isPrefetch(h string) bool { return strings.Contains(strings.ToLower(h), "prefetch") }

// tags are those of If-None-Match (RFC 9110 §13.1.2), where weak ones count as
// well. Ours hold no comma.
func tags(h string) (out []string) {
	for t := range strings.SplitSeq(h, ",") {
		out = append(out, opaque(strings.TrimPrefix(strings.TrimSpace(t), "W/")))
	}
	return out
}

// opaque is a tag without its quotes. Very short ones are none of ours, and stay
// as they are: `"*"` is a tag, * is any.
func opaque(t string) string {
	if n := len(t); n > 3 && t[0] == '"' && t[n-1] == '"' {
		return t[1 : n-1]
	}
	return t
}

// reset ends a connection at once: what the system still holds of a photo does
// not leave either, and nobody waits for a receiver that takes nothing.
func reset(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = conn.Close()
}

// outgoing tells the delivery how the transport fared: fasthttp closes it with
// the error of writing, if there was one. It is no io.Closer, or it would be
// closed before that.
type outgoing struct{ d *vault.Delivery }

func (o *outgoing) Read(p []byte) (int, error)     { return o.d.Read(p) }
func (o *outgoing) CloseWithError(err error) error { return o.d.Close(err == nil) }

// parseRange reads a single byte range (RFC 9110 §14.1.2). Others, and what
// is malformed, are ignored as the RFC allows: the whole is sent.
func parseRange(h string) *vault.Range {
	spec, ok := strings.CutPrefix(h, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return nil
	}
	number := func(s string) (int64, bool) {
		n, err := strconv.ParseInt(s, 10, 63)
		return n, err == nil && s[0] != '+' && s[0] != '-'
	}
	switch {
	case first == "":
		if n, ok := number(last); ok && n > 0 {
			return &vault.Range{Start: -n, End: -1}
		}
	case last == "":
		if n, ok := number(first); ok {
			return &vault.Range{Start: n, End: -1}
		}
	default:
		a, ok1 := number(first)
		b, ok2 := number(last)
		if ok1 && ok2 && a <= b {
			return &vault.Range{Start: a, End: b}
		}
	}
	return nil
}
