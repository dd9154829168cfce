package catalog

import (
	"context"
	"database/sql"
	"time"

	"photovault/consent"
)

// Queries returns every statement run so far, in the engine's form.
func (d *DB) Queries() (list []string) {
	d.queries.Range(func(_, bound any) bool { list = append(list, bound.(string)); return true })
	return list
}

// Writer is the connection that writes, for faults put into it.
func (d *DB) Writer() *sql.DB { return d.writer }

// Counted returns what the token's photo would be counted on, and whether it
// was counted within the day.
func (d *DB) Counted(ctx context.Context, t *consent.Token) (*consent.Volume, bool, error) {
	c := d.ForPractice(t.Practice).(*practice)
	k, err := c.keys(ctx)
	if err != nil {
		return nil, false, err
	}
	v, err := c.lockVolume(ctx, d.read(), k, t)
	if err != nil {
		return nil, false, err
	}
	again, err := c.countedToday(ctx, d.read(), k, t)
	return v, again, err
}

// Durable looks at the server again, as if these had been sent to it.
func (d *DB) Durable(ctx context.Context, sent map[string]string) error { return d.durable(ctx, sent) }

// SetNow turns the clock of an open database.
func (d *DB) SetNow(now func() time.Time) { d.options.Now = now }
