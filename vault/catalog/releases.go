package catalog

import (
	"bytes"
	"context"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func (c *practice) AddToken(ctx context.Context, t *consent.Token, a consent.Allowance, e *audit.Entry) ([]consent.Warning, error) {
	if t.Practice != c.p {
		return nil, errForeign
	}
	var (
		tally consent.Tally
		seen  []sighting
	)
	err := c.change(ctx, e, func(tx querier, k *practiceKeys, e *audit.Entry) error {
		photo, err := c.photo(ctx, tx, k, `id = $2`, t.Photo)
		if err != nil {
			return err
		}
		if photo.Patient != t.Patient || photo.State == vault.Removed {
			return vault.ErrNotFound
		}
		if tally, seen, err = c.countPhoto(ctx, tx, k, t, a, e); err != nil {
			return err
		}
		if tally.After > 0 { // what is left of the transaction is the refusal
			e.Outcome, e.Reason, e.Subject = audit.Denied, vault.Code(vault.ErrVolume), ""
			return nil
		}
		sealed, err := sealRow(k, place{"token", c.p, string(t.ID), 1}, t)
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, `INSERT INTO token (practice, id, hash, account, patient, photo, campaign, expires_at, authorization_id, counted_at, sealed)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			c.p, t.ID, t.Hash[:], t.Account, t.Patient, t.Photo, t.Campaign, ms(t.ExpiresAt), t.Authorization, maybeMS(t.CountedAt), sealed)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.d.seen.note(c.d.now(), seen...)
	if tally.After > 0 {
		return tally.Warnings, &vault.VolumeError{After: tally.After}
	}
	return tally.Warnings, nil
}

// tokenRow is a row of token as read.
type tokenRow struct {
	id               id.Token
	hash             []byte
	account          id.Account
	patient          id.Patient
	photo            id.Photo
	campaign         id.Campaign
	authorization    id.Authorization
	expires, counted int64
	sealed           []byte
}

func (r *tokenRow) open(k *practiceKeys) (*consent.Token, error) {
	return openRow(k, place{"token", k.practice, string(r.id), 1}, r.sealed, func(v *consent.Token) bool {
		return v.Practice == k.practice && v.ID == r.id && bytes.Equal(v.Hash[:], r.hash) && v.Account == r.account && v.Patient == r.patient &&
			v.Photo == r.photo && v.Campaign == r.campaign && v.Authorization == r.authorization && ms(v.ExpiresAt) == r.expires && maybeMS(v.CountedAt) == r.counted
	})
}

// use is a token's use as it is sealed.
type use struct {
	Practice id.Practice        `json:"practice"`
	Token    id.Token           `json:"token"`
	N        int                `json:"n"`
	Outcome  consent.UseOutcome `json:"outcome"`
	BegunAt  time.Time          `json:"begun_at"`
}

// Versions of a use: it changes once.
const (
	useBegun    = 1
	useFinished = 2
)

func usePlace(p id.Practice, t id.Token, n int64, version int64) place {
	return place{"token_use", p, string(t) + "/" + strconv.FormatInt(n, 10), version}
}

func openUse(k *practiceKeys, t id.Token, n, version int64, sealed []byte) (*use, error) {
	return openRow(k, usePlace(k.practice, t, n, version), sealed, func(v *use) bool {
		return v.Practice == k.practice && v.Token == t && int64(v.N) == n && (v.Outcome == consent.UseBegun) == (version == useBegun)
	})
}

// CommitUse fences the use on the patient's epoch and the account's version,
// and writes use and audit entry. In SQLite it holds the write lock, so that a revocation comes wholly
// before it or wholly after it; on a server the three are one statement, and
// the fence locks the head's row.
func (c *practice) CommitUse(ctx context.Context, f consent.Fence, u consent.Use, e *audit.Entry) (bool, error) {
	switch {
	case e == nil:
		return false, errNoEntry
	case u.Practice != c.p || u.N < 1:
		return false, errForeign
	}
	k, err := c.keys(ctx)
	if err != nil {
		return false, err
	}
	if c.d.seen.older([]sighting{saw("subject", c.p, f.Patient, f.Epoch), saw("account", c.p, f.Account, f.Version)}) {
		return false, nil
	}
	now := c.d.now()
	row := &use{c.p, u.Token, u.N, consent.UseBegun, now}
	sealed, err := sealRow(k, usePlace(c.p, u.Token, int64(u.N), useBegun), row)
	if err != nil {
		return false, err
	}
	committed := false
	if c.d.dialect.server {
		r, err := c.d.auditRow(k, e)
		if err != nil {
			return false, err
		}
		n, err := c.d.alone(ctx, commitUse, c.p, f.Patient, f.Epoch, u.Token, u.N, sealed, r.id, r.patient, r.sealed, r.mac, f.Account, f.Version)
		if err != nil || n == 0 {
			return false, err
		}
		c.noteUse(u, now)
		return true, nil
	}
	err = c.d.write(ctx, func(tx querier) error {
		fenced := false
		err := tx.each(ctx, `SELECT s.epoch FROM subject s JOIN account a ON a.practice = s.practice
			WHERE s.practice = $1 AND s.id = $2 AND s.epoch = $3 AND a.id = $4 AND a.version = $5`+c.d.dialect.fence,
			[]any{c.p, f.Patient, f.Epoch, f.Account, f.Version}, func(scanner) error { fenced = true; return nil })
		if err != nil || !fenced {
			return err
		}
		n, err := tx.exec(ctx, `INSERT INTO token_use (practice, token, n, version, sealed) VALUES ($1, $2, $3, 1, $4) ON CONFLICT DO NOTHING`,
			c.p, u.Token, u.N, sealed)
		if err != nil || n == 0 {
			return err
		}
		committed = true
		return c.d.audit(ctx, tx, k, e)
	})
	if err != nil || !committed {
		return false, err
	}
	c.noteUse(u, now)
	return true, nil
}

func (c *practice) noteUse(u consent.Use, now time.Time) {
	s := saw("token_use", c.p, u.Token, int64(u.N))
	s.until = now.Add(consent.MaxLife)
	c.d.seen.note(now, s)
}

func (c *practice) FinishUse(ctx context.Context, u consent.Use, o consent.UseOutcome, e *audit.Entry) error {
	if u.Practice != c.p || o == consent.UseBegun {
		return errForeign
	}
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		var row *use
		err := tx.one(ctx, `SELECT version, sealed FROM token_use WHERE practice = $1 AND token = $2 AND n = $3`+c.d.dialect.lock,
			[]any{c.p, u.Token, u.N}, func(scan scanner) (err error) {
				var (
					version int64
					sealed  []byte
				)
				if err := scan(&version, &sealed); err != nil {
					return err
				}
				row, err = openUse(k, u.Token, int64(u.N), version, sealed)
				return err
			})
		switch {
		case err != nil:
			return err
		case row.Outcome != consent.UseBegun:
			return &vault.ConflictError{Code: "use_finished", Sentence: "How this delivery ended is recorded already."}
		}
		row.Outcome = o
		sealed, err := sealRow(k, usePlace(c.p, u.Token, int64(u.N), useFinished), row)
		if err != nil {
			return err
		}
		n, err := tx.exec(ctx, `UPDATE token_use SET version = 2, sealed = $1 WHERE practice = $2 AND token = $3 AND n = $4 AND version = 1`,
			sealed, c.p, u.Token, u.N)
		return count(n, err, errRow("token_use"))
	})
}

// Versions opens the rows: a clear number alone could be put back.
func (c *practice) Versions(ctx context.Context, of vault.Standing) (vault.Versions, error) {
	out := vault.Versions{Patients: map[id.Patient]int64{}, Accounts: map[id.Account]int64{}, Campaigns: map[id.Campaign]int64{}}
	args, parts := []any{c.p}, []string(nil)
	for _, t := range []struct {
		table, number string
		ids           []string
	}{{"subject", "epoch", texts(of.Patients)}, {"account", "version", texts(of.Accounts)}, {"campaign", "version", texts(of.Campaigns)}} {
		if len(t.ids) == 0 {
			continue
		}
		// Filled up to a power of two, so that there are few different statements.
		var list []string
		for i := range 1 << bits.Len(uint(len(t.ids)-1)) {
			args = append(args, t.ids[min(i, len(t.ids)-1)])
			list = append(list, "$"+strconv.Itoa(len(args)))
		}
		parts = append(parts, `SELECT '`+t.table+`', id, `+t.number+`, sealed FROM `+t.table+` WHERE practice = $1 AND id IN (`+strings.Join(list, ", ")+`)`)
	}
	if len(parts) == 0 {
		return out, nil
	}
	k, err := c.keys(ctx)
	if err != nil {
		return out, err
	}
	query := strings.Join(parts, " UNION ALL ")
	return watched(c.d, func() (vault.Versions, []sighting, error) {
		var seen []sighting
		err := c.d.read().each(ctx, query, args, func(scan scanner) (err error) {
			var (
				table, rowID string
				n            int64
				sealed       []byte
			)
			if err := scan(&table, &rowID, &n, &sealed); err != nil {
				return err
			}
			switch table {
			case "subject":
				_, err = openHead(k, rowID, n, sealed)
				out.Patients[id.Patient(rowID)] = n
			case "account":
				_, err = openAccount(k, id.Account(rowID), n, sealed)
				out.Accounts[id.Account(rowID)] = n
			default:
				_, err = openCampaign(k, id.Campaign(rowID), n, sealed)
				out.Campaigns[id.Campaign(rowID)] = n
			}
			seen = append(seen, saw(table, c.p, rowID, n))
			return err
		})
		return out, seen, err
	})
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}
