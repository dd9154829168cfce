package main

import (
	"errors"
	"fmt"
	"strings"

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
	return `Examples:
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
		var s *stores
		if s, err = openStores(r.ctx, conf, reading); err == nil {
			err = s.Close()
		}
	}
	var found faults
	if r.JSON && errors.As(err, &found) {
		return errors.Join(r.printJSON(map[string]any{"valid": false, "faults": found}), err)
	}
	if err != nil {
		return err
	}
	return r.say(map[string]any{"valid": true}, "%s: nothing is wrong", r.Config)
}

type configClient struct{}

func (configClient) Run(r *run) (err error) {
	conf, err := r.config()
	if err != nil {
		return err
	}
	harden(nil)
	s, err := openStores(r.ctx, conf, reading)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	out, err := clientSettings(r.ctx, s, conf)
	if err != nil {
		return err
	}
	return r.printJSON(out)
}

type configExample struct{}

func (configExample) Run(r *run) error {
	_, err := fmt.Fprint(r.out, strings.ReplaceAll(exampleConfig, "PRACTICE", string(id.New[id.Practice]())))
	return err
}

// exampleConfig has every setting of config; a test holds them together.
const exampleConfig = `# photovault: configuration of production mode.
# No secret stands in this file: each is a file of its own that only the
# service's user (or root) may read, mode 0600, such as a systemd credential or
# a container's secret. Check it with: photovault config check --config FILE

# The practice, the same on every replica; made anew by each run of
# photovault config example.
practice: PRACTICE

server:
  listen: 0.0.0.0:8443
  url: https://vault.clinic.example          # how clients reach it
  certificate: /etc/photovault/server.pem    # read again when it changes
  key: /etc/photovault/server.key
  ca: ""                                     # given to clients; empty: they trust their system's
  frame_ancestors: []                        # origins that may embed photos, such as https://emr.example
  workers: 2                                 # photos sanitised at once

# none: refused if swap is on, for photos and keys in memory could be written
# to it; encrypted: you declare that it is.
swap: none

# The newest signed checkpoint of the audit log; keep it out of the database
# and its backups. One file a replica.
checkpoint: /var/lib/photovault/checkpoint.json

keys:
  transit:                                   # HashiCorp Vault or OpenBao; see deploy/policies/transit
    address: https://transit.clinic.example:8200
    ca: /etc/photovault/transit-ca.pem       # empty: the system's authorities
    server_name: ""                          # in its certificate, if not the address's
    namespace: ""
    mount: transit
    key: photovault
    approle:
      mount: approle
      role_id: 00000000-0000-0000-0000-000000000000
      secret_id_file: /etc/photovault/secret-id
      wrapped: false                         # the file holds a response-wrapping token
    token_file: ""                           # instead of approle: a Vault Agent's sink
    timeout: 3s                              # of one attempt
# local:                                     # instead of transit, on one machine
#   file: /var/lib/photovault-keys/kek.json  # outside of the data
#   passphrase_file: /etc/photovault/passphrase

objects:
  s3:                                        # see deploy/policies/s3
    endpoint: https://s3.eu-central-1.amazonaws.com
    region: eu-central-1                     # where the bucket must lie; one elsewhere is refused
    bucket: clinic-photos
    prefix: ""
    virtual_host: false                      # https://bucket.host rather than https://host/bucket
    ca: ""
    credentials_file: /etc/photovault/s3.json # {"access_key": "…", "secret_key": "…"}
    retention_days: 0                        # Object Lock: how long a photo cannot be removed by anybody
    lock_mode: GOVERNANCE
    encryption: ""                           # by the server, on top: sse-s3 or sse-kms
    kms_key: ""
    timeout: 5s
# directory: /var/lib/photovault/objects     # instead of s3, on one machine

catalog:
  postgres:
    host: db.clinic.example                  # TLS with verify-full and SCRAM, nothing less
    port: 5432
    database: photovault
    user: photovault
    password_file: /etc/photovault/db-password
    ca: /etc/photovault/db-ca.pem
    connections: 20
# sqlite: /var/lib/photovault/catalog.db     # instead of postgres, on one machine
`
