// Package api is the HTTP surface: a Fiber application over one table of
// routes. It decodes a request, makes one call into vault, and encodes the
// answer; it holds no policy, no SQL and no cryptography.
//
// Each request passes, in this order: headers of every answer, route match,
// body limit, deadline, authentication, the account's share, handler. Whatever goes wrong becomes
// one RFC 9457 problem with a stable code (problem.go).
package api

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"photovault/api/identity"
	"photovault/consent"
	"photovault/vault"
)

// Config is what a Server is made of.
type Config struct {
	Service *vault.Service
	Auth    *identity.Authenticator
	TLS     *tls.Config // MinVersion is raised to 1.2 if lower
	Logger  *slog.Logger
	Version string
	// FrameAncestors are the origins that may embed a photo in a frame, for
	// an EMR; empty means none.
	FrameAncestors []string
	// Stall is how long a body may stall, and how long 64 KiB of it may take
	// to come; default 30 s.
	Stall time.Duration
	// AccountRequests is how many requests of one account are in work at
	// once; default 32. More wait for up to 5 s.
	AccountRequests int
	// Head is how long a TLS handshake may take, and how long a request's head; default 15 s.
	Head time.Duration
}

// Server answers HTTP over TLS.
type Server struct {
	Config
	app    *fiber.App
	ending *ending
	shares *shares
}

// Timeouts of a connection. A body being read or written moves its own
// deadline as it makes progress, within the route's.
const (
	headerTimeout = 15 * time.Second
	stallTimeout  = 30 * time.Second
	idleTimeout   = 75 * time.Second
	writeTimeout  = 5 * time.Minute
	maxHeader     = 16 << 10
	maxJSON       = 64 << 10
)

// New builds the application.
func New(c Config) *Server {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Head == 0 {
		c.Head = headerTimeout
	}
	if c.Stall == 0 {
		c.Stall = stallTimeout
	}
	if c.AccountRequests == 0 {
		c.AccountRequests = accountRequests
	}
	s := &Server{Config: c, ending: newEnding(), shares: newShares(c.AccountRequests, shareWait)}
	s.app = fiber.New(fiber.Config{
		AppName:               "photovault",
		ServerHeader:          "",
		DisableStartupMessage: true,
		Immutable:             true, // strings outlive the pooled request
		StrictRouting:         true,
		CaseSensitive:         true,
		StreamRequestBody:     true,
		BodyLimit:             maxJSON, // no limit while streaming: body.go enforces each route's
		ReadTimeout:           c.Head,
		WriteTimeout:          writeTimeout,
		IdleTimeout:           idleTimeout,
		ReadBufferSize:        maxHeader,
		Network:               fiber.NetworkTCP,
		ErrorHandler:          s.fail,
		// A form would be read whole, into files, before any handler runs.
		DisablePreParseMultipartForm: true,
	})
	s.app.Server().NoDefaultServerHeader = true
	s.app.Server().CloseOnShutdown = true
	s.app.Server().ConnState = s.ending.track
	s.app.Server().Logger = quiet{c.Logger}
	s.app.Server().Handler = s.atTheDoor(s.app.Server().Handler)
	s.app.Use(s.everyAnswer)
	for _, r := range routes {
		s.app.Add(r.method, r.path, s.serve(r))
	}
	return s
}

// atTheDoor refuses what must not come to a route: a head that two readers
// could read in two ways, whose connection ends with it, and what Fiber would
// answer by itself, with none of our headers. No connection goes on after a
// body in chunks: where one of those ends is the easiest thing to disagree on.
func (s *Server) atTheDoor(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	methods := s.app.Config().RequestMethods
	return func(f *fasthttp.RequestCtx) {
		defer func() { // of what is outside of guarded: an error's own answer too
			if recover() != nil {
				f.Response.Reset()
				s.refuse(f, errPanic)
				f.SetConnectionClose()
			}
		}()
		switch {
		case !wellFramed(&f.Request.Header):
			s.refuse(f, errBadRequest)
			f.SetConnectionClose()
		case !slices.Contains(methods, string(f.Method())):
			s.refuse(f, errMethod)
		default:
			next(f)
		}
		if f.Request.Header.ContentLength() == chunked {
			f.SetConnectionClose()
		}
	}
}

func (s *Server) refuse(f *fasthttp.RequestCtx, why error) {
	c := s.app.AcquireCtx(f)
	defer s.app.ReleaseCtx(c)
	if err := s.fail(c, why); err != nil {
		f.SetConnectionClose()
	}
}

// Serve answers on the listener, over TLS only, until ctx ends; then it lets
// running requests finish for up to grace and cuts the others: ErrCut.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	conf := s.TLS.Clone()
	conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	conf.NextProtos = []string{"http/1.1"}
	done := make(chan error, 1)
	go func() { done <- s.app.Listener(tls.NewListener(persistent{l}, conf)) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	err := s.end(grace)
	_ = l.Close() // fasthttp ends only those that it knew by then; told at once, it may have known of none
	return errors.Join(err, <-done)
}

// guarded runs the handler; one that panics answers 500 and does not take the
// process, and with it everybody's uploads and deliveries, along. What it
// panicked with is not shown: it may hold what was asked.
func (s *Server) guarded(c *fiber.Ctx) (err error) {
	defer func() {
		if recover() != nil {
			c.Context().SetConnectionClose()
			err = errPanic
		}
	}()
	return c.Next()
}

var errPanic = errors.New("api: a handler panicked")

// everyAnswer sets the headers of every answer and notes the request in the
// log by its route pattern: paths can hold tokens.
func (s *Server) everyAnswer(c *fiber.Ctx) error {
	began := time.Now()
	s.headers(c)
	err := s.guarded(c)
	if err != nil {
		err = s.fail(c, err)
	}
	if s.ending.leaving.Err() != nil {
		c.Context().SetConnectionClose()
	}
	pattern := c.Route().Path
	if _, known := c.Locals(routed).(bool); !known {
		pattern = "-"
	}
	s.Logger.Info("request", "method", method(c), "route", pattern, "status", c.Response().StatusCode(),
		"ms", time.Since(began).Milliseconds())
	return err
}

// headers are those that no answer may lack, errors included: links with
// tokens must not leak, and a photo must not run as anything else.
func (s *Server) headers(c *fiber.Ctx) {
	h := &c.Response().Header
	h.Set("Cache-Control", "private, no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors "+s.ancestors())
	h.Set("Cross-Origin-Resource-Policy", "same-site")
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("X-Robots-Tag", "noindex")
	if strings.HasPrefix(c.Path(), "/v1/uploads") {
		h.Set("Tus-Resumable", tusVersion)
	}
}

func (s *Server) ancestors() string {
	if len(s.FrameAncestors) == 0 {
		return "'none'"
	}
	return strings.Join(s.FrameAncestors, " ")
}

// method keeps an invented method out of the log.
func method(c *fiber.Ctx) string {
	switch m := c.Method(); m {
	case "GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT":
		return m
	default:
		return "-"
	}
}

type quiet struct{ log *slog.Logger }

// Printf receives what fasthttp has to say of broken connections. Its text can
// hold bytes that a client sent, so only that it happened is noted.
func (q quiet) Printf(string, ...any) { q.log.Debug("connection ended abnormally") }

type localKey int

const routed localKey = iota

// serve wraps a route's handler with what comes before it.
func (s *Server) serve(r route) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Locals(routed, true)
		ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
		defer cancel()
		call := &call{Ctx: c, server: s, ctx: ctx, source: source(c)}
		defer call.drain()
		if err := call.limitBody(r.maxBody); err != nil {
			return err
		}
		if r.maxBody == maxUpload {
			defer call.body.endWith(s.ending.closing)()
		}
		if r.auth {
			if err := call.authenticate(); err != nil {
				return err
			}
			if r.maxBody != maxUpload {
				leave, err := s.shares.enter(ctx, call.who.Account)
				if err != nil {
					return err
				}
				defer leave()
			}
		}
		return r.handle(call)
	}
}

// authenticate finds out who asks. Also where the body may take long, this may not.
func (c *call) authenticate() (err error) {
	ctx, cancel := context.WithTimeout(c.ctx, quick)
	defer cancel()
	c.who, err = c.server.Auth.Authenticate(ctx, bearer(c.Ctx), c.source)
	return err
}

// bearer returns the secret of the Authorization header (RFC 6750 §2.1).
func bearer(c *fiber.Ctx) consent.Bearer {
	const scheme = "Bearer " // in any case (RFC 9110 §11.1)
	h := c.Get(fiber.HeaderAuthorization)
	if len(h) <= len(scheme) || !strings.EqualFold(h[:len(scheme)], scheme) {
		return ""
	}
	return consent.Bearer(h[len(scheme):])
}

func source(c *fiber.Ctx) string {
	if a, ok := c.Context().RemoteAddr().(*net.TCPAddr); ok {
		return a.IP.String()
	}
	return "unknown"
}
