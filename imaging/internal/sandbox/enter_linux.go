//go:build amd64 || arm64

package sandbox

import (
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"photovault/imaging/internal/wire"
)

// arenaIndex is what the Go runtime maps for its index of heap arenas on 64-bit systems and hardly
// touches: it counts against RLIMIT_DATA but is not memory in use.
const arenaIndex = 32 << 20

// Enter puts up every fence it can, on all threads of the process, and returns those that stand. It
// cannot be undone. The caller must hold all the descriptors it will need and no others.
func Enter(c Config) wire.Fences {
	var held wire.Fences
	note := func(f wire.Fences, err error) {
		if err == nil {
			held |= f
		}
	}
	// A crash must not print what was on the stack, and memory pressure should make the collector
	// work before it makes the kernel refuse.
	debug.SetTraceback("none")
	data := c.MemoryBytes + arenaIndex
	debug.SetMemoryLimit(data - c.MemoryBytes/8)
	// The heap is a few large buffers without pointers: collecting often is cheap and keeps it small.
	debug.SetGCPercent(25)
	// The runtime makes its poller on the first timer; behind the fences it could not.
	time.Sleep(time.Nanosecond)

	if len(os.Environ()) == 0 {
		held |= wire.EmptyEnvironment
	}
	note(wire.NonDumpable, unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	note(wire.NoCore, limit(unix.RLIMIT_CORE, 0))
	note(wire.NoFileWrites, limit(unix.RLIMIT_FSIZE, 0))
	note(wire.CPULimit, limit(unix.RLIMIT_CPU, uint64(c.CPUSeconds)))
	// Not RLIMIT_AS: the runtime reserves far more address space than it uses.
	note(wire.MemoryLimit, limit(unix.RLIMIT_DATA, uint64(data)))
	// Not RLIMIT_NPROC either: it counts all threads of the user, the service's included, and a Go
	// program must be able to start threads. Processes are refused by the system call filter.
	note(wire.Landlock, landlock())
	note(wire.NoDescriptors, limit(unix.RLIMIT_NOFILE, 0))
	// Both on this thread: installing the filter on all threads gives them this one's no_new_privs.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	if err == nil {
		err = seccomp(filter(os.Getpid()))
	}
	note(wire.NoNewPrivs|wire.Seccomp, err)
	return held
}

func limit(resource int, v uint64) error {
	return unix.Setrlimit(resource, &unix.Rlimit{Cur: v, Max: v})
}

// errno turns a system call's result into an error, zero being none.
func errno(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// landlock denies all file system access, and TCP where the kernel can, on every thread: the call
// itself covers only one, unlike seccomp's. A program linked with cgo cannot do that; landlock fails
// there and the filter stands alone. Landlock needs no_new_privs of each thread, which is set with it.
func landlock() error {
	abi, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return e
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: 1<<13 - 1} // all rights of ABI 1
	size := unsafe.Sizeof(attr.Handled_access_fs)
	if abi >= 2 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
		size += unsafe.Sizeof(attr.Handled_access_net)
	}
	if abi >= 5 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
		size += unsafe.Sizeof(attr.Scoped)
	}
	fd, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if e != 0 {
		return e
	}
	defer unix.Close(int(fd))
	if _, _, e = syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
		return e
	}
	_, _, e = syscall.AllThreadsSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0)
	return errno(e)
}

// seccomp installs a filter on all threads at once.
func seccomp(prog []unix.SockFilter) error {
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	r, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	if e == 0 && r != 0 {
		return unix.ESRCH // the id of a thread that could not be synchronised
	}
	return errno(e)
}
