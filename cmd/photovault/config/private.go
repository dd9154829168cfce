package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// readPrivate reads a regular file that belongs to the user, or to root as a
// credential of systemd or a container does, and that nobody else may read or
// replace. What is checked is what was opened. Links are followed: Kubernetes
// and agents swap credentials by them. A file that is not there is not named:
// its name may be the secret itself, written in the wrong place.
func readPrivate(path string, user int, limit int64) ([]byte, *Fault) {
	bad := func(code Code, format string, args ...any) *Fault {
		return &Fault{Code: code, Sentence: fmt.Sprintf(format, args...)}
	}
	in, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ENOTDIR):
		return nil, bad(Unreadable, "there is no such file; make it, mode 0600, or correct the path")
	case err != nil:
		return nil, bad(Unreadable, "the file cannot be opened by user %d; it belongs to the service's user and has mode 0600", user)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, bad(Unreadable, "the file cannot be read")
	}
	if f := private(path, info, user); f != nil {
		return nil, f
	}
	if f := folderOf(path, user); f != nil {
		return nil, f
	}
	b, err := io.ReadAll(io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return nil, bad(Unreadable, "%s cannot be read", path)
	case int64(len(b)) > limit:
		clear(b)
		return nil, bad(TooLarge, "%s has more than %d bytes; it is another file than this setting wants", path, limit)
	case len(b) == 0:
		return nil, bad(Missing, "%s is empty", path)
	}
	return b, nil
}

// private: the same rule as for the key file (vault/keys/localkek). A credential
// of systemd may also be root's with mode 0440: the service's user has it by an
// access list, whose mask stands where the group's bits are (systemd.exec(5)).
func private(path string, info fs.FileInfo, user int) *Fault {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return &Fault{Code: NotPrivate, Sentence: path + " is not a regular file"}
	case !ok || int(stat.Uid) != user && stat.Uid != 0:
		return &Fault{Code: NotPrivate, Sentence: fmt.Sprintf("%s belongs to another user; run: chown %d %s", path, user, path)}
	case user != 0 && stat.Uid == 0 && stat.Gid == 0 && info.Mode().Perm() == 0o440:
	case info.Mode().Perm()&0o077 != 0:
		return &Fault{Code: NotPrivate, Sentence: fmt.Sprintf("others may read or change %s (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), path)}
	}
	return nil
}

// folderOf refuses a folder in which others can put another file under the
// secret's name.
func folderOf(path string, user int) *Fault {
	folder, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return &Fault{Code: Unreadable, Sentence: "its folder cannot be read"}
	}
	info, err := os.Stat(folder)
	if err != nil {
		return &Fault{Code: Unreadable, Sentence: "its folder cannot be read"}
	}
	if sentence := unprotected(folder, info, user); sentence != "" {
		return &Fault{Code: NotPrivate, Sentence: sentence}
	}
	return nil
}

// unprotected says why others could change a file or folder. In a folder with
// the sticky bit each can only remove what is theirs.
func unprotected(path string, info fs.FileInfo, user int) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || int(stat.Uid) != user && stat.Uid != 0:
		return fmt.Sprintf("%s belongs to another user, who can change it; run: chown %d %s", path, user, path)
	case info.Mode().Perm()&0o022 != 0 && (!info.IsDir() || info.Mode()&fs.ModeSticky == 0):
		return fmt.Sprintf("others may change %s (mode %04o); run: chmod go-w %s", path, info.Mode().Perm(), path)
	}
	return ""
}
