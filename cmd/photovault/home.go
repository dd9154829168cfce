package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"photovault/cmd/photovault/config"
	"photovault/vault/id"
)

// home is the folder layout of the embedded default. Keys lie beside the data
// and not inside it, so that a copy of data/ alone opens nothing.
//
//	client.json       how clients reach the service: no secret in it
//	admin.token       the first administrator's token, until it is taken away
//	data/             catalog.db, objects/: ciphertext only
//	keys/             kek.json, checkpoint.json
//	tls/              ca.pem, ca.key, server.pem, server.key
type home string

func (h home) path(parts ...string) string {
	return filepath.Join(append([]string{string(h)}, parts...)...)
}

func (h home) settings() string   { return h.path("client.json") }
func (h home) adminToken() string { return h.path("admin.token") }
func (h home) data() string       { return h.path("data") }
func (h home) objects() string    { return h.path("data", "objects") }
func (h home) kek() string        { return h.path("keys", "kek.json") }
func (h home) tls(f string) string {
	return h.path("tls", f)
}

// settings are what a client needs to know; none of it is secret.
type settings struct {
	Server           string      `json:"server"`
	Practice         id.Practice `json:"practice"`
	UploadSigningKey []byte      `json:"upload_signing_key"` // Ed25519; pinned: upload keys must be signed by it
	EvidenceKey      []byte      `json:"evidence_key"`       // Ed25519; signs receipts and checkpoints
	CA               string      `json:"ca"`                 // PEM
}

var errNoHome = errors.New("there is no vault here")

func (h home) loadSettings() (*settings, error) {
	var s settings
	err := readJSON(h.settings(), &s)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no client.json; run: photovault init --home %s", errNoHome, h, h)
	}
	return &s, err
}

// config is the configuration that a home folder stands for.
func (h home) config(p id.Practice) *config.Config {
	return config.Embedded(string(h), p, os.Environ())
}

// config is the one that the command works on: the file that was named, or
// that of the home folder. A named one is checked whole.
func (r *run) config() (*config.Config, error) {
	if r.Config != "" {
		return config.Load(r.Config, os.Environ())
	}
	conf, err := home(r.Home).loadSettings()
	if err != nil {
		return nil, err
	}
	return home(r.Home).config(conf.Practice), nil
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeDurable writes a file so that after a crash it is the old or the new,
// never a part.
func writeDurable(path string, b []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func writeJSON(path string, v any, mode fs.FileMode) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeDurable(path, append(b, '\n'), mode)
}
