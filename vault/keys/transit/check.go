package transit

import (
	"context"
	"fmt"
	"time"
)

// transitKey is the configuration of the transit key, as the engine shows it.
type transitKey struct {
	Type                 string           `json:"type"`
	Derived              bool             `json:"derived"`
	Convergent           bool             `json:"convergent_encryption"`
	Exportable           bool             `json:"exportable"`
	AllowPlaintextBackup bool             `json:"allow_plaintext_backup"`
	DeletionAllowed      bool             `json:"deletion_allowed"`
	Imported             bool             `json:"imported_key"`
	AutoRotatePeriod     int64            `json:"auto_rotate_period"` // seconds
	MinAvailableVersion  uint32           `json:"min_available_version"`
	MinDecryptionVersion uint32           `json:"min_decryption_version"`
	MinEncryptionVersion uint32           `json:"min_encryption_version"`
	LatestVersion        uint32           `json:"latest_version"`
	Keys                 map[string]int64 `json:"keys"` // versions and when they were made
}

const maxKeyConfig = 1 << 20 // bytes of an answer: some 20 a version

// maxPeriod is the longest time for which one version may wrap: NIST SP 800-57
// part 1, 5.3.6, gives a symmetric key-wrapping key two years at most.
const maxPeriod = 2 * 365 * 24 * time.Hour

func (c *client) readKey(ctx context.Context) (*transitKey, error) {
	k := &transitKey{}
	err := c.do(ctx, request{call: "read the key", path: c.path("keys"), limit: maxKeyConfig,
		read: func(answer []byte) error {
			*k = transitKey{}
			return data(answer, k)
		}})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// usable reports whether the key can be what wrapped keys are under.
func (k *transitKey) usable() bool {
	return k.Type == "aes256-gcm96" && k.Derived && k.LatestVersion >= 1
}

// faults are why no photo may be entrusted to the key.
func (k *transitKey) faults(o Options) Faults {
	key := o.Mount + "/keys/" + o.Key
	config := "vault write " + key + "/config "
	anew := "it cannot be changed: make another key with vault write " + o.Mount + "/keys/NAME type=aes256-gcm96 derived=true auto_rotate_period=720h"
	var f Faults
	for _, x := range []struct {
		wrong   bool
		is, fix string
	}{
		{k.Type != "aes256-gcm96", fmt.Sprintf("is of type %.40q, not aes256-gcm96", k.Type), anew},
		{!k.Derived, "has not derived=true: a wrapped key would open in any context", anew},
		{k.Convergent, "has convergent_encryption: equal keys would show", anew},
		{k.Imported, "was imported: what it was made of lies elsewhere, too", anew},
		{k.Exportable, "is exportable", anew},
		{k.AllowPlaintextBackup, "has allow_plaintext_backup", anew},
		{k.DeletionAllowed, "has deletion_allowed", "run " + config + "deletion_allowed=false"},
		{k.AutoRotatePeriod <= 0, "is not rotated by itself", "run " + config + "auto_rotate_period=720h"},
		{time.Duration(k.AutoRotatePeriod)*time.Second > maxPeriod, "is rotated less than once in two years", "run " + config + "auto_rotate_period=720h"},
		{k.LatestVersion < 1 || k.MinDecryptionVersion > k.LatestVersion || k.MinEncryptionVersion > k.LatestVersion,
			"has a minimum version above its latest", "run " + config + "min_decryption_version=1 min_encryption_version=0"},
	} {
		if x.wrong {
			f = append(f, fmt.Sprintf("the transit key %s %s; %s", key, x.is, x.fix))
		}
	}
	return f
}

// warnings are what is unfinished about the key.
func (k *transitKey) warnings(o Options) []string {
	if low := max(k.MinAvailableVersion, 1); k.MinDecryptionVersion > low {
		return []string{fmt.Sprintf("versions %d to %d of the transit key %s/keys/%s no longer open, but can be brought back: "+
			"finish with vault write %s/keys/%s/config min_encryption_version=%d and vault write %s/keys/%s/trim min_available_version=%d",
			low, k.MinDecryptionVersion-1, o.Mount, o.Key, o.Mount, o.Key, k.MinDecryptionVersion, o.Mount, o.Key, k.MinDecryptionVersion)}
	}
	return nil
}
