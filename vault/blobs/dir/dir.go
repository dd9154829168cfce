// Package dir keeps objects as files below one folder, for one machine.
//
// An object is written to a temporary file, synced, linked to its name (which
// fails if there is one), and its folder synced: after a crash it is there
// whole or not at all. No path can leave the folder, also not by a link.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"photovault/vault/blobs"
	"photovault/vault/id"
)

const (
	temporary  = "tmp"
	fileMode   = 0o600
	folderMode = 0o700
	copyBuffer = 128 << 10
)

// Store implements blobs.Store.
type Store struct{ root *os.Root }

var _ blobs.Store = (*Store)(nil)

// Open opens the folder, making it if need be, and removes what an earlier
// process was writing when it ended. One process at a time may have it open.
func Open(folder string) (*Store, error) {
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	s := &Store{root}
	if err := errors.Join(root.RemoveAll(temporary), root.Mkdir(temporary, folderMode), s.syncFolder(".")); err != nil {
		return nil, errors.Join(fmt.Errorf("dir: %w", err), root.Close())
	}
	return s, nil
}

// Close releases the folder.
func (s *Store) Close() error { return s.root.Close() }

// place is "area/practice/ab/abcd…": fanned out by the id's first two digits.
func place(n blobs.Name) string {
	return path.Join(string(n.Area), string(n.Practice), string(n.Object[:2]), string(n.Object))
}

// Put implements blobs.Store.
func (s *Store) Put(ctx context.Context, name blobs.Name, r io.Reader, size int64) error {
	if !name.Valid() {
		return blobs.ErrName
	}
	final := place(name)
	if _, err := s.root.Lstat(final); err == nil {
		return blobs.ErrExists
	}
	temp := path.Join(temporary, string(id.New[id.Object]()))
	err := s.write(ctx, temp, r, size)
	if err == nil {
		err = s.publish(temp, final)
	}
	if rm := s.root.Remove(temp); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
		err = errors.Join(err, unavailable(rm))
	}
	return err
}

func (s *Store) write(ctx context.Context, temp string, r io.Reader, size int64) error {
	f, err := s.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return unavailable(err)
	}
	copied, err := copyExactly(ctx, f, r, size)
	if err == nil && copied != size {
		err = blobs.ErrSize
	}
	if err == nil {
		err = unavailable(f.Sync())
	}
	return errors.Join(err, unavailable(f.Close()))
}

// copyExactly copies up to size bytes and finds out whether there are more.
func copyExactly(ctx context.Context, w io.Writer, r io.Reader, size int64) (int64, error) {
	buffer := make([]byte, min(copyBuffer, size+1))
	for n := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		got, readErr := r.Read(buffer)
		if n+int64(got) > size {
			return n, blobs.ErrSize
		}
		if _, err := w.Write(buffer[:got]); err != nil {
			return n, unavailable(err)
		}
		n += int64(got)
		if readErr == io.EOF {
			return n, nil
		}
		if readErr != nil {
			return n, fmt.Errorf("dir: source: %w", readErr)
		}
	}
}

// publish gives the file its name, for which there must be none yet.
func (s *Store) publish(temp, final string) error {
	if err := s.makeFolders(path.Dir(final)); err != nil {
		return unavailable(err)
	}
	err := s.root.Link(temp, final)
	if errors.Is(err, fs.ErrExist) {
		return blobs.ErrExists
	}
	if err != nil {
		return unavailable(err)
	}
	return unavailable(s.syncFolder(path.Dir(final)))
}

// makeFolders makes a folder and those above it durably.
func (s *Store) makeFolders(folder string) error {
	if info, err := s.root.Lstat(folder); err == nil && info.IsDir() {
		return nil
	}
	if parent := path.Dir(folder); parent != "." {
		if err := s.makeFolders(parent); err != nil {
			return err
		}
	}
	if err := s.root.Mkdir(folder, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return s.syncFolder(path.Dir(folder))
}

func (s *Store) syncFolder(folder string) error {
	d, err := s.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Get implements blobs.Store.
func (s *Store) Get(ctx context.Context, name blobs.Name, off, n int64) (io.ReadCloser, int64, error) {
	if !name.Valid() {
		return nil, 0, blobs.ErrName
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	f, err := s.root.Open(place(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, blobs.ErrNotFound
	}
	if err != nil {
		return nil, 0, unavailable(err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(unavailable(err), f.Close())
	}
	size := info.Size()
	if n < 0 {
		n = size - off
	}
	if off < 0 || n < 0 || off > size || n > size-off {
		return nil, 0, errors.Join(blobs.ErrSize, f.Close())
	}
	return &body{ctx: ctx, SectionReader: io.NewSectionReader(f, off, n), file: f, left: n}, size, nil
}

// body reads a range of a file; a file that ends early is no io.EOF.
type body struct {
	*io.SectionReader
	ctx  context.Context
	file *os.File
	left int64
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.SectionReader.Read(p)
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = fmt.Errorf("dir: object ends early: %w", io.ErrUnexpectedEOF)
	}
	return n, err
}

func (b *body) Close() error { return b.file.Close() }

// Delete implements blobs.Store.
func (s *Store) Delete(ctx context.Context, name blobs.Name) error {
	if !name.Valid() {
		return blobs.ErrName
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	file := place(name)
	switch err := s.root.Remove(file); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return unavailable(err)
	}
	if err := s.syncFolder(path.Dir(file)); err != nil {
		return unavailable(err)
	}
	if _, err := s.root.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: object is still there after its removal", blobs.ErrUnavailable)
	}
	return nil
}

// List implements blobs.Store.
func (s *Store) List(ctx context.Context, practice id.Practice, area blobs.Area, f func(blobs.Name, int64) error) error {
	probe := blobs.Name{Practice: practice, Area: area, Object: id.New[id.Object]()}
	if !probe.Valid() {
		return blobs.ErrName
	}
	top := path.Join(string(area), string(practice))
	err := fs.WalkDir(s.root.FS(), top, func(p string, d fs.DirEntry, err error) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err != nil || d.IsDir() {
			return err
		}
		n := blobs.Name{Practice: practice, Area: area, Object: id.Object(path.Base(p))}
		if !n.Valid() || strings.TrimPrefix(place(n), "/") != p {
			return nil // not one of ours
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		return f(n, info.Size())
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Ready implements blobs.Store: a file can be written and synced.
func (s *Store) Ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	probe := path.Join(temporary, string(id.New[id.Object]()))
	f, err := s.root.OpenFile(probe, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return unavailable(err)
	}
	_, err = f.Write([]byte{0})
	return unavailable(errors.Join(err, f.Close(), s.root.Remove(probe)))
}

// unavailable marks what the file system refuses: full, read-only, failing.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", blobs.ErrUnavailable, err)
}
