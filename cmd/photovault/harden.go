package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"photovault/vault/secret"
)

// harden keeps plaintext and keys of this process off the disk and out of
// other processes: files are private, no core dumps, not traceable by the
// same user. What could not be set is added to missing, which may be nil.
func harden(missing *[]string) {
	unix.Umask(0o077)
	note := func(what string, err error) {
		if err != nil && missing != nil {
			*missing = append(*missing, what+": "+err.Error())
		}
	}
	note("no core dumps", unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}))
	note("not dumpable", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}

// checkSwap refuses swap that is not declared to be encrypted: memory that is
// paged out holds photos and keys in clear.
func checkSwap(declaredEncrypted bool) error {
	b, err := os.ReadFile("/proc/swaps")
	if errors.Is(err, os.ErrNotExist) || declaredEncrypted {
		return nil
	}
	if err != nil {
		return err
	}
	if lines := strings.Split(strings.TrimSpace(string(b)), "\n"); len(lines) > 1 {
		return fmt.Errorf("swap is enabled (%s): photos and keys could be written to it in clear; "+
			"turn it off (swapoff -a), or encrypt it and say so with --swap-is-encrypted", strings.Fields(lines[1])[0])
	}
	return nil
}

func publicKey(seed *secret.Key) []byte {
	return ed25519.NewKeyFromSeed(seed.Bytes()).Public().(ed25519.PublicKey)
}
