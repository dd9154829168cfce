package transit

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"photovault/vault/keys"
)

// ErrRange: a version that there is not.
var ErrRange = errors.New("transit: no such version of the transit key")

// Operator rotates and erases versions of one transit key. It holds a token
// that may do that and nothing else: no key is opened with it.
type Operator struct{ c *client }

var _ keys.Operator = (*Operator)(nil)

// OpenOperator logs in and reads the key. Errors: ErrConfiguration, keys.ErrUnavailable.
func OpenOperator(ctx context.Context, o Options) (*Operator, error) {
	c, k, err := dialKey(ctx, o)
	if err != nil {
		return nil, err
	}
	if !k.usable() {
		c.close()
		return nil, k.faults(c.o).err()
	}
	return &Operator{c}, nil
}

// Close is as that of Service.
func (o *Operator) Close() error {
	o.c.close()
	return nil
}

// Versions implements keys.Operator.
func (o *Operator) Versions(ctx context.Context) (keys.Versions, error) {
	k, err := o.c.readKey(ctx)
	if err != nil {
		return keys.Versions{}, err
	}
	return k.versions()
}

func (k *transitKey) versions() (keys.Versions, error) {
	if !k.usable() {
		return keys.Versions{}, &failure{call: "versions", text: "the transit key is no aes256-gcm96 key with derived=true"}
	}
	return keys.Versions{Oldest: max(k.MinDecryptionVersion, k.MinAvailableVersion, 1), Newest: k.LatestVersion}, nil
}

// Rotate implements keys.Operator. It is tried once: where its outcome is
// unknown a second one might make two versions, which would do no harm.
func (o *Operator) Rotate(ctx context.Context) (keys.Versions, error) {
	err := o.c.do(ctx, request{call: "rotate", path: o.c.path("keys") + "/rotate", body: []byte("{}"), once: true})
	if err != nil {
		return keys.Versions{}, err
	}
	return o.Versions(ctx)
}

// Erase implements keys.Operator: it raises both minimum versions, trims, and
// reads back. Raising alone only archives: whoever may configure the key could
// lower the minimum again. Each step may be done again, so that an Erase that
// was cut off is finished by the next one. Errors also: ErrRange.
func (o *Operator) Erase(ctx context.Context, below uint32) (keys.Versions, error) {
	k, err := o.c.readKey(ctx)
	if err != nil {
		return keys.Versions{}, err
	}
	v, err := k.versions()
	if err != nil {
		return keys.Versions{}, err
	}
	switch {
	case below > v.Newest:
		return keys.Versions{}, fmt.Errorf("%w: the newest is %d; rotate and rewrap first", ErrRange, v.Newest)
	case below <= 1:
		return v, nil // there is no version below 1
	}
	if k.MinDecryptionVersion < below || k.MinEncryptionVersion < below {
		body := fmt.Appendf(nil, `{"min_decryption_version":%d,"min_encryption_version":%d}`,
			max(below, k.MinDecryptionVersion), max(below, k.MinEncryptionVersion))
		if err := o.c.do(ctx, request{call: "raise the minimum versions", path: o.c.path("keys") + "/config", body: body}); err != nil {
			return keys.Versions{}, err
		}
	}
	if k.MinAvailableVersion < below {
		body := fmt.Appendf(nil, `{"min_available_version":%d}`, below)
		if err := o.c.do(ctx, request{call: "trim", path: o.c.path("keys") + "/trim", body: body}); err != nil {
			return keys.Versions{}, err
		}
	}
	return o.erased(ctx, below)
}

// erased reads back that nothing below is left.
func (o *Operator) erased(ctx context.Context, below uint32) (keys.Versions, error) {
	k, err := o.c.readKey(ctx)
	if err != nil {
		return keys.Versions{}, err
	}
	left := k.MinAvailableVersion < below || k.MinDecryptionVersion < below
	for name := range k.Keys {
		n, err := strconv.ParseUint(name, 10, 32)
		left = left || err != nil || uint32(n) < below
	}
	if left {
		return keys.Versions{}, &failure{call: "erase", text: "the server still has a version that was to be erased; erase again"}
	}
	return k.versions()
}
