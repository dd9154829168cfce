package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/ncruces/go-sqlite3/vfs/xts"

	"photovault/vault"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/secret"
)

// keyFile is path+".keys": the database file's key in its wrapped form. XTS
// takes two keys; 2 × 32 bytes make AES-256 of it (one of 32 would be AES-128).
type keyFile struct {
	Version  int         `json:"version"`
	Practice id.Practice `json:"practice"`
	Wrapped  [2][]byte   `json:"wrapped"`
}

func fileKeyContext(p id.Practice, half int) keys.Context {
	return keys.Context{Purpose: keys.Catalog, Practice: p, Subject: "sqlite/" + strconv.Itoa(half+1)}
}

// fileKey unwraps the database file's key, or makes one for a database that
// does not exist yet. The caller owns both halves.
func fileKey(ctx context.Context, path string, ks keys.Service, p id.Practice) (halves [2]*secret.Key, err error) {
	defer func() {
		if err != nil {
			for i := range halves {
				halves[i].Destroy()
				halves[i] = nil
			}
		}
	}()
	raw, err := os.ReadFile(path + ".keys")
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return halves, fmt.Errorf("%w: catalog: there is a database, but not its key file %s.keys beside it; restore both from the same backup",
				vault.ErrBroken, filepath.Base(path))
		}
		return newFileKey(ctx, path, ks, p)
	}
	if err != nil {
		return halves, fmt.Errorf("%w: catalog: key file: %w", vault.ErrUnavailable, err)
	}
	var f keyFile
	if err := json.Unmarshal(raw, &f); err != nil || f.Version != 1 {
		return halves, fmt.Errorf("%w: catalog: the key file is damaged", vault.ErrBroken)
	}
	for i := range halves {
		// The context is of the practice asked for: another installation's
		// key file is refused by the key service.
		if halves[i], err = ks.UnwrapDataKey(ctx, fileKeyContext(p, i), f.Wrapped[i]); err != nil {
			return halves, keyError(err)
		}
	}
	return halves, nil
}

func newFileKey(ctx context.Context, path string, ks keys.Service, p id.Practice) (halves [2]*secret.Key, err error) {
	f := keyFile{Version: 1, Practice: p}
	for i := range halves {
		if halves[i], f.Wrapped[i], err = ks.NewDataKey(ctx, fileKeyContext(p, i)); err != nil {
			return halves, keyError(err)
		}
	}
	raw, err := json.Marshal(f)
	if err == nil {
		err = writeDurably(path+".keys", raw)
	}
	if err != nil {
		return halves, fmt.Errorf("%w: catalog: key file: %w", vault.ErrUnavailable, err)
	}
	return halves, nil
}

// writeDurably writes a file that is whole or absent after a power failure.
func writeDurably(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // made 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// tighten takes from the database's files what others may do with them: a
// copy put back by hand may have lost its mode.
func tighten(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal", ".keys"} {
		info, err := os.Lstat(path + suffix)
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			err = os.Chmod(path+suffix, 0o600)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: catalog: %w", vault.ErrUnavailable, err)
		}
	}
	return nil
}

// vfsName is SQLite's encrypting file layer, below one that makes files 0600
// whatever the umask; by itself it makes them 0666 less the umask.
const vfsName = "photovault"

var registerVFS = sync.OnceFunc(func() {
	vfs.Register(vfsName, ownerOnly{xts.Wrap(vfs.Find(""), nil)})
})

type ownerOnly struct{ vfs.VFS }

func (o ownerOnly) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	if name != nil && name.String() != "" && flags&vfs.OPEN_CREATE != 0 && flags&vfs.OPEN_EXCLUSIVE == 0 {
		names := []string{name.String()}
		if flags&vfs.OPEN_MAIN_DB != 0 {
			names = append(names, name.String()+"-shm") // made outside of this layer
		}
		for _, n := range names {
			// O_EXCL: a file that is there is neither opened nor closed here,
			// for closing it could drop locks that this process holds on it.
			f, err := os.OpenFile(n, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err == nil {
				err = f.Close()
			}
			if err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, flags, err
			}
		}
	}
	return vfsutil.WrapOpenFilename(o.VFS, name, flags)
}
