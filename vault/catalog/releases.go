package catalog

import (
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

func (c *practice) AddToken(ctx context.Context, t *consent.Token, e *audit.Entry) error {
	if t.Practice != c.p {
		return errForeign
	}
	return c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		photo, err := c.photo(ctx, tx, k, `id = $2`, t.Photo)
		if err != nil {
			return err
		}
		if photo.Patient != t.Patient || photo.State == vault.Removed {
			return vault.ErrNotFound
		}
		sealed, err := sealRow(k, place{"token", c.p, string(t.ID), 1}, t)
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, `INSERT INTO token (practice, id, hash, account, patient, photo, campaign, expires_at, sealed)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			c.p, t.ID, t.Hash[:], t.Account, t.Patient, t.Photo, t.Campaign, ms(t.ExpiresAt), sealed)
		return err
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

// CommitUse fences the use on the patient's epoch and writes use and audit
// entry. In SQLite it holds the write lock, so that a revocation comes wholly
// before it or wholly after it; on a server the three are one statement, and
// the fence locks the head's row.
func (c *practice) CommitUse(ctx context.Context, patient id.Patient, epoch int64, u consent.Use, e *audit.Entry) (bool, error) {
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
	if c.d.seen.older([]sighting{saw("subject", c.p, patient, epoch)}) {
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
		n, err := c.d.alone(ctx, commitUse, c.p, patient, epoch, u.Token, u.N, sealed, r.id, r.patient, r.sealed, r.mac)
		if err != nil || n == 0 {
			return false, err
		}
		c.noteUse(u, now)
		return true, nil
	}
	err = c.d.write(ctx, func(tx querier) error {
		fenced := false
		err := tx.each(ctx, `SELECT epoch FROM subject WHERE practice = $1 AND id = $2 AND epoch = $3`+c.d.dialect.fence,
			[]any{c.p, patient, epoch}, func(scanner) error { fenced = true; return nil })
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

// Epochs opens the heads: a clear epoch alone could be put back.
func (c *practice) Epochs(ctx context.Context, patients []id.Patient) (map[id.Patient]int64, error) {
	if len(patients) == 0 {
		return map[id.Patient]int64{}, nil
	}
	k, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	// Filled up to a power of two, so that there are few different statements.
	args, list := []any{c.p}, []string(nil)
	for i := range 1 << bits.Len(uint(len(patients)-1)) {
		args = append(args, patients[min(i, len(patients)-1)])
		list = append(list, "$"+strconv.Itoa(i+2))
	}
	query := `SELECT id, epoch, sealed FROM subject WHERE practice = $1 AND id IN (` + strings.Join(list, ", ") + `)`
	return watched(c.d, func() (map[id.Patient]int64, []sighting, error) {
		epochs, seen := make(map[id.Patient]int64, len(patients)), []sighting(nil)
		err := c.d.read().each(ctx, query, args, func(scan scanner) error {
			var (
				p      id.Patient
				epoch  int64
				sealed []byte
			)
			if err := scan(&p, &epoch, &sealed); err != nil {
				return err
			}
			if _, err := openHead(k, string(p), epoch, sealed); err != nil {
				return err
			}
			epochs[p] = epoch
			seen = append(seen, saw("subject", c.p, p, epoch))
			return nil
		})
		return epochs, seen, err
	})
}
