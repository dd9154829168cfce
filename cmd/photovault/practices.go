package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"photovault/cmd/photovault/config"
	"photovault/vault/id"
)

// Several practices may share one installation: stores, key service and
// processes. They share no key, no row and no account.
type practiceCommand struct {
	Add  practiceAdd  `cmd:"" help:"Add a practice, with an administrator of its own."`
	List practiceList `cmd:"" help:"List the installation's practices."`
}

// practiceFlag is for commands that work on the stores of one practice.
type practiceFlag struct {
	Of string `name:"practice" help:"Id of the practice (default: the first one)." placeholder:"ID"`
}

func (f practiceFlag) practice(c *config.Config) (id.Practice, error) {
	if f.Of == "" {
		return c.Practice, nil
	}
	p, err := id.Parse[id.Practice](f.Of)
	if err != nil {
		return "", misuse("--practice must be a practice's id, a UUID; see: photovault practice list")
	}
	return p, nil
}

type practiceAdd struct {
	Admin string `help:"Name of its first administrator." default:"Administrator"`
	Out   string `help:"Folder for its client.json and admin.token (default: practices/ID in the home folder)." type:"path" placeholder:"FOLDER"`
}

// Help is shown by photovault practice add --help.
func (practiceAdd) Help() string {
	return `Works on the stores, like init. With the embedded default the service must be stopped;
in production it may go on. Examples:
  photovault practice add --admin "Dr. Ana Vidal"
  photovault practice add --config /etc/photovault/config.yaml --out ./north
The folder it makes is the --home (or PHOTOVAULT_HOME) of that practice's clients.`
}

func (c *practiceAdd) Run(r *run) error {
	return r.onStores(serving, practiceFlag{}, func(conf *config.Config, s *stores, _ id.Practice) error { return c.add(r, conf, s) })
}

func (c *practiceAdd) add(r *run, conf *config.Config, s *stores) error {
	p := id.New[id.Practice]()
	h := home(c.Out)
	if c.Out == "" {
		h = home(filepath.Join(r.Home, "practices", string(p)))
	}
	if _, err := os.Stat(h.settings()); err == nil {
		return fmt.Errorf("%s has a client.json already; nothing was changed", h)
	}
	if err := os.MkdirAll(string(h), 0o700); err != nil {
		return err
	}
	token, account, err := firstAdmin(r.ctx, s, p, c.Admin, time.Now().UTC())
	if err == nil {
		err = writeDurable(h.adminToken(), []byte(string(token)+"\n"), 0o600)
	}
	if err != nil {
		return err
	}
	settings, err := clientSettings(r.ctx, s, conf, p)
	if err == nil {
		err = writeJSON(h.settings(), settings, 0o644)
	}
	if err != nil {
		return err
	}
	return r.say(map[string]string{"home": string(h), "practice": string(p), "administrator": string(account), "admin_token_file": h.adminToken()},
		`The practice %s was added

  clients     %s   (how they reach the service; no secret in it)
  first token %s   (administrator %q; 90 days)

Its people use:  export PHOTOVAULT_HOME=%s`, p, h.settings(), h.adminToken(), c.Admin, h)
}

type practiceList struct{}

func (practiceList) Run(r *run) error {
	return r.onStores(reading, practiceFlag{}, func(_ *config.Config, s *stores, own id.Practice) error { return listPractices(r, s, own) })
}

func listPractices(r *run, s *stores, own id.Practice) error {
	list, err := s.catalog.Practices(r.ctx)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, p := range list {
		first := ""
		if p == own {
			first = "first"
		}
		rows = append(rows, []string{string(p), first})
	}
	return r.table(map[string]any{"practices": list, "first": own}, "ID\t", rows)
}
