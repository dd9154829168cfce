package s3

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Options say where the bucket is and who asks. Nothing is taken from the
// environment or from files that are not named here. Of CredentialsFile and
// the keys one is set. Printing Options shows no secret.
type Options struct {
	Endpoint    string // https://host[:port]
	Region      string // where the bucket must lie; pinned
	Bucket      string
	Prefix      string // put before each name, "/" between; empty: none
	VirtualHost bool   // https://bucket.host rather than https://host/bucket
	CAFile      string // PEM: the authorities that may sign the server's certificate; empty: the system's

	AccessKey       string
	SecretKey       string // 14 characters or more: the least HMAC key that is approved has 112 bits (SP 800-131A)
	SessionToken    string // of temporary credentials, else empty
	CredentialsFile string // JSON {"access_key","secret_key","session_token"}, 0600; read again when it changes

	RetentionDays int      // Object Lock: how long a photo cannot be removed; 0: not at all. Never for staged uploads
	LockMode      LockMode // empty: Governance

	Encryption Encryption // at rest by the server, on top of our own; empty: as the bucket says
	KMSKey     string     // of SSEKMS; empty: the bucket's or account's

	Timeout time.Duration // how long the server may be silent; zero: 5 s
	Budget  time.Duration // of one call with all its attempts, up to the first byte of a body; zero: 30 s. A Put has 1 s more for each MiB
}

// LockMode is how firm retention is.
type LockMode string

// The modes of Object Lock. Compliance cannot be lifted by anybody.
const (
	Governance LockMode = "GOVERNANCE"
	Compliance LockMode = "COMPLIANCE"
)

// Encryption is what the server does on top.
type Encryption string

// The ways of encryption by the server.
const (
	SSES3  Encryption = "sse-s3"
	SSEKMS Encryption = "sse-kms"
)

// ErrConfiguration: the options, the credentials or the bucket are not such
// that photos may be entrusted to them. Trying again does not help.
var ErrConfiguration = errors.New("s3: configuration")

// Faults is all that was found wrong, each a sentence that says what to do.
// It is an ErrConfiguration.
type Faults []string

func (f Faults) Error() string { return ErrConfiguration.Error() + ": " + strings.Join(f, "; ") }

// Unwrap makes errors.Is(err, ErrConfiguration) true.
func (f Faults) Unwrap() error { return ErrConfiguration }

func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

const (
	defaultTimeout = 5 * time.Second
	defaultBudget  = 30 * time.Second
	maxTimeout     = time.Minute
	readyTimeout   = 2 * time.Second
	minSecret      = 14
	maxRetention   = 36500 // days; S3's own limit
)

func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Budget == 0 {
		o.Budget = max(defaultBudget, o.Timeout)
	}
	if o.LockMode == "" {
		o.LockMode = Governance
	}
	if o.Prefix != "" {
		o.Prefix = strings.TrimSuffix(o.Prefix, "/") + "/"
	}
	return o
}

var (
	// bucketName is stricter than S3 once was: no dots, which a wildcard
	// certificate does not cover.
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)
	regionName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	prefixName = regexp.MustCompile(`^(?:[a-z0-9][a-z0-9_-]{0,62}/){1,8}$`)
)

// Check names every fault of the options at once, files aside.
// Errors: Faults.
func (o Options) Check() error {
	o = o.withDefaults()
	var f Faults
	wrong := func(is bool, format string, args ...any) {
		if is {
			f = append(f, fmt.Sprintf(format, args...))
		}
	}
	if _, err := hostOf(o.Endpoint); err != nil {
		f = append(f, err.Error())
	}
	wrong(!regionName.MatchString(o.Region), "the region must be given, such as eu-central-1: a bucket elsewhere is refused")
	wrong(!bucketName.MatchString(o.Bucket), "the bucket's name must be 3 to 63 lower-case letters, digits and hyphens")
	wrong(o.Prefix != "" && !prefixName.MatchString(o.Prefix), "the prefix must be lower-case letters, digits, _ and -, in parts with / between")
	keys := o.AccessKey != "" || o.SecretKey != "" || o.SessionToken != ""
	wrong(keys == (o.CredentialsFile != ""), "give one of a credentials file and an access key with its secret key")
	if keys {
		if err := (account{o.AccessKey, o.SecretKey, o.SessionToken}).check(); err != nil {
			f = append(f, err.Error())
		}
	}
	wrong(o.RetentionDays < 0 || o.RetentionDays > maxRetention, "the retention is not between 0 and %d days", maxRetention)
	wrong(o.LockMode != Governance && o.LockMode != Compliance, "the Object Lock mode is neither %s nor %s", Governance, Compliance)
	wrong(o.Encryption != "" && o.Encryption != SSES3 && o.Encryption != SSEKMS, "the server's encryption is neither %s nor %s", SSES3, SSEKMS)
	wrong(o.KMSKey != "" && o.Encryption != SSEKMS, "a KMS key is given, but the server's encryption is not %s", SSEKMS)
	wrong(o.Timeout < 10*time.Millisecond || o.Timeout > maxTimeout, "the timeout is not between 10ms and 1m")
	wrong(o.Budget < o.Timeout || o.Budget > 10*maxTimeout, "the budget is not between the timeout and 10m")
	return f.err()
}

// hostOf returns host[:port] of an endpoint.
func hostOf(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	switch {
	case endpoint == "":
		return "", errors.New("the endpoint is missing: https://host:port")
	case err != nil: // not shown: it may hold a password
		return "", errors.New("the endpoint cannot be read; write https://host:port")
	case u.Scheme != "https":
		return "", errors.New("the endpoint must begin with https://: what is deleted and for whom crosses this connection")
	case u.Hostname() == "":
		return "", errors.New("the endpoint names no host; write https://host:port")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "", errors.New("the endpoint is more than scheme, host and port; write https://host:port")
	}
	return u.Host, nil
}

// String tells where the bucket is, without credentials.
func (o Options) String() string {
	return fmt.Sprintf("%s/%s/%s (%s)", o.Endpoint, o.Bucket, o.Prefix, o.Region)
}

// Format keeps every verb of fmt to String.
func (o Options) Format(f fmt.State, _ rune) { fmt.Fprint(f, o.String()) }

// LogValue implements slog.LogValuer.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }
