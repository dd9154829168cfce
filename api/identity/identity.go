// Package identity establishes who is asking: it turns a bearer secret into a
// consent.Principal, slows down guessing, and counts what fails.
package identity

import (
	"context"
	"errors"
	"log/slog"
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
	maxKnown          = 10_000 // valid secrets remembered
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
	failures map[string]int
	known    map[consent.BearerHash]struct{} // secrets that were found valid before
}

// New returns an Authenticator; now may be nil.
func New(catalogs vault.Catalogs, practice id.Practice, now func() time.Time, log *slog.Logger) *Authenticator {
	if now == nil {
		now = time.Now
	}
	return &Authenticator{catalogs: catalogs, practice: practice, now: now, log: log, failures: map[string]int{},
		known: map[consent.BearerHash]struct{}{}}
}

// Authenticate returns who presents the secret: an account by its personal
// token, or the holder of an upload grant. source is the caller's address.
// From an address that has failed too often only secrets that were valid
// before are looked up: guessing stops, and the clinic behind the same
// address goes on working.
// Errors: ErrUnauthenticated, ErrSlowDown, vault.ErrUnavailable, vault.ErrBroken.
func (a *Authenticator) Authenticate(ctx context.Context, b consent.Bearer, source string) (consent.Principal, error) {
	if a.tooMany(ctx, source) && !a.remembers(b) {
		return consent.Principal{}, ErrSlowDown
	}
	p, err := a.lookup(ctx, b)
	p.Source = source
	if errors.Is(err, vault.ErrNotFound) {
		a.Failed(ctx, source)
		return consent.Principal{}, ErrUnauthenticated
	}
	if err == nil {
		a.remember(b)
	}
	return p, err
}

func (a *Authenticator) remembers(b consent.Bearer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.known[b.Hash()]
	return ok
}

func (a *Authenticator) remember(b consent.Bearer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxKnown {
		clear(a.known)
	}
	a.known[b.Hash()] = struct{}{}
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

// Failed counts a failed attempt that has no account: a wrong secret, or a
// retrieval token that does not exist.
func (a *Authenticator) Failed(ctx context.Context, source string) {
	a.rollOver(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failures[a.bucket(source)]++
}

// SlowDown reports whether the source has failed too often this minute.
func (a *Authenticator) SlowDown(ctx context.Context, source string) error {
	if a.tooMany(ctx, source) {
		return ErrSlowDown
	}
	return nil
}

func (a *Authenticator) tooMany(ctx context.Context, source string) bool {
	a.rollOver(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failures[a.bucket(source)] >= FailuresPerMinute
}

func (a *Authenticator) bucket(source string) string {
	if _, known := a.failures[source]; !known && len(a.failures) >= maxSources {
		return everyoneElse
	}
	return source
}

// rollOver writes the counts of the last minute to the log, one entry a
// source: written one by one, failures would let a stranger fill the log.
func (a *Authenticator) rollOver(ctx context.Context) {
	minute := a.now().UTC().Truncate(time.Minute)
	a.mu.Lock()
	if a.minute.Equal(minute) || len(a.failures) == 0 {
		a.minute = minute
		a.mu.Unlock()
		return
	}
	counted := a.failures
	a.failures, a.minute = map[string]int{}, minute
	a.mu.Unlock()
	a.write(ctx, counted)
}

// Flush writes what was counted so far; the service calls it when it stops,
// and every minute, so that counts are written without a further attempt.
func (a *Authenticator) Flush(ctx context.Context, all bool) {
	if !all {
		a.rollOver(ctx)
		return
	}
	a.mu.Lock()
	counted := a.failures
	a.failures = map[string]int{}
	a.mu.Unlock()
	a.write(ctx, counted)
}

func (a *Authenticator) write(ctx context.Context, counted map[string]int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for source, n := range counted {
		e := &audit.Entry{Action: audit.UnauthenticatedSum, Outcome: audit.Denied, Reason: "unauthenticated", Source: source, Count: n}
		if err := a.catalogs.ForPractice(a.practice).WriteAudit(ctx, e); err != nil {
			a.log.Error("failed attempts could not be written to the audit log", "count", n, "error", err)
		}
	}
}
