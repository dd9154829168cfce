package transit

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

const maxSecret = 64 << 10 // bytes of a credential's file

// readSecret reads a file that belongs to this user or to root and that nobody
// else may read, and returns its one line. Links are followed: Kubernetes and
// agents swap credentials by them; what is checked is the file behind.
func readSecret(path string) (string, error) {
	in, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", Faults{fmt.Sprintf("the credential cannot be read: %v", err)}
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return "", Faults{fmt.Sprintf("the credential cannot be read: %v", err)}
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return "", Faults{path + " is not a regular file"}
	case !ok || int(stat.Uid) != os.Geteuid() && stat.Uid != 0:
		return "", Faults{fmt.Sprintf("%s belongs to another user; run: chown %d %s", path, os.Geteuid(), path)}
	case info.Mode().Perm()&0o077 != 0:
		return "", Faults{fmt.Sprintf("others may read or change %s (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), path)}
	}
	b, err := io.ReadAll(io.LimitReader(in, maxSecret+1))
	defer clear(b)
	if err != nil {
		return "", Faults{fmt.Sprintf("the credential cannot be read: %v", err)}
	}
	text := strings.TrimSpace(string(b))
	if text == "" || len(b) > maxSecret || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", Faults{path + " does not hold one credential on one line"}
	}
	return text, nil
}
