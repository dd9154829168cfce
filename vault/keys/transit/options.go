package transit

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Options say where the engine is and who asks. Nothing is taken from the
// environment. Exactly one of AppRole, TokenFile and Token is set.
type Options struct {
	Address    string // https://host:port
	CAFile     string // PEM: the authorities that may sign the server's certificate; empty: the system's
	ServerName string // in the server's certificate; empty: Address's
	Namespace  string // HashiCorp Vault Enterprise, HCP, OpenBao; else empty
	Mount      string // of the engine; empty: transit
	Key        string // name of the transit key; empty: photovault

	AppRole   *AppRole
	TokenFile string // 0600, as a Vault Agent writes it; read again when it changes and when the token is refused
	Token     string // lent for this process; never renewed, never revoked

	Timeout time.Duration // of one attempt; zero: 3 s
	Budget  time.Duration // of one call with all its attempts; zero: 10 s

	// Report is told of each login that fails, from another goroutine: calls
	// may be served meanwhile, for as long as the last token lasts. Nothing of
	// a credential is in the error. It may be nil.
	Report func(error)
}

// AppRole logs in with a role id and a secret id.
type AppRole struct {
	Mount        string // of the auth method; empty: approle
	RoleID       string
	SecretIDFile string // 0600; read at each login, so that a new secret id needs no restart
	Wrapped      bool   // the file holds a response-wrapping token, opened once; after a restart it needs a new one
}

// ErrConfiguration: the options, the credential or the transit key are not
// such that photos may be entrusted to them. Trying again does not help.
var ErrConfiguration = errors.New("transit: configuration")

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
	defaultMount   = "transit"
	defaultKey     = "photovault"
	defaultAppRole = "approle"
	defaultTimeout = 3 * time.Second
	defaultBudget  = 10 * time.Second
	maxTimeout     = time.Minute
)

func (o Options) withDefaults() Options {
	set(&o.Mount, defaultMount)
	set(&o.Key, defaultKey)
	set(&o.Timeout, defaultTimeout)
	set(&o.Budget, max(defaultBudget, o.Timeout))
	o.Mount = strings.Trim(o.Mount, "/")
	if o.Report == nil {
		o.Report = func(error) {}
	}
	if o.AppRole != nil {
		a := *o.AppRole
		set(&a.Mount, defaultAppRole)
		a.Mount = strings.Trim(a.Mount, "/")
		o.AppRole = &a
	}
	return o
}

func set[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

var (
	keyName   = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_-])?$`)
	mountName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,126}(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,126})*$`)
)

func isMount(path string) bool { return len(path) <= 500 && mountName.MatchString(path) }

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
	f = append(f, addressFaults(o.Address)...)
	wrong(!isMount(o.Mount), "the mount is not the path of an engine, such as %s", defaultMount)
	wrong(!keyName.MatchString(o.Key), "the key's name has other characters than letters, digits, _, - and .")
	wrong(o.Namespace != "" && !isMount(strings.Trim(o.Namespace, "/")), "the namespace is not a path such as practices/one")
	credentials := 0
	for _, given := range []bool{o.AppRole != nil, o.TokenFile != "", o.Token != ""} {
		if given {
			credentials++
		}
	}
	wrong(credentials != 1, "give one credential: an AppRole, a token file or a token")
	if a := o.AppRole; a != nil {
		wrong(a.RoleID == "", "the AppRole has no role id: vault read auth/%s/role/NAME/role-id", a.Mount)
		wrong(a.SecretIDFile == "", "the AppRole has no file with its secret id: vault write -f auth/%s/role/NAME/secret-id", a.Mount)
		wrong(!isMount(a.Mount), "the AppRole's mount is not the path of an auth method, such as %s", defaultAppRole)
	}
	wrong(o.Timeout < 10*time.Millisecond || o.Timeout > maxTimeout, "the timeout is not between 10ms and 1m")
	wrong(o.Budget < o.Timeout || o.Budget > 5*maxTimeout, "the budget is not between the timeout and 5m")
	return f.err()
}

func addressFaults(address string) Faults {
	u, err := url.Parse(address)
	switch {
	case address == "":
		return Faults{"the address is missing: https://host:8200"}
	case err != nil: // not shown: it may hold a password
		return Faults{"the address cannot be read; write https://host:8200"}
	case u.Scheme != "https":
		return Faults{"the address must begin with https://: data keys cross this connection"}
	case u.Host == "" || u.Hostname() == "":
		return Faults{"the address names no host; write https://host:8200"}
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return Faults{"the address is more than scheme, host and port; write https://host:8200"}
	}
	return nil
}

// Format prints where the engine is, and of the credentials nothing, whatever the verb.
func (o Options) Format(s fmt.State, _ rune) {
	o = o.withDefaults()
	_, _ = io.WriteString(s, "transit key "+o.Mount+"/"+o.Key)
}

// Format prints nothing of it.
func (a AppRole) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[AppRole]") }
