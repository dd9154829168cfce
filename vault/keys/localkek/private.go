package localkek

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// readPrivate reads a regular file that belongs to this user, or to root as a
// systemd credential does, and that nobody else may read. What is checked is
// what was opened, not what the path names a moment later.
func readPrivate(path string) ([]byte, fs.FileInfo, error) {
	in, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, syscall.ELOOP):
		return nil, nil, fmt.Errorf("%w: %s is a symbolic link; name the file itself", ErrPermission, path)
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fmt.Errorf("%w: there is no %s; restore it from its backup, or name the folder it is in", ErrMissing, path)
	case errors.Is(err, fs.ErrPermission):
		return nil, nil, fmt.Errorf("%w: %s cannot be read by this user; run the service as its owner", ErrPermission, path)
	case err != nil:
		return nil, nil, fmt.Errorf("localkek: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("localkek: %w", err)
	}
	if err := checkPrivate(path, info, os.Geteuid()); err != nil {
		return nil, nil, err
	}
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("localkek: %w", err)
	}
	if len(b) > maxFile {
		return nil, nil, fmt.Errorf("%w: %s is larger than any key file", ErrFormat, path)
	}
	return b, info, nil
}

func checkPrivate(path string, info fs.FileInfo, user int) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is not a regular file", ErrPermission, path)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != user && stat.Uid != 0 {
		return fmt.Errorf("%w: %s belongs to another user; run: chown %d %s", ErrPermission, path, user, path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: others may read or change %s (mode %04o); run: chmod 600 %s", ErrPermission, path, info.Mode().Perm(), path)
	}
	return nil
}

// locked runs f while no other process changes the key file.
func locked(path string, f func() error) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("localkek: %w", err)
	}
	defer folder.Close() // releases the lock
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("localkek: another process is changing %s: %w", path, err)
	}
	return f()
}

// writeFile writes a file so that after a crash it is there whole or as it
// was. It runs locked: what lies under the temporary name is of a crash.
func writeFile(path string, b []byte, create bool) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("localkek: %w", err)
	}
	defer os.Remove(temp)
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("localkek: %w", err)
	}
	_, err = out.Write(b)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("localkek: %w", err)
	}
	if create {
		err = os.Link(temp, path) // refuses to replace
	} else {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return fmt.Errorf("localkek: %w", err)
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("localkek: %w", err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("localkek: %w", err)
	}
	return nil
}

// CheckOutside refuses a key file that lies inside the data folder, links
// resolved: a copy of the data would hold its own key. Both folders must
// exist, the file need not. Errors: ErrInside.
func CheckOutside(path, dataFolder string) error {
	folder, err := resolve(filepath.Dir(path))
	if err != nil {
		return err
	}
	data, err := resolve(dataFolder)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(data, folder)
	if err != nil {
		return fmt.Errorf("localkek: %w", err)
	}
	if rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fmt.Errorf("%w: move %s out of %s, or a copy of the data holds its own key", ErrInside, path, dataFolder)
	}
	return nil
}

func resolve(folder string) (string, error) {
	folder, err := filepath.Abs(folder)
	if err == nil {
		folder, err = filepath.EvalSymlinks(folder)
	}
	if err != nil {
		return "", fmt.Errorf("localkek: %w", err)
	}
	return folder, nil
}
