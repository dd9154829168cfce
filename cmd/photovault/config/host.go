package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"photovault/vault/blobs/s3"
	"photovault/vault/keys/localkek"
)

// Host is the machine that a configuration is checked on.
type Host struct {
	Root fs.FS     // holds proc and sys
	User int       // who reads the secrets
	Now  time.Time // certificates are valid then
}

// ThisHost is the machine and user that run.
func ThisHost() Host { return Host{os.DirFS("/"), os.Geteuid(), time.Now()} }

// Check looks at the files that a configuration names, and at the machine.
// Errors: Faults, without lines; Load gives them.
func (h Host) Check(c *Config) error {
	r := &report{}
	h.check(c, r)
	return r.sorted().err()
}

func (h Host) check(c *Config, r *report) {
	h.checkCertificate(c.Server, r)
	h.checkPrivate(c, r)
	h.checkAuthorities(c, r)
	h.checkFolders(c, r)
	h.checkInside(c, r)
	if _, bad := c.policies(h.User); bad != nil && !r.faulty("policies") {
		r.add("policies", bad.Code, "%s", bad.Sentence)
	}
	if c.Swap == SwapNone || c.Swap == "" {
		if device := h.Swap(); device != "" {
			r.add("swap", SwapEnabled, "swap is enabled (%s): photos and keys could be written to it in clear; turn it off (swapoff -a), "+
				"or keep this service out of it (MemorySwapMax=0 of systemd, memswap_limit of a container), or encrypt it and declare that here: %s", device, SwapEncrypted)
		}
	}
}

// secretFiles are the settings whose file must be private.
func (c *Config) secretFiles() map[string]string {
	all := map[string]string{}
	for where, path := range c.files() {
		if strings.HasSuffix(where, "_file") || where == "keys.local.file" || where == "server.key" {
			all[where] = *path
		}
	}
	return all
}

func (h Host) checkPrivate(c *Config, r *report) {
	for where, path := range c.secretFiles() {
		if path == "" || r.faulty(where) {
			continue
		}
		if where == "keys.local.file" {
			if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
				r.add(where, NotPrivate, "%s is a symbolic link; name the file itself, which is written anew when keys are rotated", path)
				continue
			}
		}
		b, bad := readPrivate(path, h.User, maxSecret)
		if bad != nil {
			r.add(where, bad.Code, "%s", bad.Sentence)
			continue
		}
		switch where {
		case "objects.s3.credentials_file":
			checkAccount(r, where, b)
		case "notify.marketing.secret_file", "notify.alerts.secret_file":
			checkSigning(r, where, b)
		case "keys.local.file", "server.key": // localkek's; checkPair's
		default:
			if _, ok := oneLine(b); !ok {
				r.add(where, Invalid, "the file does not hold one secret on one line")
			}
		}
		clear(b)
	}
}

// checkAccount: the file's form is the one that the bucket's client reads.
func checkAccount(r *report, where string, text []byte) {
	var account struct {
		AccessKey    string `json:"access_key"`
		SecretKey    string `json:"secret_key"`
		SessionToken string `json:"session_token"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(&account) != nil || d.More() { // its error may quote the file
		r.add(where, Invalid, `the file is not {"access_key": "…", "secret_key": "…"}`)
		return
	}
	if account.AccessKey == "" || account.SecretKey == "" {
		r.add(where, Missing, "access_key and secret_key are both needed in the file")
		return
	}
	r.s3(where, "-", s3.Options{Endpoint: "https://host", Region: "region", Bucket: "bucket",
		AccessKey: account.AccessKey, SecretKey: account.SecretKey, SessionToken: account.SessionToken})
}

// checkFolders wants the folders that the service writes into.
func (h Host) checkFolders(c *Config, r *report) {
	folders := c.dataFolders()
	if c.Checkpoint != "" {
		folders["checkpoint"] = filepath.Dir(c.Checkpoint)
	}
	for where, folder := range folders {
		if r.faulty(where) {
			continue
		}
		info, err := os.Stat(folder)
		if errors.Is(err, fs.ErrNotExist) && where == "objects.directory" { // it is made
			folder = filepath.Dir(folder)
			info, err = os.Stat(folder)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.add(where, Unreadable, "there is no folder %s; make it, mode 0700, of user %d", folder, h.User)
			continue
		case err != nil || !info.IsDir():
			r.add(where, Unreadable, "%s is not a folder that this user can look into", folder)
			continue
		}
		if sentence := unprotected(folder, info, h.User); sentence != "" {
			r.add(where, NotProtected, "%s", sentence)
		} else if h.User == os.Geteuid() && unix.Access(folder, unix.W_OK|unix.X_OK) != nil {
			r.add(where, Unreadable, "user %d cannot write into %s", h.User, folder)
		}
	}
}

// checkInside keeps keys, secrets and the checkpoint out of the data, links
// resolved: a copy of it, or a backup, must open nothing and must not bring its
// own checkpoint.
func (h Host) checkInside(c *Config, r *report) {
	inside := c.secretFiles()
	inside["checkpoint"] = c.Checkpoint
	for where, file := range inside {
		for data, folder := range c.dataFolders() {
			if file == "" || r.faulty(where) || r.faulty(data) {
				continue
			}
			if errors.Is(localkek.CheckOutside(file, folder), localkek.ErrInside) {
				r.add(where, InsideData, "it lies in the data of %s; move it out, or a copy of the data holds it too", data)
			}
		}
	}
	if o, s := c.Objects.Directory, c.Catalog.SQLite; o != "" && s != "" && !r.faulty("objects.directory") && !r.faulty("catalog.sqlite") &&
		errors.Is(localkek.CheckOutside(s, o), localkek.ErrInside) {
		r.add("catalog.sqlite", InsideData, "it lies in objects.directory; give the database a folder of its own, beside or above the objects")
	}
}

// Swap returns a device that memory of this process could be written to in
// clear, or nothing. Not counted: compressed memory without a disk behind it,
// and any swap where this process's control group has none to use. What cannot
// be told counts as swap.
func (h Host) Swap() string {
	table, err := fs.ReadFile(h.Root, "proc/swaps")
	if errors.Is(err, fs.ErrNotExist) { // a kernel without swap
		return ""
	}
	if err != nil {
		return "/proc/swaps cannot be read"
	}
	if h.withoutSwap() {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(table)), "\n")
	for _, line := range lines[1:] { // the first is the header
		fields := strings.Fields(line)
		if len(fields) == 0 || h.isMemory(fields[0]) {
			continue
		}
		return fields[0]
	}
	return ""
}

// isMemory: a zram device that does not write back to a disk (the kernel's
// admin-guide/blockdev/zram.rst; without write-back there is no backing_dev).
func (h Host) isMemory(device string) bool {
	name, ok := strings.CutPrefix(device, "/dev/")
	if !ok || !strings.HasPrefix(name, "zram") || strings.ContainsAny(name, "/\\") {
		return false
	}
	if _, err := fs.Stat(h.Root, "sys/block/"+name); err != nil {
		return false
	}
	disk, err := fs.ReadFile(h.Root, "sys/block/"+name+"/backing_dev")
	return errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(string(disk)) == "none"
}

// withoutSwap reports whether this process's control group, or one that it is
// in, may use no swap (the kernel's admin-guide/cgroup-v2.rst, memory.swap.max).
func (h Host) withoutSwap() bool {
	own, err := fs.ReadFile(h.Root, "proc/self/cgroup")
	if err != nil {
		return false
	}
	for _, line := range strings.Split(string(own), "\n") {
		group, ok := strings.CutPrefix(line, "0::/")
		if !ok || strings.Contains(group, "..") {
			continue
		}
		for {
			limit, err := fs.ReadFile(h.Root, path.Join("sys/fs/cgroup", group, "memory.swap.max"))
			if err == nil && strings.TrimSpace(string(limit)) == "0" {
				return true
			}
			if group == "" || group == "." {
				break
			}
			group = path.Dir(group)
		}
	}
	return false
}
