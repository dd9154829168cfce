package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/keys/localkek"
)

type initCommand struct {
	Admin  string   `help:"Name of the first administrator." default:"Administrator"`
	Host   []string `help:"Further names or addresses that tablets reach this machine by; they go into the certificate." placeholder:"NAME"`
	Listen string   `help:"Address the service will listen on." default:"127.0.0.1:8443"`
}

// Help is shown by photovault init --help.
func (initCommand) Help() string {
	return `Example:
  photovault init --home /srv/photovault --host vault.clinic.example

The key-encryption key is a file beside the data folder. Without a passphrase,
a systemd credential or a key service there is no protection against theft of
the whole machine; against theft of the data folder, or of a backup of it, there is.`
}

func (c *initCommand) Run(r *run) error {
	h := home(r.Home)
	if _, err := os.Stat(h.settings()); err == nil {
		return fmt.Errorf("there is a vault in %s already; nothing was changed", h)
	}
	harden(nil)
	for _, d := range []string{string(h), h.data(), h.path("keys"), h.path("tls"), h.objects()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	if entries, err := os.ReadDir(h.path("keys")); err != nil || len(entries) > 0 {
		return errors.Join(err, fmt.Errorf("%s holds keys of an init that did not finish; move the folder away and try again", h.path("keys")))
	}
	now := time.Now().UTC()
	practice := id.New[id.Practice]()
	if err := h.makeAuthority(now, c.Host); err != nil {
		return err
	}
	if err := localkek.Create(h.kek(), passphrase()); err != nil {
		return err
	}
	s, err := openStores(r.ctx, h, practice, true)
	if err != nil {
		return err
	}
	token, account, err := c.firstAdmin(r.ctx, s, practice, now)
	if err == nil {
		err = c.writeSettings(r.ctx, h, s, practice, token)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	if r.JSON {
		return r.printJSON(map[string]string{"home": string(h), "practice": string(practice), "administrator": string(account),
			"admin_token_file": h.adminToken(), "server": "https://" + c.Listen, "ca": h.tls("ca.pem")})
	}
	fmt.Fprintf(r.out, `A vault was made in %s

  data        %s   (ciphertext only; back this up)
  keys        %s   (back this up elsewhere: without it the data cannot be opened)
  authority   %s   (tablets and workstations trust this certificate)
  first token %s   (administrator %q; 90 days)

Next:
  photovault serve --home %s
  export PHOTOVAULT_TOKEN=$(cat %s)
  photovault user add "Dr. Ana Vidal" --role provider --home %s
`, h, h.data(), h.path("keys"), h.tls("ca.pem"), h.adminToken(), c.Admin, h, h.adminToken(), h)
	return nil
}

// firstAdmin makes the practice and the one account that nobody can have
// authorized.
func (c *initCommand) firstAdmin(ctx context.Context, s *stores, p id.Practice, now time.Time) (consent.Bearer, id.Account, error) {
	e := &audit.Entry{Action: audit.PracticeCreate, Outcome: audit.Allowed, Reason: "init"}
	if err := s.catalog.CreatePractice(ctx, p, e); err != nil {
		return "", "", err
	}
	a, credential, token, err := vault.NewAccount(p, c.Admin, consent.Admin, 0, now)
	if err != nil {
		return "", "", err
	}
	e = &audit.Entry{Action: audit.AccountCreate, Outcome: audit.Allowed, Subject: string(a.ID), Reason: "init"}
	return token, a.ID, s.catalog.ForPractice(p).AddAccount(ctx, a, credential, e)
}

// writeSettings comes last: a home folder with client.json is a whole one.
func (c *initCommand) writeSettings(ctx context.Context, h home, s *stores, p id.Practice, token consent.Bearer) error {
	if err := writeDurable(h.adminToken(), []byte(string(token)+"\n"), 0o600); err != nil {
		return err
	}
	ca, err := readCA(h)
	if err != nil {
		return err
	}
	conf := settings{Server: "https://" + c.Listen, Practice: p, CA: ca}
	for purpose, into := range map[keys.Purpose]*[]byte{keys.Checkpoint: &conf.EvidenceKey, keys.UploadSigning: &conf.UploadSigningKey} {
		seed, err := s.catalog.PracticeKey(ctx, p, purpose)
		if err != nil {
			return err
		}
		*into = publicKey(seed)
	}
	return writeJSON(h.settings(), conf, 0o644)
}
