package transit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/api"

	"photovault/vault/keys"
)

// failure is why a call was not served. It is a keys.ErrUnavailable, and says
// to whoever runs the server what to do. It shows nothing of the request.
type failure struct {
	call      string // such as decrypt
	status    int    // of HTTP; 0: no answer
	text      string
	transient bool  // the server is in trouble; another attempt may be served
	again     bool  // it is not, and there is another token now
	cause     error // only the caller's own: context.Canceled, DeadlineExceeded
}

func (f *failure) Error() string {
	return fmt.Sprintf("%v: transit: %s: %s", keys.ErrUnavailable, f.call, f.text)
}

func (f *failure) Unwrap() []error {
	if f.cause == nil {
		return []error{keys.ErrUnavailable}
	}
	return []error{keys.ErrUnavailable, f.cause}
}

func cancelled(call string, ctx context.Context) error {
	return &failure{call: call, text: ctx.Err().Error(), cause: ctx.Err()}
}

// explain turns an error of the client into a failure.
func explain(call, path string, err error) *failure {
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		text := "no answer: " + err.Error() // names the address, never the body or a header
		if errors.Is(err, context.DeadlineExceeded) {
			text = "no answer in time"
		}
		return &failure{call: call, text: text, transient: true}
	}
	f := &failure{call: call, status: answer.StatusCode}
	said := plain(answer)
	switch s := answer.StatusCode; {
	case s == 400:
		f.text = "the engine does not take the request: " + said
	case s == 403:
		f.text = fmt.Sprintf("the token may not use %s (%s): see the policies in deploy/policies/transit", path, said)
	case s == 404:
		f.text = fmt.Sprintf("there is nothing at %s (%s): check the mount, the key's name and the namespace", path, said)
	case s == 503 && strings.Contains(strings.ToLower(said), "sealed"):
		f.text, f.transient = "the server is sealed: vault operator unseal", true
	case s == 412 || s == 429 || s >= 500:
		f.text, f.transient = fmt.Sprintf("the server answers %d (%s)", s, said), true
	default:
		f.text = fmt.Sprintf("the server answers %d (%s)", s, said)
	}
	return f
}

const maxSaid = 200

// plain is what the server said, fit for a log: one short line.
func plain(answer *api.ResponseError) string {
	if answer.RawError {
		return "not an answer of the engine: is there a proxy in between?"
	}
	said := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, strings.Join(answer.Errors, ", "))
	if said = strings.Join(strings.Fields(said), " "); said == "" {
		return "no reason given"
	}
	return said[:min(len(said), maxSaid)]
}

// refusals are the engine's words for a wrapped key or context that is not
// right (sdk/helper/keysutil/policy.go of HashiCorp Vault and of OpenBao).
var refusals = []string{
	"invalid ciphertext",                    // no prefix, wrong number of fields, version too new, not base64, too short
	"cipher: message authentication failed", // damaged, or of another context or key
	"disallowed by policy (too old)",        // below min_decryption_version
	"no such key version",                   // trimmed
	"invalid key version",
}

func refusal(said string) bool {
	for _, r := range refusals {
		if strings.Contains(said, r) {
			return true
		}
	}
	return false
}
