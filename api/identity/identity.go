// Package identity establishes who is asking: it turns a bearer secret into a
// consent.Principal, slows down guessing, and counts what fails.
package identity

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// Sentinels that reach a client. Why a secret was refused is never told.
var (
	ErrUnauthenticated = errors.New("identity: not authenticated")
	ErrSlowDown        = errors.New("identity: too many failed attempts from this address")
)

// Limits of failed attempts per source address. A credential has 256 random
// bits; the limit keeps noise and load down rather than guessing at bay.
const (
	FailuresPerMinute = 30
	maxSources        = 10_000 // addresses counted at once; beyond, all others share one count
	maxNamed          = 50     // addresses that a minute's entries name; beyond, one entry has the rest
	everyoneElse      = "other"
)

// Authenticator looks bearer secrets up. It is safe for concurrent use.
type Authenticator struct {
	catalogs vault.Catalogs
	practice id.Practice // whose log failures of unknown callers go to
	now      func() time.Time
	log      *slog.Logger

	mu       sync.Mutex
	minute   time.Time
	failures map[string]int // of this minute
	counted  map[string]int // of minutes before, not written yet
}

// New returns an Authenticator; now may be nil.
func New(catalogs vault.Catalogs, practice id.Practice, now func() time.Time, log *slog.Logger) *Authenticator {
	if now == nil {
		now = time.Now
	}
	return &Authenticator{catalogs: catalogs, practice: practice, now: now, log: log, failures: map[string]int{}, counted: map[string]int{}}
}

// Authenticate returns who presents the secret: an account by its personal
// token, or the holder of an upload grant. source is the caller's address.
// A secret that is right is never refused for its neighbours' sake: it is
// looked up first, and only what is wrong is slowed down.
// Errors: ErrUnauthenticated, ErrSlowDown, vault.ErrUnavailable, vault.ErrBroken.
func (a *Authenticator) Authenticate(ctx context.Context, b consent.Bearer, source string) (consent.Principal, error) {
	p, err := a.lookup(ctx, b)
	p.Source = source
	if errors.Is(err, vault.ErrNotFound) {
		if a.Failed(source) {
			return consent.Principal{}, ErrSlowDown
		}
		return consent.Principal{}, ErrUnauthenticated
	}
	return p, err
}

func (a *Authenticator) lookup(ctx context.Context, b consent.Bearer) (consent.Principal, error) {
	var (
		account *vault.Account
		expires time.Time
		p       consent.Principal
	)
	switch {
	case b.Is(consent.CredentialPrefix):
		holder, credential, err := a.catalogs.Holder(ctx, b.Hash())
		if err != nil {
			return p, err
		}
		account, expires = holder, credential.ExpiresAt
		p.Role = holder.Role
	case b.Is(consent.GrantPrefix):
		holder, grant, err := a.catalogs.Grant(ctx, b.Hash())
		if err != nil {
			return p, err
		}
		account, expires = holder, grant.ExpiresAt
		p.Role, p.Grant = consent.Tablet, grant.Photo
	default:
		return p, vault.ErrNotFound
	}
	if !account.Active() || !a.now().Before(expires) {
		return consent.Principal{}, vault.ErrNotFound
	}
	p.Practice, p.Account = account.Practice, account.ID
	return p, nil
}

// Failed counts a failed attempt that has no account behind it: a wrong secret,
// or a retrieval token that does not exist or is spent. It reports whether the
// source has failed too often this minute; beyond that nothing is counted.
func (a *Authenticator) Failed(source string) (tooOften bool) {
	minute := a.now().UTC().Truncate(time.Minute)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rollOver(minute)
	source = network(source)
	if _, known := a.failures[source]; !known && len(a.failures) >= maxSources {
		source = everyoneElse
	}
	if a.failures[source] >= FailuresPerMinute {
		return true
	}
	a.failures[source]++
	return false
}

// network is what an address is counted by: an IPv6 site has a /64 at least.
func network(source string) string {
	ip, err := netip.ParseAddr(source)
	if err != nil || ip.Unmap().Is4() {
		return source
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return source
	}
	return p.String()
}

// rollOver puts the counts of an earlier minute aside to be written by Flush,
// in no request's time. The caller holds mu.
func (a *Authenticator) rollOver(minute time.Time) {
	if a.minute.Equal(minute) {
		return
	}
	a.minute = minute
	for source, n := range a.failures {
		if _, known := a.counted[source]; !known && len(a.counted) >= maxSources {
			source = everyoneElse
		}
		a.counted[source] += n
	}
	clear(a.failures)
}

// Flush writes what was counted in minutes that are over, or all of it, to the
// log: one entry a source, and one for all beyond the maxNamed that failed
// most. Written one by one, failures would let a stranger fill the log. What
// cannot be written is kept for the next time.
func (a *Authenticator) Flush(ctx context.Context, all bool) {
	minute := a.now().UTC().Truncate(time.Minute)
	if all {
		minute = time.Time{}
	}
	a.mu.Lock()
	a.rollOver(minute)
	counted := a.counted
	a.counted = map[string]int{}
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	sources := slices.SortedFunc(maps.Keys(counted), func(x, y string) int { return cmp.Or(counted[y]-counted[x], cmp.Compare(x, y)) })
	rest := 0
	for _, s := range sources[min(maxNamed, len(sources)):] {
		rest += counted[s]
	}
	for _, s := range sources[:min(maxNamed, len(sources))] {
		a.write(ctx, s, counted[s])
	}
	if rest > 0 {
		a.write(ctx, everyoneElse, rest)
	}
}

func (a *Authenticator) write(ctx context.Context, source string, n int) {
	e := &audit.Entry{Action: audit.UnauthenticatedSum, Outcome: audit.Denied, Reason: "unauthenticated", Source: source, Count: n}
	if err := a.catalogs.ForPractice(a.practice).WriteAudit(ctx, e); err != nil {
		a.log.Error("failed attempts could not be written to the audit log", "count", n, "error", err)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.counted[source] += n
	}
}
