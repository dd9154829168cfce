package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"photovault/cmd/photovault/config"
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
	now := time.Now().UTC()
	var conf *config.Config
	var err error
	if r.Config != "" {
		if conf, err = r.config(); err == nil {
			err = os.MkdirAll(string(h), 0o700)
		}
	} else {
		conf, err = c.makeHome(h, now)
	}
	if err != nil {
		return err
	}
	s, err := openStores(r.ctx, conf, serving)
	if err != nil {
		return err
	}
	practice := conf.Practice
	token, account, err := firstAdmin(r.ctx, s, practice, c.Admin, now)
	if conflict := new(vault.ConflictError); errors.As(err, &conflict) {
		err = fmt.Errorf("the practice was made before, and nothing was changed; for another machine's client.json: photovault config client --config %s", r.Config)
	}
	if err == nil {
		err = writeDurable(h.adminToken(), []byte(string(token)+"\n"), 0o600)
	}
	if err == nil { // last: a home folder with client.json is a whole one
		var settings *settings
		if settings, err = clientSettings(r.ctx, s, conf, practice); err == nil {
			err = writeJSON(h.settings(), settings, 0o644)
		}
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	if r.JSON {
		return r.printJSON(map[string]string{"home": string(h), "practice": string(practice), "administrator": string(account),
			"admin_token_file": h.adminToken(), "server": conf.Server.URL, "ca": conf.Server.CA})
	}
	if r.Config != "" {
		fmt.Fprintf(r.out, `The practice %s was made in the stores of %s

  clients     %s   (how they reach the service; no secret in it)
  first token %s   (administrator %q; 90 days)

Next, on each machine that serves:
  photovault serve --config %s
`, practice, r.Config, h.settings(), h.adminToken(), c.Admin, r.Config)
		return nil
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

// firstAdmin marks the object store as the installation's and makes the practice
// and the one account that nobody can have authorized. Where there is a practice
// already nothing is marked: the configuration may name another bucket by mistake.
func firstAdmin(ctx context.Context, s *stores, p id.Practice, name string, now time.Time) (consent.Bearer, id.Account, error) {
	list, err := s.catalog.Practices(ctx)
	if err == nil && !slices.Contains(list, p) {
		err = vault.Mark(ctx, s.blobs, p)
	}
	if err != nil {
		return "", "", err
	}
	e := &audit.Entry{Action: audit.PracticeCreate, Outcome: audit.Allowed, Reason: "init"}
	if err := s.catalog.CreatePractice(ctx, p, e); err != nil {
		return "", "", err
	}
	a, credential, token, err := vault.NewAccount(p, name, consent.Admin, 0, now)
	if err != nil {
		return "", "", err
	}
	e = &audit.Entry{Action: audit.AccountCreate, Outcome: audit.Allowed, Subject: string(a.ID), Reason: "init"}
	return token, a.ID, s.catalog.ForPractice(p).AddAccount(ctx, a, credential, e)
}

// makeHome makes the folder of the embedded default.
func (c *initCommand) makeHome(h home, now time.Time) (*config.Config, error) {
	for _, d := range []string{string(h), h.data(), h.path("keys"), h.path("tls"), h.objects()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	if entries, err := os.ReadDir(h.path("keys")); err != nil || len(entries) > 0 {
		return nil, errors.Join(err, fmt.Errorf("%s holds keys of an init that did not finish; move the folder away and try again", h.path("keys")))
	}
	if err := h.makeAuthority(now, c.Host); err != nil {
		return nil, err
	}
	if err := localkek.Create(h.kek(), passphrase()); err != nil {
		return nil, err
	}
	conf := h.config(id.New[id.Practice]())
	conf.Server.URL = "https://" + c.Listen
	return conf, nil
}

// clientSettings is what clients of the practice need to know.
func clientSettings(ctx context.Context, s *stores, c *config.Config, p id.Practice) (*settings, error) {
	out := &settings{Server: strings.TrimSuffix(c.Server.URL, "/"), Practice: p}
	if c.Server.CA != "" {
		ca, err := os.ReadFile(c.Server.CA)
		if err != nil {
			return nil, err
		}
		out.CA = string(ca)
	}
	for purpose, into := range map[keys.Purpose]*[]byte{keys.Checkpoint: &out.EvidenceKey, keys.UploadSigning: &out.UploadSigningKey} {
		seed, err := s.catalog.PracticeKey(ctx, p, purpose)
		if err != nil {
			return nil, err
		}
		*into = publicKey(seed)
	}
	return out, nil
}
