package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

var archAllowed = []uint32{unix.SYS_EPOLL_WAIT}

// A new thread sets its own thread-local storage.
var archWhenArg0 = []struct{ nr, arg0 uint32 }{{unix.SYS_ARCH_PRCTL, 0x1002}} // ARCH_SET_FS
