package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"

	"photovault/vault/blobs"
	"photovault/vault/id"
)

// copyBuffer is how many bytes are written at a time; ctx is looked at between.
const copyBuffer = 256 << 10

var buffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// Put implements blobs.Store. An error of r is passed on, wrapped.
func (s *Store) Put(ctx context.Context, name blobs.Name, r io.Reader, size int64) (err error) {
	if !name.Valid() {
		return blobs.ErrName
	}
	if size < 0 {
		return blobs.ErrSize
	}
	if err := live(ctx); err != nil {
		return err
	}
	final := place(name)
	if _, err := s.root.Lstat(final); err == nil {
		return blobs.ErrExists // sooner than publish would find out
	}
	t, err := s.newTemp()
	if err != nil {
		return s.unavailable(err)
	}
	defer func() { err = errors.Join(err, s.unavailable(t.discard())) }()
	if err := s.fill(ctx, t.file, r, size); err != nil {
		return err
	}
	if err := t.file.Sync(); err != nil {
		return s.unavailable(err)
	}
	return s.publish(t, final)
}

// fill writes exactly size bytes of r, and finds out that there are no more.
func (s *Store) fill(ctx context.Context, w io.Writer, r io.Reader, size int64) error {
	buffer := buffers.Get().(*[copyBuffer]byte)
	defer buffers.Put(buffer)
	for left, idle := size, 0; ; {
		if err := live(ctx); err != nil {
			return err
		}
		n, readErr := r.Read(buffer[:min(copyBuffer-1, left)+1])
		if int64(n) > left {
			return fmt.Errorf("%w: more than the %d bytes declared", blobs.ErrSize, size)
		}
		if _, err := w.Write(buffer[:n]); err != nil {
			return s.unavailable(err)
		}
		left -= int64(n)
		if idle++; n > 0 {
			idle = 0
		}
		switch {
		case readErr == io.EOF && left > 0:
			return fmt.Errorf("%w: %d of the %d bytes declared", blobs.ErrSize, size-left, size)
		case readErr == io.EOF:
			return nil
		case readErr == nil && idle == 100:
			readErr = io.ErrNoProgress
			fallthrough
		case readErr != nil:
			return fmt.Errorf("dir: source: %w", readErr)
		}
	}
}

// publish gives the file its name, which must be free.
func (s *Store) publish(t *temp, final string) error {
	folder := path.Dir(final)
	if err := s.makeFolder(folder); err != nil {
		return s.unavailable(err)
	}
	switch err := s.root.Link(t.name, final); {
	case errors.Is(err, fs.ErrExist):
		return blobs.ErrExists
	case errors.Is(err, fs.ErrNotExist): // somebody removed the folder: make it anew next time
		s.mu.Lock()
		clear(s.durable)
		s.mu.Unlock()
		return s.unavailable(err)
	case err != nil:
		return s.unavailable(err)
	}
	return s.unavailable(s.syncFolder(folder))
}

// temp is a file under tmp, locked for as long as its process writes it.
type temp struct {
	root *os.Root
	name string
	file *os.File
}

func (s *Store) newTemp() (*temp, error) {
	name := path.Join(tmp, string(id.New[id.Object]()))
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	t := &temp{s.root, name, f}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, t.discard())
	}
	return t, nil
}

// discard removes the temporary name; the object has another by now, or none.
func (t *temp) discard() error {
	err := t.root.Remove(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, t.file.Close())
}

// sweep removes files that no process is writing.
func (s *Store) sweep() error {
	entries, err := s.readFolder(tmp)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := s.sweepOne(path.Join(tmp, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (s *Store) sweepOne(name string) error {
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err == nil {
		defer f.Close()
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
			return nil
		}
	}
	return s.root.RemoveAll(name)
}
