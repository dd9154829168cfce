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
	"net/url"
	"os"
	"regexp"
	"syscall"

	"github.com/minio/minio-go/v7"

	"photovault/vault/blobs"
)

// Kinds of blobs.ErrUnavailable that a caller may want to tell apart.
var (
	// ErrRetained: a version cannot be removed yet, because Object Lock
	// retains it or somebody put a legal hold on it.
	ErrRetained = errors.New("s3: the object is retained")
	// ErrChecksum: what was sent or got differs from its SHA-256.
	ErrChecksum = errors.New("s3: the object differs from its checksum")
)

// unavailable is the error of a call that has no better one; nil for nil. ctx
// is the caller's: its error shows, our own deadline does not.
func (s *Store) unavailable(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%w: s3: %s: %w", blobs.ErrUnavailable, what, ended)
	}
	if errors.Is(err, blobs.ErrUnavailable) {
		return err
	}
	for _, kind := range []error{ErrChecksum, ErrRetained} {
		if errors.Is(err, kind) {
			return fmt.Errorf("%w: %s: %w", blobs.ErrUnavailable, what, err)
		}
	}
	if mismatch(err) {
		return fmt.Errorf("%w: %s: %w (%s)", blobs.ErrUnavailable, what, ErrChecksum, describe(err))
	}
	return fmt.Errorf("%w: s3: %s: %s", blobs.ErrUnavailable, what, describe(err))
}

// code is the server's error code, or "".
func code(err error) string {
	var r minio.ErrorResponse
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

func status(err error) int {
	var r minio.ErrorResponse
	if errors.As(err, &r) {
		return r.StatusCode
	}
	return 0
}

// mismatch: the server found that the bytes that came are not those signed.
func mismatch(err error) bool {
	switch code(err) {
	case "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch":
		return true
	}
	return false
}

// transient: trying again may help.
func transient(err error) bool {
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		var (
			own         credentialsError
			authority   x509.UnknownAuthorityError
			host        x509.HostnameError
			certificate *tls.CertificateVerificationError
		)
		// What is ErrUnavailable already is our own verdict on an answer.
		return !errors.Is(err, blobs.ErrUnavailable) && !errors.As(err, &authority) && !errors.As(err, &host) && !errors.As(err, &certificate) && !errors.As(err, &own) &&
			!errors.Is(err, context.Canceled) && !errors.Is(err, errAnswer) && !errors.Is(err, blobs.ErrExists) && !errors.Is(err, blobs.ErrSize)
	}
	switch r.Code {
	// ConditionalRequestConflict: AWS, when two conditional writes meet.
	case "RequestTimeout", "SlowDown", "InternalError", "Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestThrottled",
		"ServiceUnavailable", "OperationAborted", "ConditionalRequestConflict", "XMinioServerNotInitialized":
		return true
	}
	switch r.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return mismatch(err)
}

var errorCode = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9.]{0,63}$`)

// describe tells an error without quoting the server or an URL.
func describe(err error) string {
	var (
		response    minio.ErrorResponse
		own         credentialsError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		op          *net.OpError
		dns         *net.DNSError
		errno       syscall.Errno
		timeout     interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &response):
		return describeResponse(response)
	case errors.As(err, &own):
		return own.Error()
	case errors.As(err, &certificate), errors.As(err, &authority):
		return "the server's certificate is not trusted: give the file of its authority, and the host name that is in it"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), // ours: the caller's was looked at
		errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &dns):
		return "the host name is not known"
	case errors.As(err, &op) && errors.As(err, &errno):
		return op.Op + ": " + errno.Error()
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, errAnswer):
		return errAnswer.Error()
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "the connection broke off"
	}
	var u *url.Error
	if errors.As(err, &u) {
		return "the connection broke off"
	}
	return "the answer could not be understood"
}

func describeResponse(r minio.ErrorResponse) string {
	if !errorCode.MatchString(r.Code) {
		r.Code = "error"
	}
	hint := ""
	switch r.Code {
	case "AccessDenied":
		hint = ": the account may not do this; compare its policy with deploy/policies/s3"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "InvalidTokenId", "XAdminUserNotFound":
		hint = ": the credentials are refused"
	case "RequestTimeTooSkewed":
		hint = ": the clocks differ; set this machine's"
	case "NoSuchBucket":
		hint = ": there is no such bucket"
	}
	if r.StatusCode == 0 {
		return r.Code + hint
	}
	return fmt.Sprintf("%s (%d)%s", r.Code, r.StatusCode, hint)
}
