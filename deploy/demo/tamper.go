package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"photovault/vault/blobs"
	"photovault/vault/blobs/s3"
	"photovault/vault/id"
)

// flip changes one bit in the middle of every stored object, as a failing disk
// or an intruder would, and returns how to undo it.
func (w *walk) flip() (restore func() error, err error) {
	var undo []func() error
	if w.config == "" {
		undo, err = w.flipFiles()
	} else {
		undo, err = w.flipObjects()
	}
	w.note("one bit flipped in each of %d objects", len(undo))
	return func() (err error) {
		for _, u := range undo {
			err = errors.Join(err, u())
		}
		return err
	}, err
}

func flipped(b []byte) []byte {
	now := bytes.Clone(b)
	now[len(now)/2] ^= 1
	return now
}

func (w *walk) flipFiles() (undo []func() error, err error) {
	root := filepath.Join(w.home, "data", "objects", "photos")
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		was, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		undo = append(undo, func() error { return os.WriteFile(path, was, 0o600) })
		return os.WriteFile(path, flipped(was), 0o600)
	})
	return undo, err
}

// flipObjects does it with the bucket's own credentials: whoever owns the
// store can put other bytes in an object's place.
func (w *walk) flipObjects() (undo []func() error, err error) {
	b, err := os.ReadFile(w.config)
	if err != nil {
		return nil, err
	}
	var c struct {
		Practice id.Practice `yaml:"practice"`
		Objects  struct {
			S3 struct {
				Endpoint    string `yaml:"endpoint"`
				Region      string `yaml:"region"`
				Bucket      string `yaml:"bucket"`
				CA          string `yaml:"ca"`
				Credentials string `yaml:"credentials_file"`
			} `yaml:"s3"`
		} `yaml:"objects"`
	}
	if err := yaml.Unmarshal(b, &c); err != nil {
		return nil, err
	}
	at := c.Objects.S3
	store, err := s3.Open(w.ctx, s3.Options{Endpoint: at.Endpoint, Region: at.Region, Bucket: at.Bucket, CAFile: at.CA, CredentialsFile: at.Credentials})
	if err != nil {
		return nil, err
	}
	var names []blobs.Name
	if err := store.List(w.ctx, c.Practice, blobs.Photos, func(n blobs.Name, _ int64) error { names = append(names, n); return nil }); err != nil {
		return nil, err
	}
	for _, name := range names {
		r, _, err := store.Get(w.ctx, name, 0, -1)
		if err != nil {
			return undo, err
		}
		was, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return undo, err
		}
		undo = append(undo, func() error { return replace(w.ctx, store, name, was) })
		if err := replace(w.ctx, store, name, flipped(was)); err != nil {
			return undo, err
		}
	}
	return undo, nil
}

func replace(ctx context.Context, store *s3.Store, name blobs.Name, with []byte) error {
	if err := store.Delete(ctx, name); err != nil {
		return err
	}
	return store.Put(ctx, name, bytes.NewReader(with), int64(len(with)))
}
