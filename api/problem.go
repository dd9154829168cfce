package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"photovault/api/identity"
	"photovault/consent"
	"photovault/vault"
)

var (
	errBadRequest = errors.New("api: malformed request")
	errTimeout    = errors.New("api: the request did not arrive in time")
	// errStalled is no fault of the request's: stock tus clients give up on a 4xx, and go on by themselves after a 5xx.
	errStalled = errors.New("api: the body stalled")
)

// badJSON says where a JSON body went wrong. The decoder's text can quote
// the body, which may name a person, so it is not passed on.
type badJSON struct{ err error }

func (e *badJSON) Error() string { return "api: malformed JSON" }
func (e *badJSON) Unwrap() error { return errBadRequest }

func (e *badJSON) detail() string {
	var typ *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(e.err, &typ) && typ.Field != "":
		return "The field " + typ.Field + " has the wrong type."
	case errors.As(e.err, &syntax):
		return "The body is not JSON; see byte " + strconv.FormatInt(syntax.Offset, 10) + "."
	default:
		return "The body is not what this route takes; see the OpenAPI description at /v1/openapi.yaml."
	}
}

// Problem is the body of every error answer (RFC 9457). Code is stable.
type Problem struct {
	Type     string            `json:"type"`
	Title    string            `json:"title"`
	Status   int               `json:"status"`
	Code     string            `json:"code"`
	Detail   string            `json:"detail,omitempty"`
	Refusals []consent.Refusal `json:"refusals,omitempty"` // why it is not allowed
	Defects  []consent.Defect  `json:"defects,omitempty"`  // what is missing or wrong in the request
	// Dependencies of GET /readyz, when one is down.
	Dependencies map[string]string `json:"dependencies,omitempty"`
}

// outward is the table of what an error looks like from outside. The first
// row that matches counts; what matches none is an internal error.
var outward = []struct {
	is     error
	status int
	code   string
	title  string
	detail string
}{
	{identity.ErrUnauthenticated, 401, "unauthenticated", "Not authenticated", "Send a valid token as Authorization: Bearer. Where an upload grant has ended, declare the photo again: what has arrived is kept."},
	{identity.ErrSlowDown, 429, "slow_down", "Too many failed attempts", "Wait a minute and try again with a valid token."},
	{errShare, 429, "too_many_requests", "Too many requests at once", "Your account has as many requests in work as it may; wait a little and try again."},
	{errBadRequest, 400, "malformed_request", "Malformed request", ""},
	{errClosing, 503, "unavailable", "Temporarily unavailable", "This server is closing; what arrived is kept. Go on from the upload's offset."},
	{errStalled, 503, "body_stalled", "Body stalled", "The body stopped coming; what arrived is kept. Go on from the upload's offset."},
	{vault.ErrShortBody, 400, "body_incomplete", "Body incomplete", "The body ended before its declared length; what arrived is kept."},
	{errTimeout, 408, "request_timeout", "Request timeout", "The request did not come in time; send it again."},
	{errMethod, 405, "method_not_allowed", "Method not allowed", ""},
	{errTusVersion, 412, "tus_version_unsupported", "tus version not supported", "Send Tus-Resumable: 1.0.0."},
	{errMediaType, 415, "media_type_unsupported", "Media type not supported", "Send Content-Type: application/offset+octet-stream."},
	{errChecksum, 400, "checksum_unsupported", "Checksum not supported", "Send Upload-Checksum: sha256 or sha1, a space, and the digest in base64."},
	{vault.ErrChecksum, 460, "checksum_mismatch", "Checksum mismatch", "The bytes are not those of the checksum. None of them counts; send them again."},
	{vault.ErrUnavailable, 503, "unavailable", "Temporarily unavailable", "Try again shortly; nothing acknowledged is lost."},
	{vault.ErrVolume, 429, "volume_exceeded", "Too many photos", "Your account has asked for as many different photos as it may for now. For a patient who needs care now, a provider declares an emergency; otherwise wait, or ask your administrator."},
	{vault.ErrDenied, 403, "denied", "Not allowed", ""},
	{vault.ErrInvalid, 422, "invalid", "Invalid request", ""},
	{vault.ErrConflict, 409, "conflict", "Conflict", ""},
	{vault.ErrNotFound, 404, "not_found", "Not found", "There is no such thing, or it is not yours to see."},
	{vault.ErrOffset, 409, "offset_mismatch", "Upload offset mismatch", "Ask for the current offset with HEAD and go on from there."},
	{vault.ErrLocked, 423, "upload_locked", "Upload in use", "Another request is writing to this upload; try again."},
	{vault.ErrGone, 410, "upload_gone", "Upload gone", "The upload has expired; begin a new one."},
	{vault.ErrTooLarge, 413, "too_large", "Too large", "The body is larger than declared or allowed."},
	{vault.ErrRange, 416, "range_not_satisfiable", "Range not satisfiable", "The range lies outside the photo."},
	{vault.ErrBroken, 500, "integrity_failure", "Integrity failure", "What is stored failed authentication and was not released. Tell your administrator."},
}

// problem returns what the error looks like from outside.
func problem(err error) *Problem {
	p := &Problem{Status: 500, Code: "internal", Title: "Internal error", Detail: "Try again; if it persists, tell your administrator."}
	for _, row := range outward {
		if errors.Is(err, row.is) {
			p = &Problem{Status: row.status, Code: row.code, Title: row.title, Detail: row.detail}
			break
		}
	}
	var (
		denied   *vault.DeniedError
		invalid  *vault.InvalidError
		conflict *vault.ConflictError
		bad      *badJSON
		notReady *vault.NotReadyError
	)
	switch {
	case errors.As(err, &notReady):
		p.Dependencies = dependencies(notReady.Dependencies)
	case p.Status == 503: // a refusal that could not be logged is no answer
	case errors.As(err, &denied) && len(denied.Refusals) > 0:
		p.Code, p.Refusals, p.Detail = denied.Refusals[0].Code, denied.Refusals, denied.Refusals[0].Sentence
	case errors.As(err, &invalid) && len(invalid.Defects) > 0:
		p.Code, p.Defects = invalid.Code, invalid.Defects
		p.Detail = invalid.Defects[0].Field + ": " + invalid.Defects[0].Sentence
	case errors.As(err, &conflict):
		p.Code, p.Detail = conflict.Code, conflict.Sentence
	case errors.As(err, &bad):
		p.Detail = bad.detail()
	}
	p.Type = "urn:photovault:problem:" + p.Code
	return p
}

// fail is the one way an error leaves.
func (s *Server) fail(c *fiber.Ctx, err error) error {
	s.headers(c) // also where no route was reached: a request that is no HTTP
	var fe *fiber.Error
	if errors.As(err, &fe) { // Fiber's own: no such method, malformed request
		switch fe.Code {
		case fiber.StatusMethodNotAllowed:
			err = errMethod
		case fiber.StatusNotFound:
			err = vault.ErrNotFound
		case fiber.StatusRequestTimeout: // also of a connection on which nothing was asked
			err = errTimeout
		case fiber.StatusRequestEntityTooLarge:
			err = vault.ErrTooLarge
		case fiber.StatusInternalServerError:
		default:
			err = errBadRequest
		}
	}
	switch {
	case errors.Is(err, vault.ErrShortBody) && errors.Is(err, os.ErrDeadlineExceeded):
		err = errors.Join(errStalled, err)
		c.Context().SetConnectionClose()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled):
		err = errors.Join(vault.ErrUnavailable, err)
		c.Context().SetConnectionClose()
	}
	p := problem(err)
	if p.Status >= 500 && err != error(errLeaving) && !errors.Is(err, errClosing) && !errors.Is(err, errStalled) { // nothing failed here
		s.Logger.Error("request failed", "code", p.Code, "error", err)
	}
	switch p.Status {
	case 401:
		c.Set(fiber.HeaderWWWAuthenticate, `Bearer realm="photovault"`)
	case 429:
		wait := "60"
		var volume *vault.VolumeError
		switch {
		case errors.Is(err, errShare):
			wait = "5"
		case errors.As(err, &volume):
			wait = strconv.FormatInt(int64((volume.After+time.Second-1)/time.Second), 10)
		}
		c.Set(fiber.HeaderRetryAfter, wait)
	case 503:
		c.Set(fiber.HeaderRetryAfter, "5")
	case 416:
		var r *vault.RangeError
		if errors.As(err, &r) {
			c.Set(fiber.HeaderContentRange, "bytes */"+strconv.FormatInt(r.Size, 10))
		}
	}
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	c.Response().ResetBody()
	c.Set(fiber.HeaderContentType, "application/problem+json")
	return c.Status(p.Status).Send(body)
}
