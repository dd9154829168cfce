package consent

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"photovault/vault/id"
)

// Bearer is a secret that a client presents: a prefix that tells its kind and
// 32 random bytes in base64url. Only its SHA-256 is ever stored; the secret is
// random, so a fast hash is enough.
type Bearer string

// Prefixes of the kinds of bearer secret.
const (
	CredentialPrefix = "pvc_" // an account's personal token
	GrantPrefix      = "pvg_" // an upload grant
	TokenPrefix      = "pvt_" // a retrieval token
)

// BearerHash is the SHA-256 of a Bearer.
type BearerHash [sha256.Size]byte

// NewBearer returns a fresh secret of the kind.
func NewBearer(prefix string) Bearer {
	var b [32]byte
	rand.Read(b[:])
	return Bearer(prefix + base64.RawURLEncoding.EncodeToString(b[:]))
}

// Is reports whether the secret has the form of the kind.
func (b Bearer) Is(prefix string) bool {
	rest, ok := strings.CutPrefix(string(b), prefix)
	if !ok || len(rest) != 43 {
		return false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	return err == nil && len(raw) == 32
}

// Hash is how the secret is looked up. Comparing hashes of random secrets
// leaks nothing useful by its timing.
func (b Bearer) Hash() BearerHash { return sha256.Sum256([]byte(b)) }

func (h BearerHash) String() string { return hex.EncodeToString(h[:]) }

// String and Format keep the secret out of logs and errors.
func (b Bearer) String() string             { return "[bearer]" }
func (b Bearer) GoString() string           { return "[bearer]" }
func (b Bearer) Format(s fmt.State, _ rune) { fmt.Fprint(s, "[bearer]") }

// Form is how a retrieval token travels.
type Form string

// Forms of a retrieval token.
const (
	InPath   Form = "path"   // in a URL, for <img>: single use, Range ignored
	InHeader Form = "header" // Authorization: Bearer
)

// Lifetimes and uses of retrieval tokens: defaults, and what no role exceeds
// (see Terms).
const (
	PathLife   = 60 * time.Second
	HeaderLife = 5 * time.Minute
	MaxLife    = time.Hour
	MaxUses    = 20
	MaxIntents = 3 // deliveries begun for each use: an incomplete one may be retried
)

// Token is a retrieval token's row. It allows nothing by itself: the release
// is decided again at each use.
type Token struct {
	ID        id.Token    `json:"id"`
	Hash      BearerHash  `json:"hash"`
	Practice  id.Practice `json:"practice"`
	Account   id.Account  `json:"account"` // who asked for it
	Patient   id.Patient  `json:"patient"`
	Photo     id.Photo    `json:"photo"`
	Rendition string      `json:"rendition"`
	Purpose   Purpose     `json:"purpose"`
	Recipient string      `json:"recipient,omitempty"`
	Channel   string      `json:"channel,omitempty"`
	Campaign  id.Campaign `json:"campaign,omitempty"`
	// Authorization is whose copies a marketing token opens; no other's.
	Authorization id.Authorization `json:"authorization,omitempty"`

	Form      Form      `json:"form"`
	Uses      int       `json:"uses"`
	IssuedAt  time.Time `json:"issued_at"`
	ExpiresAt time.Time `json:"expires_at"`
	// CountedAt is IssuedAt where the photo counted for the account's cap; zero:
	// it had been counted within the day, or an emergency went before the cap.
	CountedAt time.Time `json:"counted_at,omitzero"`
}

// Use is one intent to deliver under a token.
type Use struct {
	Practice id.Practice
	Token    id.Token
	N        int // from 1
	Outcome  UseOutcome
}

// UseOutcome is how a delivery ended.
type UseOutcome string

// Outcomes of a delivery. Until one is known the use is Begun, and counts as
// delivered.
const (
	UseBegun      UseOutcome = "begun"
	UseComplete   UseOutcome = "complete"   // one complete 200
	UseIncomplete UseOutcome = "incomplete" // broken off, or a part asked for by Range
)

// next returns the number of the next use, or 0 and why there is none.
func (t *Token) next(now time.Time, uses []Use) (int, string) {
	taken, last := 0, 0
	for _, u := range uses {
		if u.Outcome != UseIncomplete {
			taken++
		}
		last = max(last, u.N)
	}
	switch {
	case now.Before(t.IssuedAt.Add(-time.Minute)):
		return 0, "token_not_yet_valid"
	case !now.Before(t.ExpiresAt):
		return 0, "token_expired"
	case taken >= t.Uses:
		return 0, "token_used"
	case last >= t.Uses*MaxIntents:
		return 0, "token_exhausted"
	default:
		return last + 1, ""
	}
}
