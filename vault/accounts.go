package vault

import (
	"context"
	"strings"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// CredentialLife is how long a personal token lives unless asked otherwise;
// MaxCredentialLife is the longest.
const (
	CredentialLife    = 90 * 24 * time.Hour
	MaxCredentialLife = 366 * 24 * time.Hour
)

// AddAccount creates an account and returns its personal token, which is
// shown this once: only its hash is kept.
func (s *Service) AddAccount(ctx context.Context, who consent.Principal, name string, role consent.Role, life time.Duration) (*Account, *Credential, consent.Bearer, error) {
	e := entry(who, audit.AccountCreate, audit.Allowed)
	if err := s.allow(ctx, who, consent.ManageAccounts, e); err != nil {
		return nil, nil, "", err
	}
	a, c, b, err := NewAccount(who.Practice, name, role, life, s.now())
	if err == nil {
		e.Subject = string(a.ID)
		err = s.Catalogs.ForPractice(who.Practice).AddAccount(ctx, a, c, e)
	}
	if err != nil {
		return nil, nil, "", s.failed(ctx, who, e, err)
	}
	return a, c, b, nil
}

// NewAccount makes the rows of an account without storing them; init uses it
// for the first administrator, whom nobody can have authorized.
func NewAccount(p id.Practice, name string, role consent.Role, life time.Duration, now time.Time) (*Account, *Credential, consent.Bearer, error) {
	name = strings.TrimSpace(name)
	switch {
	case consent.Blank(name) || len(name) > consent.MaxName:
		return nil, nil, "", invalid("name", "Give the person's or system's name; accounts are not shared.")
	case !consent.ValidRole(role):
		return nil, nil, "", invalid("role", "Choose one of: "+roles()+".")
	case life < 0 || life > MaxCredentialLife:
		return nil, nil, "", invalid("expires_in_days", "A token lives at most 366 days.")
	case life == 0:
		life = CredentialLife
	}
	b := consent.NewBearer(consent.CredentialPrefix)
	a := &Account{ID: id.New[id.Account](), Practice: p, Name: name, Role: role, Version: 1, CreatedAt: now}
	c := &Credential{ID: id.New[id.Credential](), Practice: p, Account: a.ID, Hash: b.Hash(), ExpiresAt: now.Add(life)}
	return a, c, b, nil
}

func roles() string {
	names := make([]string, len(consent.AccountRoles))
	for i, r := range consent.AccountRoles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// ListAccounts lists the practice's accounts.
func (s *Service) ListAccounts(ctx context.Context, who consent.Principal) ([]*Account, error) {
	e := entry(who, audit.AccountList, audit.Allowed)
	if err := s.allow(ctx, who, consent.ManageAccounts, e); err != nil {
		return nil, err
	}
	list, err := s.Catalogs.ForPractice(who.Practice).ListAccounts(ctx)
	if err != nil {
		return nil, err
	}
	return list, s.log(ctx, who, e)
}

// RevokeAccount ends an account; its tokens stop working at once.
func (s *Service) RevokeAccount(ctx context.Context, who consent.Principal, a id.Account) error {
	e := entry(who, audit.AccountRevoke, audit.Allowed)
	e.Subject = string(a)
	if err := s.allow(ctx, who, consent.ManageAccounts, e); err != nil {
		return err
	}
	if a == who.Account {
		return s.failed(ctx, who, e, &ConflictError{Code: "own_account",
			Sentence: "An administrator cannot revoke the account in use; let another do it."})
	}
	if err := s.Catalogs.ForPractice(who.Practice).RevokeAccount(ctx, a, e); err != nil {
		return s.failed(ctx, who, e, err)
	}
	s.streams.recheck()
	return nil
}
