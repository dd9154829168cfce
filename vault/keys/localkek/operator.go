package localkek

import (
	"context"
	"fmt"

	"photovault/vault/keys"
	"photovault/vault/secret"
)

// Operator changes a key file, durably, beside a running service, which sees
// the change within a second. Whoever has the file has all its powers: the
// separation of officer and service is HashiCorp Vault's to give.
type Operator struct {
	path       string
	passphrase []byte // borrowed
}

var _ keys.Operator = (*Operator)(nil)

// NewOperator returns the operator of a key file. The passphrase is borrowed
// for as long as it is used; empty means none.
func NewOperator(path string, passphrase []byte) *Operator {
	return &Operator{path: path, passphrase: passphrase}
}

// Versions implements keys.Operator. Errors: as Open.
func (o *Operator) Versions(ctx context.Context) (keys.Versions, error) {
	return o.change(ctx, func(*file, *secret.Key) (bool, error) { return false, nil })
}

// Rotate implements keys.Operator. Errors: as Open.
func (o *Operator) Rotate(ctx context.Context) (keys.Versions, error) {
	return o.change(ctx, func(f *file, unlock *secret.Key) (bool, error) { return true, f.add(unlock) })
}

// Erase implements keys.Operator: the file is written anew without the older
// keys. A file system or a disk may keep the old blocks, and backups of the
// file certainly do: they must go too. Errors: as Open.
func (o *Operator) Erase(ctx context.Context, below uint32) (keys.Versions, error) {
	return o.change(ctx, func(f *file, _ *secret.Key) (bool, error) {
		if below > f.newest() {
			return false, fmt.Errorf("localkek: erase below %d: the newest version is %d", below, f.newest())
		}
		var kept []kek
		for _, k := range f.Keys {
			if k.Version >= below {
				kept = append(kept, k)
				continue
			}
			clear(k.Key)
		}
		changed := len(kept) < len(f.Keys)
		f.Keys = kept
		return changed, nil
	})
}

// change reads the file, lets fn change it, and writes it if fn says so.
func (o *Operator) change(ctx context.Context, fn func(f *file, unlock *secret.Key) (bool, error)) (v keys.Versions, err error) {
	if err := ctx.Err(); err != nil {
		return v, fmt.Errorf("%w: %w", keys.ErrUnavailable, err)
	}
	err = locked(o.path, func() error {
		f, _, err := read(o.path)
		if err != nil {
			return err
		}
		defer f.wipe()
		unlock, err := f.unlock(o.passphrase)
		if err != nil {
			return fmt.Errorf("%s: %w", o.path, err)
		}
		defer unlock.Destroy()
		all, err := f.openAll(o.path, unlock) // never adds a key under another passphrase
		destroy(all)
		if err != nil {
			return err
		}
		changed, err := fn(f, unlock)
		if err != nil {
			return err
		}
		v = keys.Versions{Oldest: f.Keys[0].Version, Newest: f.newest()}
		if changed {
			return f.write(o.path, false)
		}
		return nil
	})
	if err != nil {
		return keys.Versions{}, err
	}
	return v, nil
}
