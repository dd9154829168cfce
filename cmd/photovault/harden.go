package main

import (
	"crypto/ed25519"

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

func publicKey(seed *secret.Key) []byte {
	return ed25519.NewKeyFromSeed(seed.Bytes()).Public().(ed25519.PublicKey)
}
