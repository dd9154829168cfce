// Package dir keeps objects as files below one folder, for one machine.
//
//	photos/PRACTICE/ab/OBJECT    an object; ab are the first two digits of its id
//	staging/PRACTICE/ab/OBJECT
//	tmp/NAME                     one that is being written
//
// An object is written under tmp, synced, linked to its name, which fails if
// there is one, and its folder synced: after a crash it is there whole or not
// at all. Every folder on the way is synced when it is made. What a crash
// left in tmp goes at the next Open; a file that a living process is writing
// is locked, and spared. Files are of mode 0600 and folders 0700.
//
// No name and no symbolic link leads out of the folder (os.Root). What is in
// it is ciphertext under random ids; what comes back is authenticated by who
// reads it.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"

	"photovault/vault/blobs"
)

const (
	tmp        = "tmp"
	fileMode   = 0o600
	folderMode = 0o700
)

// Store implements blobs.Store.
type Store struct {
	root *os.Root

	mu      sync.Mutex
	durable map[string]bool // folders that are known to outlive a crash
}

var _ blobs.Store = (*Store)(nil)

// Open opens the folder, which it makes if its parent is there, and removes
// what earlier processes were writing when they ended.
func Open(folder string) (*Store, error) {
	if err := os.Mkdir(folder, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("dir: object folder: %w", err)
	}
	if err := syncParent(folder); err != nil {
		return nil, fmt.Errorf("dir: object folder: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("dir: object folder: %w", err)
	}
	s := &Store{root: root, durable: map[string]bool{}}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return s, nil
}

// OpenBeside opens the folder beside a running service, to look at it: what
// that is writing is left alone.
func OpenBeside(folder string) (*Store, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("dir: object folder: %w", err)
	}
	return &Store{root: root, durable: map[string]bool{}}, nil
}

// syncParent makes the folder itself outlive a crash. Where its parent may not
// be read the folder was made by somebody else, a mount for instance.
func syncParent(folder string) error {
	d, err := os.Open(filepath.Dir(filepath.Clean(folder)))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *Store) prepare() error {
	info, err := s.root.Stat(".")
	if err != nil {
		return fmt.Errorf("dir: object folder: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("dir: others may change %s (mode %04o); run: chmod 700 %s", s.root.Name(), info.Mode().Perm(), s.root.Name())
	}
	for _, folder := range []string{tmp, string(blobs.Photos), string(blobs.Staging)} {
		if err := s.makeFolder(folder); err != nil {
			return fmt.Errorf("dir: object folder: %w", err)
		}
	}
	if err := s.sweep(); err != nil {
		return fmt.Errorf("dir: clearing %s: %w", path.Join(s.root.Name(), tmp), err)
	}
	return nil
}

// Close releases the folder. Calls after it are ErrUnavailable; readers that
// Get returned live on.
func (s *Store) Close() error { return s.root.Close() }

// place is where an object lies.
func place(n blobs.Name) string {
	return path.Join(string(n.Area), string(n.Practice), string(n.Object[:2]), string(n.Object))
}

// Delete implements blobs.Store.
func (s *Store) Delete(ctx context.Context, name blobs.Name) error {
	if !name.Valid() {
		return blobs.ErrName
	}
	if err := live(ctx); err != nil {
		return err
	}
	file := place(name)
	if err := s.root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.unavailable(err)
	}
	// Also when it was gone: an earlier try may have failed before this point.
	if err := s.syncFolder(path.Dir(file)); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return s.unavailable(err)
	}
	if _, err := s.root.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: dir: %s is still there after its removal", blobs.ErrUnavailable, name)
	}
	return nil
}

// Ready implements blobs.Store: it writes a file and removes it.
func (s *Store) Ready(ctx context.Context) error {
	if err := live(ctx); err != nil {
		return err
	}
	t, err := s.newTemp()
	if err != nil {
		return s.unavailable(err)
	}
	_, err = t.file.Write([]byte{0})
	return s.unavailable(errors.Join(err, t.discard()))
}

// makeFolder makes a folder and those above it, so that they outlive a crash.
// A folder that is there already is synced once: whoever made it may have
// ended before doing so.
func (s *Store) makeFolder(folder string) error {
	s.mu.Lock()
	known := s.durable[folder]
	s.mu.Unlock()
	if known || folder == "." {
		return nil
	}
	parent := path.Dir(folder)
	if err := s.makeFolder(parent); err != nil {
		return err
	}
	if err := s.root.Mkdir(folder, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := s.syncFolder(parent); err != nil {
		return err
	}
	s.mu.Lock()
	s.durable[folder] = true
	s.mu.Unlock()
	return nil
}

func (s *Store) syncFolder(folder string) error {
	d, err := s.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// unavailable marks what the file system refuses: full, read-only, failing.
func (s *Store) unavailable(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: dir: %s is full, free some space: %w", blobs.ErrUnavailable, s.root.Name(), err)
	default:
		return fmt.Errorf("%w: dir: %w", blobs.ErrUnavailable, err)
	}
}

// live is how a call that nobody waits for any more ends.
func live(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", blobs.ErrUnavailable, err)
	}
	return nil
}
