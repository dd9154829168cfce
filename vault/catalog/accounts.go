package catalog

import (
	"context"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func (c *practice) AddAccount(ctx context.Context, a *vault.Account, cr *vault.Credential, e *audit.Entry) error {
	if a.Practice != c.p || cr.Practice != c.p || cr.Account != a.ID {
		return errForeign
	}
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		sealed, err := sealRow(k, accountPlace(a), a)
		if err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `INSERT INTO account (practice, id, version, sealed) VALUES ($1, $2, $3, $4)`,
			c.p, a.ID, a.Version, sealed); err != nil {
			return err
		}
		if sealed, err = sealRow(k, place{"credential", c.p, string(cr.ID), 1}, cr); err != nil {
			return err
		}
		_, err = tx.exec(ctx, `INSERT INTO credential (practice, id, account, hash, sealed) VALUES ($1, $2, $3, $4, $5)`,
			c.p, cr.ID, cr.Account, cr.Hash[:], sealed)
		return err
	})
}

func accountPlace(a *vault.Account) place {
	return place{"account", a.Practice, string(a.ID), a.Version}
}

func openAccount(k *practiceKeys, a id.Account, version int64, sealed []byte) (*vault.Account, error) {
	return openRow(k, place{"account", k.practice, string(a), version}, sealed, func(v *vault.Account) bool {
		return v.Practice == k.practice && v.ID == a && v.Version == version
	})
}

func (c *practice) ListAccounts(ctx context.Context) ([]*vault.Account, error) {
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	return watched(c.d, func() (list []*vault.Account, seen []sighting, err error) {
		err = c.d.read().each(ctx, `SELECT id, version, sealed FROM account WHERE practice = $1 ORDER BY id`, []any{c.p}, func(scan scanner) error {
			a, err := scanAccount(k, scan)
			if err != nil {
				return err
			}
			list, seen = append(list, a), append(seen, saw("account", c.p, a.ID, a.Version))
			return nil
		})
		return list, seen, err
	})
}

func scanAccount(k *practiceKeys, scan scanner) (*vault.Account, error) {
	var (
		account id.Account
		version int64
		sealed  []byte
	)
	if err := scan(&account, &version, &sealed); err != nil {
		return nil, err
	}
	return openAccount(k, account, version, sealed)
}

// RevokeAccount marks the account and removes its credentials; the account's
// row stays, for tokens it was given and for the record.
func (c *practice) RevokeAccount(ctx context.Context, account id.Account, e *audit.Entry) error {
	var a *vault.Account
	err := c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) (err error) {
		err = tx.one(ctx, `SELECT id, version, sealed FROM account WHERE practice = $1 AND id = $2`+c.d.dialect.lock,
			[]any{c.p, account}, func(scan scanner) (err error) {
				a, err = scanAccount(k, scan)
				return err
			})
		if err != nil || !a.Active() {
			return err
		}
		before := a.Version
		a.RevokedAt, a.Version = c.d.now(), before+1
		sealed, err := sealRow(k, accountPlace(a), a)
		if err != nil {
			return err
		}
		n, err := tx.exec(ctx, `UPDATE account SET version = $1, sealed = $2 WHERE practice = $3 AND id = $4 AND version = $5`,
			a.Version, sealed, c.p, a.ID, before)
		if err := count(n, err, errRow("account")); err != nil {
			return err
		}
		_, err = tx.exec(ctx, `DELETE FROM credential WHERE practice = $1 AND account = $2`, c.p, a.ID)
		return err
	})
	if err == nil {
		c.d.seen.note(c.d.now(), saw("account", c.p, a.ID, a.Version))
	}
	return err
}

// Holder reads a credential and its account.
func (d *DB) Holder(ctx context.Context, h consent.BearerHash) (*vault.Account, *vault.Credential, error) {
	type holder struct {
		a *vault.Account
		c *vault.Credential
	}
	found, err := watched(d, func() (out holder, seen []sighting, err error) {
		var (
			p          id.Practice
			credential id.Credential
			account    id.Account
			version    int64
			sc, sa     []byte
		)
		err = d.read().one(ctx, `SELECT c.practice, c.id, c.account, c.sealed, a.version, a.sealed
			FROM credential c JOIN account a ON a.practice = c.practice AND a.id = c.account WHERE c.hash = $1`, []any{h[:]},
			func(scan scanner) error { return scan(&p, &credential, &account, &sc, &version, &sa) })
		if err != nil {
			return out, nil, d.absent(ctx, err)
		}
		k, err := d.keysOfRow(ctx, p, "credential")
		if err != nil {
			return out, nil, err
		}
		out.c, err = openRow(k, place{"credential", p, string(credential), 1}, sc, func(v *vault.Credential) bool {
			return v.Practice == p && v.ID == credential && v.Account == account && v.Hash == h
		})
		if err != nil {
			return out, nil, err
		}
		out.a, err = openAccount(k, account, version, sa)
		return out, []sighting{saw("account", p, account, version)}, err
	})
	if err != nil {
		return nil, nil, err
	}
	return found.a, found.c, nil
}

// Grant reads an upload grant and the account that declared.
func (d *DB) Grant(ctx context.Context, h consent.BearerHash) (*vault.Account, *vault.Grant, error) {
	type granted struct {
		a *vault.Account
		g *vault.Grant
	}
	found, err := watched(d, func() (out granted, seen []sighting, err error) {
		var (
			p                id.Practice
			photo            id.Photo
			account          id.Account
			expires, version int64
			sg, sa           []byte
		)
		err = d.read().one(ctx, `SELECT g.practice, g.photo, g.account, g.expires_at, g.sealed, a.version, a.sealed
			FROM upload_grant g JOIN account a ON a.practice = g.practice AND a.id = g.account WHERE g.hash = $1`, []any{h[:]},
			func(scan scanner) error { return scan(&p, &photo, &account, &expires, &sg, &version, &sa) })
		if err != nil {
			return out, nil, d.absent(ctx, err)
		}
		k, err := d.keysOfRow(ctx, p, "upload_grant")
		if err != nil {
			return out, nil, err
		}
		out.g, err = openRow(k, place{"upload_grant", p, h.String(), 1}, sg, func(v *vault.Grant) bool {
			return v.Practice == p && v.Photo == photo && v.Account == account && v.Hash == h && ms(v.ExpiresAt) == expires
		})
		if err != nil {
			return out, nil, err
		}
		out.a, err = openAccount(k, account, version, sa)
		return out, []sighting{saw("account", p, account, version)}, err
	})
	if err != nil {
		return nil, nil, err
	}
	return found.a, found.g, nil
}

func (c *practice) addGrant(ctx context.Context, tx querier, k *practiceKeys, g *vault.Grant) error {
	sealed, err := sealRow(k, place{"upload_grant", c.p, g.Hash.String(), 1}, g)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO upload_grant (practice, hash, photo, account, expires_at, sealed) VALUES ($1, $2, $3, $4, $5, $6)`,
		c.p, g.Hash[:], g.Photo, g.Account, ms(g.ExpiresAt), sealed)
	return err
}
