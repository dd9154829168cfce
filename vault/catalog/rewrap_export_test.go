package catalog

import (
	"context"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// AddPhotoKeys writes data keys of n photos that need not exist.
func (d *DB) AddPhotoKeys(ctx context.Context, p id.Practice, n int) error {
	c := &practice{d, p}
	list := make([]*vault.PhotoKey, n)
	for i := range list {
		photo := id.New[id.Photo]()
		key, wrapped, err := d.keys.NewDataKey(ctx, vault.PhotoKeyContext(p, photo, ""))
		if err != nil {
			return err
		}
		key.Destroy()
		list[i] = &vault.PhotoKey{Photo: photo, Wrapped: wrapped}
	}
	return c.change(ctx, &audit.Entry{Action: audit.PhotoIngest, Outcome: audit.Allowed}, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		for _, key := range list {
			if err := c.addPhotoKey(ctx, tx, k, key); err != nil {
				return err
			}
		}
		return nil
	})
}
