package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"photovault/cmd/photovault/config"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// checkpointFiles keep the newest signed checkpoint of each practice beside
// the keys, out of reach of whoever restores an older database: that of the
// first practice in the file that the configuration names, those of others
// beside it, with the practice in the name.
type checkpointFiles struct {
	path  string
	first id.Practice
}

func checkpointsOf(c *config.Config) checkpointFiles {
	return checkpointFiles{c.Checkpoint, c.Practice}
}

func (f checkpointFiles) file(p id.Practice) string {
	if p == f.first {
		return f.path
	}
	ext := filepath.Ext(f.path)
	return strings.TrimSuffix(f.path, ext) + "-" + string(p) + ext
}

func (f checkpointFiles) Save(c audit.Checkpoint) error {
	return writeJSON(f.file(c.Practice), c, 0o600)
}

func (f checkpointFiles) Newest(p id.Practice) (*audit.Checkpoint, error) {
	var c audit.Checkpoint
	err := readJSON(f.file(p), &c)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the checkpoint is damaged; restore it from its backup: %w", err)
	}
	if c.Practice != p {
		err = fmt.Errorf("%s is of another practice", f.file(p))
	}
	return &c, err
}
