package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"photovault/api"
	"photovault/vault"
	"photovault/vault/envelope"
	"photovault/vault/keys"
)

type keysCommand struct {
	List   keysList   `cmd:"" help:"Show what keys there are, and under which versions."`
	Rotate keysRotate `cmd:"" help:"Make a new version of a key; what is under older ones still opens."`
	Rewrap keysRewrap `cmd:"" help:"Move every wrapped key to the newest version of the key-encryption key, beside the running service."`
	Erase  keysErase  `cmd:"" help:"Destroy the older versions of the key-encryption key: old backups then open nothing."`
}

type keysList struct{}

// keysShown is keys list as JSON.
type keysShown struct {
	*vault.KeyState
	UploadKeys envelope.SignedKeys `json:"upload_keys"`
}

func (keysList) Run(r *run) error {
	shown := keysShown{KeyState: &vault.KeyState{}}
	if err := r.get("/v1/keys", shown.KeyState); err != nil {
		return err
	}
	list, err := r.uploadKeys("GET", "/v1/upload-keys")
	if err != nil {
		return err
	}
	shown.UploadKeys = *list
	rows := [][]string{{"key-encryption", versions(shown.Wrapping), "-", "wraps all below; " + strconv.FormatUint(uint64(shown.Wrapping.Newest), 10) + " is in use"}}
	for _, k := range shown.Practice {
		use := "older: opens and verifies"
		if k.InUse {
			use = "in use"
		}
		rows = append(rows, []string{string(k.Purpose), fmt.Sprint(k.Version), day(k.CreatedAt), use})
	}
	for _, k := range list.Keys {
		rows = append(rows, []string{"upload " + k.Suite.String(), short(string(k.ID)), "-", "seals until " + day(k.SealUntil)})
	}
	for _, e := range shown.Erasures {
		rows = append(rows, []string{"erased", fmt.Sprintf("below %d", e.Below), day(e.BeganAt), "done " + day(e.DoneAt)})
	}
	return r.table(shown, "KEY\tVERSION\tCREATED\tSTATE", rows)
}

func versions(v keys.Versions) string {
	if v.Oldest == v.Newest {
		return fmt.Sprint(v.Newest)
	}
	return fmt.Sprintf("%d to %d", v.Oldest, v.Newest)
}

type keysRotate struct {
	operatorFlags
	Key string `arg:"" enum:"wrapping,upload,catalog,index,evidence" help:"wrapping, upload, catalog, index or evidence."`
}

// Help is shown by photovault keys rotate --help.
func (keysRotate) Help() string {
	return `  wrapping  the key-encryption key, by its operator: then run keys rewrap
  upload    what tablets seal to; what was sealed to the old ones opens for 30 days more
  catalog   what rows of the database are sealed under; used ten seconds later
  index     what finds a patient by record number; every index is made anew
  evidence  what signs receipts and checkpoints; the old key vouches for the new one

The wrapping key is rotated at the key service itself, with the operator's credential, which the
service never has. Examples:
  photovault keys rotate wrapping
  photovault keys rotate evidence --token-file admin.token`
}

func (c *keysRotate) Run(r *run) error {
	switch c.Key {
	case "wrapping":
		operator, done, err := r.keyOperator(c.OperatorTokenFile)
		if err != nil {
			return err
		}
		defer done.Close()
		v, err := operator.Rotate(r.ctx)
		if err != nil {
			return err
		}
		return r.say(v, "the key-encryption key has version %d; what is wrapped moves to it with: photovault keys rewrap", v.Newest)
	case "upload":
		list, err := r.uploadKeys("POST", "/v1/upload-keys/rotate")
		if err != nil {
			return err
		}
		var rows [][]string
		for _, k := range list.Keys {
			rows = append(rows, []string{string(k.ID), k.Suite.String(), day(k.SealUntil)})
		}
		return r.table(list, "UPLOAD KEY\tSUITE\tSEAL UNTIL", rows)
	}
	var out api.KeyRotated
	if err := r.post("/v1/keys/"+c.Key+"/rotate", nil, &out); err != nil {
		return err
	}
	return r.say(out, "the practice's %s key has version %d", out.Purpose, out.Version)
}

// uploadKeys gets a list of upload keys and checks its signature.
func (r *run) uploadKeys(method, path string) (*envelope.SignedKeys, error) {
	cl, conf, err := r.connect()
	if err != nil {
		return nil, err
	}
	var list envelope.SignedKeys
	if err := cl.Call(r.ctx, method, path, nil, &list); err != nil {
		return nil, err
	}
	return &list, list.Verify(conf.UploadSigningKey)
}

type keysRewrap struct {
	Batch int `help:"Keys a batch, at most 500." default:"500"`
}

// Help is shown by photovault keys rewrap --help.
func (keysRewrap) Help() string {
	return `Runs beside the service and may be stopped and begun again at any time: what was moved stays
moved. Keys that no version opens are named; photovault fsck says what they belong to.`
}

// rewrapResult is keys rewrap as JSON.
type rewrapResult struct {
	Version uint32   `json:"version"`
	Looked  int      `json:"looked"`
	Moved   int      `json:"moved"`
	Refused []string `json:"refused"`
	Seconds float64  `json:"seconds"`
}

func (c *keysRewrap) Run(r *run) error {
	total, err := r.rewrap(c.Batch)
	if err != nil {
		return err
	}
	for _, row := range total.Refused {
		fmt.Fprintln(r.err, "cannot be opened under any version:", row)
	}
	if err := r.say(total, "%d keys looked at, %d moved to version %d in %.1f s (%.0f keys/s)", total.Looked, total.Moved, total.Version,
		total.Seconds, float64(total.Looked)/max(total.Seconds, 1e-9)); err != nil {
		return err
	}
	if n := len(total.Refused); n > 0 {
		return fmt.Errorf("%d keys cannot be opened; run: photovault fsck", n)
	}
	return nil
}

func (r *run) rewrap(batch int) (*rewrapResult, error) {
	cl, _, err := r.connect()
	if err != nil {
		return nil, err
	}
	total, began := &rewrapResult{Refused: []string{}}, time.Now()
	defer func() { total.Seconds = time.Since(began).Seconds() }()
	for after := ""; ; {
		var out vault.Rewrapped
		if err := cl.Post(r.ctx, "/v1/keys/rewrap", api.RewrapRequest{After: after, Limit: batch}, &out); err != nil {
			return nil, errors.Join(err, fmt.Errorf("%d keys had been moved; the same command goes on", total.Moved))
		}
		total.Version = out.Version
		total.Looked += out.Looked
		total.Moved += out.Moved
		total.Refused = append(total.Refused, out.Refused...)
		if !r.JSON {
			fmt.Fprintf(r.err, "\r%d keys looked at, %d moved", total.Looked, total.Moved)
		}
		if after = out.Next; after == "" {
			if !r.JSON {
				fmt.Fprintln(r.err)
			}
			return total, nil
		}
	}
}

// operatorFlags name the identity that changes the key-encryption key.
type operatorFlags struct {
	OperatorTokenFile string `help:"File with the key officer's token at the key service, 0600; not for the embedded key file." env:"PHOTOVAULT_OPERATOR_TOKEN_FILE" placeholder:"FILE"`
}

type keysErase struct {
	operatorFlags
	Lost int  `help:"Wrapped keys that are known to be unreadable already, as keys rewrap counts them."`
	Yes  bool `help:"Really destroy them: there is no way back."`
}

// Help is shown by photovault keys erase --help.
func (keysErase) Help() string {
	return `Revoking a photo removes its wrapped key from the database; a backup of the database still has it.
Erasing makes those backups useless: it rewraps what lives, then destroys every older version of the
key-encryption key at the key service, for good (NIST SP 800-88, cryptographic erase). Do it at
least once a day after deletions:
  photovault keys rotate wrapping && photovault keys erase --yes
Snapshots of the key service itself still hold the old versions: erasure is complete on the day
the last of them expires.`
}

func (c *keysErase) Run(r *run) error {
	operator, done, err := r.keyOperator(c.OperatorTokenFile)
	if err != nil {
		return err
	}
	defer done.Close()
	before, err := operator.Versions(r.ctx)
	if err != nil {
		return err
	}
	if before.Oldest == before.Newest {
		if done, err := r.recordErasure(before); done || err != nil {
			return err
		}
		return fmt.Errorf("there is only version %d of the key-encryption key; first run: photovault keys rotate wrapping", before.Newest)
	}
	if !c.Yes {
		return misuse(fmt.Sprintf("this destroys versions %d to %d for good; say so with --yes", before.Oldest, before.Newest-1))
	}
	total, err := r.rewrap(0)
	// A service that keeps its keys in a file reads it again within a second.
	for deadline := time.Now().Add(10 * time.Second); err == nil && total.Version < before.Newest && time.Now().Before(deadline) && r.ctx.Err() == nil; {
		time.Sleep(200 * time.Millisecond)
		total, err = r.rewrap(0)
	}
	if err != nil {
		return err
	}
	if total.Version != before.Newest {
		return fmt.Errorf("the service wraps under version %d and the operator's newest is %d: they are not of one key; nothing was destroyed", total.Version, before.Newest)
	}
	below := before.Newest
	if err := r.post("/v1/keys/erasures", api.EraseRequest{Below: below, Lost: c.Lost}, nil); err != nil {
		return err
	}
	after, err := operator.Erase(r.ctx, below)
	if err != nil {
		return errors.Join(err, errors.New("the erasure was begun and is not complete; the same command goes on"))
	}
	if err := r.erased(below); err != nil {
		return errors.Join(fmt.Errorf("versions below %d are destroyed, but the service did not record it; run the same command again", below), err)
	}
	return r.say(after, "versions below %d of the key-encryption key are destroyed; what was wrapped under them, in whatever copy, opens nowhere", below)
}

// erased has the service record an erasure. One that keeps its keys in a file
// sees the change within a second.
func (r *run) erased(below uint32) (err error) {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		err = r.post(fmt.Sprintf("/v1/keys/erasures/%d/done", below), nil, nil)
		if err == nil || time.Now().After(deadline) || r.ctx.Err() != nil {
			return err
		}
	}
}

// recordErasure records one that was done and not recorded, if there is one.
func (r *run) recordErasure(v keys.Versions) (bool, error) {
	var state vault.KeyState
	if err := r.get("/v1/keys", &state); err != nil {
		return false, err
	}
	for _, e := range state.Erasures {
		if e.DoneAt.IsZero() && e.Below <= v.Oldest {
			if err := r.erased(e.Below); err != nil {
				return false, err
			}
			return true, r.say(v, "the erasure of versions below %d, done before, is recorded", e.Below)
		}
	}
	return false, nil
}
