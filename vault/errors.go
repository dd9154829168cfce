package vault

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"photovault/consent"
)

// Sentinels that reach a client; api maps each to a status and a stable code.
// Lower errors are translated to these where they enter, and anything else is
// an internal error outward.
var (
	// ErrNotFound: there is no such thing, or it is not the caller's. The two
	// are never told apart.
	ErrNotFound = errors.New("vault: not found")
	// ErrDenied: the caller may not do this; see DeniedError.
	ErrDenied = errors.New("vault: denied")
	// ErrInvalid: the request is malformed; see InvalidError.
	ErrInvalid = errors.New("vault: invalid request")
	// ErrConflict: the request contradicts what is stored; see ConflictError.
	ErrConflict = errors.New("vault: conflict")
	// ErrOffset: an upload's offset is not the one the caller gave.
	ErrOffset = errors.New("vault: upload offset mismatch")
	// ErrLocked: another request is writing to this upload.
	ErrLocked = errors.New("vault: upload is being written by another request")
	// ErrGone: the upload has expired or was cancelled.
	ErrGone = errors.New("vault: upload is gone")
	// ErrShortBody: an upload's body ended before its length; what arrived is kept.
	ErrShortBody = errors.New("vault: body ended early")
	// ErrChecksum: the bytes are not those that their checksum was made of; none of them counts.
	ErrChecksum = errors.New("vault: checksum mismatch")
	// ErrTooLarge: more bytes than declared or allowed.
	ErrTooLarge = errors.New("vault: too large")
	// ErrBroken: a stored photo failed authentication. Nothing was released.
	ErrBroken = errors.New("vault: what is stored failed authentication")
	// ErrVolume: the account has asked for as many photos as it may; see VolumeError.
	ErrVolume = errors.New("vault: too many photos")
	// ErrUnavailable: a store or the key service does not answer; retry later.
	ErrUnavailable = errors.New("vault: temporarily unavailable")
	// ErrOvertaken: a photo was deleted, or the same was made of it, while a
	// rendition was made; asked again, the answer is of what is now.
	ErrOvertaken = fmt.Errorf("%w: overtaken", ErrUnavailable)
	// ErrSwept: what was stored took so long to count that it was removed
	// meanwhile; it can be sent again.
	ErrSwept = fmt.Errorf("%w: swept before it counted", ErrUnavailable)
)

// DeniedError carries why; it is shown to authenticated callers only.
type DeniedError struct{ Refusals []consent.Refusal }

func (e *DeniedError) Error() string {
	codes := make([]string, len(e.Refusals))
	for i, r := range e.Refusals {
		codes[i] = r.Code
	}
	return ErrDenied.Error() + ": " + strings.Join(codes, ", ")
}

func (e *DeniedError) Unwrap() error { return ErrDenied }

// InvalidError names what is wrong with a request.
type InvalidError struct {
	Code    string // stable: "field_invalid", "authorization_incomplete"
	Defects []consent.Defect
}

func (e *InvalidError) Error() string {
	fields := make([]string, len(e.Defects))
	for i, d := range e.Defects {
		fields[i] = d.Field
	}
	return ErrInvalid.Error() + ": " + strings.Join(fields, ", ")
}

func (e *InvalidError) Unwrap() error { return ErrInvalid }

// ConflictError says what stands against the request.
type ConflictError struct {
	Code     string // stable: "record_number_taken", "capture_differs", "already_received", "already_revoked"
	Sentence string
}

func (e *ConflictError) Error() string { return ErrConflict.Error() + ": " + e.Code }
func (e *ConflictError) Unwrap() error { return ErrConflict }

// VolumeError tells when one more photo may be asked for.
type VolumeError struct{ After time.Duration }

func (e *VolumeError) Error() string { return ErrVolume.Error() }
func (e *VolumeError) Unwrap() error { return ErrVolume }

func invalid(field, sentence string) error {
	return &InvalidError{Code: "field_invalid", Defects: []consent.Defect{{Field: field, Sentence: sentence}}}
}

// Code returns the stable code of an error, for clients and the audit log.
// What it does not know is "internal".
func Code(err error) string {
	var (
		denied   *DeniedError
		invalid  *InvalidError
		conflict *ConflictError
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &denied) && len(denied.Refusals) > 0:
		return denied.Refusals[0].Code
	case errors.As(err, &invalid):
		return invalid.Code
	case errors.As(err, &conflict):
		return conflict.Code
	}
	for _, known := range []struct {
		err  error
		code string
	}{
		{ErrNotFound, "not_found"}, {ErrOffset, "offset_mismatch"}, {ErrLocked, "upload_locked"}, {ErrGone, "upload_gone"},
		{ErrChecksum, "checksum_mismatch"}, {ErrTooLarge, "too_large"}, {ErrBroken, "integrity_failure"}, {ErrRange, "range_not_satisfiable"}, {ErrVolume, "volume_exceeded"}, {ErrUnavailable, "unavailable"},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	return "internal"
}
