// Package webhook posts signed messages to one receiver, in the form of
// Standard Webhooks (standardwebhooks.com): the headers webhook-id,
// webhook-timestamp and webhook-signature, the last an HMAC-SHA-256 over id,
// timestamp and body.
//
// It speaks TLS 1.2 or later with the certificate verified, to the configured
// address alone: no proxy, no redirect. It tries once; who calls tries again
// later, with the same id, by which the receiver knows a message that it has.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Options of a receiver.
type Options struct {
	URL        string        // https://host[:port]/path
	CAFile     string        // PEM; empty: the system's authorities
	ServerName string        // in the receiver's certificate, if not the URL's
	Timeout    time.Duration // of one attempt; default 10 s
	// Secret returns the key that messages are signed with, in the form that
	// ParseSecret takes; it is asked at each message, so that a new one is
	// followed. What it returned is cleared.
	Secret func() ([]byte, error)
}

// Limits of a message and of what is read of an answer, in bytes; of the time
// of an attempt; of a secret's length.
const (
	MaxBody    = 16 << 10
	maxAnswer  = 16 << 10
	minTimeout = time.Second
	maxTimeout = time.Minute
	minSecret  = 24
	maxSecret  = 64
)

// Errors of a Receiver.
var (
	// ErrOptions: the options are not usable; the text says which and why.
	ErrOptions = errors.New("webhook: options")
	// ErrNotTaken: the receiver did not take the message.
	ErrNotTaken = errors.New("webhook: not taken")
)

// Check says what is wrong with the options, the files aside. Errors: ErrOptions.
func (o Options) Check() error {
	u, err := url.Parse(o.URL)
	switch {
	case err == nil && u.Scheme == "http":
		return fmt.Errorf("%w: write https://; messages go out under TLS only", ErrOptions)
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "":
		return fmt.Errorf("%w: write the address that takes messages: https://host[:port]/path", ErrOptions)
	case o.Timeout != 0 && (o.Timeout < minTimeout || o.Timeout > maxTimeout):
		return fmt.Errorf("%w: write a time limit of %v to %v", ErrOptions, minTimeout, maxTimeout)
	}
	return nil
}

// ParseSecret decodes a signing secret: whsec_ and 24 to 64 bytes in base64.
// The caller clears what it returns. Errors: ErrOptions.
func ParseSecret(text []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(text, []byte("whsec_"))
	key := make([]byte, base64.StdEncoding.DecodedLen(len(rest)))
	n, err := base64.StdEncoding.Strict().Decode(key, rest)
	if !ok || err != nil || n < minSecret || n > maxSecret {
		clear(key)
		return nil, fmt.Errorf("%w: a secret is whsec_ and then %d to %d random bytes in base64", ErrOptions, minSecret, maxSecret)
	}
	return key[:n], nil
}

// Receiver is where messages go. It is safe for concurrent use.
type Receiver struct {
	o      Options
	client *http.Client
}

// Open reads the authorities; it connects to nobody. Errors: ErrOptions.
func Open(o Options) (*Receiver, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Secret == nil {
		return nil, fmt.Errorf("%w: a secret is needed", ErrOptions)
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("%w: the file of authorities cannot be read: %w", ErrOptions, err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: %s holds no certificate in PEM", ErrOptions, o.CAFile)
		}
	}
	return &Receiver{o: o, client: &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // whatever the environment says
			DialContext:            (&net.Dialer{Timeout: o.Timeout}).DialContext,
			TLSClientConfig:        conf,
			TLSHandshakeTimeout:    o.Timeout,
			MaxResponseHeaderBytes: maxAnswer,
			DisableKeepAlives:      true, // messages are rare
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Post sends one message; at is when this attempt is made. nil means that the
// receiver answered 2xx. Errors: ErrNotTaken, ErrOptions (the secret). They
// name neither the address, which may hold a secret of the receiver's, nor
// anything of the body.
func (r *Receiver) Post(ctx context.Context, id string, at time.Time, body []byte) error {
	if len(body) > MaxBody {
		return fmt.Errorf("%w: the message has %d bytes, at most %d are sent", ErrNotTaken, len(body), MaxBody)
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	signature, err := r.sign(id, stamp, body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.o.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: no request can be made of the address", ErrOptions)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "photovault")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", stamp)
	req.Header.Set("webhook-signature", signature)
	res, err := r.client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotTaken, withoutAddress(err))
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%w: the receiver answered %d", ErrNotTaken, res.StatusCode)
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)); err != nil {
		return fmt.Errorf("%w: the answer broke off: %w", ErrNotTaken, withoutAddress(err))
	}
	return nil
}

func (r *Receiver) sign(id, stamp string, body []byte) (string, error) {
	text, err := r.o.Secret()
	defer clear(text)
	if err != nil {
		return "", fmt.Errorf("%w: the signing secret cannot be read: %w", ErrOptions, err)
	}
	key, err := ParseSecret(text)
	defer clear(key)
	if err != nil {
		return "", err
	}
	return Sign(key, id, stamp, body), nil
}

// Sign returns the value of webhook-signature.
func Sign(key []byte, id, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{id, ".", stamp, "."} {
		mac.Write([]byte(part))
	}
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Verify is what a receiver does: it reports whether one of the signatures is
// that of the message, and the message no older or newer than a few minutes.
func Verify(key []byte, h http.Header, body []byte, now time.Time) bool {
	stamp := h.Get("webhook-timestamp")
	sent, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(sent, 0)).Abs() > 5*time.Minute {
		return false
	}
	want := []byte(Sign(key, h.Get("webhook-id"), stamp, body))
	for _, got := range strings.Fields(h.Get("webhook-signature")) {
		if hmac.Equal([]byte(got), want) {
			return true
		}
	}
	return false
}

// withoutAddress takes the URL out of an error of net/http.
func withoutAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
