package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

var (
	archAllowed  []uint32
	archWhenArg0 []struct{ nr, arg0 uint32 }
)
