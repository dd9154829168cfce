package main

import (
	"errors"
	"fmt"

	"photovault/cmd/photovault/config"
	"photovault/vault/id"
)

type configCommand struct {
	Check   configCheck   `cmd:"" help:"Name everything that is wrong with a configuration; with --connect also ask the stores."`
	Example configExample `cmd:"" help:"Print a complete example, every setting explained."`
	Client  configClient  `cmd:"" help:"Print client.json: what a client must know; no secret in it."`
}

type configCheck struct {
	Connect bool `help:"Also open the stores: key, bucket, database."`
}

// Help is shown by photovault config check --help.
func (configCheck) Help() string {
	return `Opening the database brings its tables up to this version, as serve does.

Examples:
  photovault config check --config /etc/photovault/config.yaml
  photovault config check --config /etc/photovault/config.yaml --connect
Exit status 1 means that serve would refuse it too.`
}

func (c *configCheck) Run(r *run) error {
	if r.Config == "" {
		return misuse("name the file with --config")
	}
	conf, err := r.config()
	if err == nil && c.Connect {
		err = checkStores(r.ctx, conf)
	}
	var found config.Faults
	if r.JSON && errors.As(err, &found) {
		return errors.Join(r.printJSON(map[string]any{"valid": false, "faults": found}), err)
	}
	if err != nil {
		return err
	}
	return r.say(map[string]any{"valid": true}, "%s: nothing is wrong", r.Config)
}

type configClient struct{ practiceFlag }

func (c *configClient) Run(r *run) error {
	return r.onStores(reading, c.practiceFlag, func(conf *config.Config, s *stores, practice id.Practice) error {
		out, err := clientSettings(r.ctx, s, conf, practice)
		if err != nil {
			return err
		}
		return r.printJSON(out)
	})
}

type configExample struct {
	OneMachine bool `help:"For one machine: key file, folder and SQLite, without servers."`
}

func (c *configExample) Run(r *run) error {
	kind := config.Production
	if c.OneMachine {
		kind = config.OneMachine
	}
	_, err := fmt.Fprint(r.out, config.Example(kind, id.New[id.Practice]()))
	return err
}
