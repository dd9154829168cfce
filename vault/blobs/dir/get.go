package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"photovault/vault/blobs"
	"photovault/vault/id"
)

// Get implements blobs.Store.
func (s *Store) Get(ctx context.Context, name blobs.Name, off, n int64) (io.ReadCloser, int64, error) {
	if !name.Valid() {
		return nil, 0, blobs.ErrName
	}
	if err := live(ctx); err != nil {
		return nil, 0, err
	}
	// O_NONBLOCK, so that a pipe put in an object's place cannot hang us.
	f, err := s.root.OpenFile(place(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, blobs.ErrNotFound
	}
	if err != nil {
		return nil, 0, s.unavailable(err)
	}
	b, size, err := s.open(ctx, f, off, n)
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return b, size, nil
}

func (s *Store) open(ctx context.Context, f *os.File, off, n int64) (*body, int64, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, s.unavailable(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%w: dir: the object is not a file", blobs.ErrUnavailable)
	}
	size := info.Size()
	if off < 0 || off > size || n > size-off {
		return nil, 0, fmt.Errorf("%w: %d bytes from %d of an object of %d", blobs.ErrSize, n, off, size)
	}
	if n < 0 {
		n = size - off
	}
	return &body{ctx: ctx, file: f, off: off, left: n}, size, nil
}

// body reads a range of a file.
type body struct {
	ctx  context.Context // of Get: the caller's
	file *os.File
	off  int64
	left int64
}

func (b *body) Read(p []byte) (int, error) {
	if err := live(b.ctx); err != nil {
		return 0, err
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.file.ReadAt(p[:min(int64(len(p)), b.left)], b.off)
	b.off, b.left = b.off+int64(n), b.left-int64(n)
	switch {
	case err == io.EOF && b.left == 0, err == nil:
		return n, nil
	case err == io.EOF: // not wrapped: a part must not pass for the whole
		return n, fmt.Errorf("%w: dir: the object ends %d bytes early", blobs.ErrUnavailable, b.left)
	default:
		return n, fmt.Errorf("%w: dir: %w", blobs.ErrUnavailable, err)
	}
}

func (b *body) Close() error { return b.file.Close() }

// List implements blobs.Store. f may put and delete objects. A practice or
// area that is malformed is ErrName. Files that are no objects are passed over.
func (s *Store) List(ctx context.Context, practice id.Practice, area blobs.Area, f func(blobs.Name, int64) error) error {
	if !(blobs.Name{Practice: practice, Area: area, Object: anyObject}).Valid() {
		return blobs.ErrName
	}
	if err := live(ctx); err != nil {
		return err
	}
	top := path.Join(string(area), string(practice))
	fans, err := s.readFolder(top)
	if err != nil {
		return s.unavailable(err)
	}
	for _, fan := range fans {
		if err := s.listFan(ctx, practice, area, path.Join(top, fan.Name()), f); err != nil {
			return err
		}
	}
	return nil
}

// listFan lists one folder of objects. A folder is small, so that it is read
// whole before f is called.
func (s *Store) listFan(ctx context.Context, practice id.Practice, area blobs.Area, folder string, f func(blobs.Name, int64) error) error {
	entries, err := s.readFolder(folder)
	if err != nil {
		return s.unavailable(err)
	}
	if len(entries) == 0 {
		return nil
	}
	root, err := s.root.OpenRoot(folder)
	if err != nil {
		return s.unavailable(err)
	}
	defer func() { _ = root.Close() }() // nothing was written through it
	for _, e := range entries {
		name := blobs.Name{Practice: practice, Area: area, Object: id.Object(e.Name())}
		if !name.Valid() || place(name) != path.Join(folder, e.Name()) || !e.Type().IsRegular() {
			continue
		}
		if err := live(ctx); err != nil {
			return err
		}
		info, err := root.Lstat(e.Name())
		if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
			continue
		}
		if err != nil {
			return s.unavailable(err)
		}
		if err := f(name, info.Size()); err != nil {
			return err
		}
	}
	return nil
}

const anyObject = id.Object("00000000-0000-4000-8000-000000000000")

// readFolder returns what is in a folder; nothing if it is none.
func (s *Store) readFolder(folder string) ([]fs.DirEntry, error) {
	d, err := s.root.OpenFile(folder, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.ReadDir(-1)
}
