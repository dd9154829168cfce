//go:build amd64 || arm64

package sandbox

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"photovault/imaging/internal/wire"
)

// Probe tries, from inside, what the fences forbid, and returns those attempts that were refused.
// Each one would succeed in an unfenced process, and none of them does harm if it does.
func Probe(c Config) wire.Fences {
	var held wire.Fences
	try := func(f wire.Fences, e syscall.Errno) {
		if e == unix.EPERM || e == unix.EACCES {
			held |= f
		}
	}
	root, _ := unix.BytePtrFromString("/")
	fd, _, e := unix.RawSyscall6(unix.SYS_OPENAT, at(unix.AT_FDCWD), uintptr(unsafe.Pointer(root)), unix.O_RDONLY, 0, 0, 0)
	closeIf(fd, e)
	try(wire.OpenDenied, e)

	fd, _, e = unix.RawSyscall(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)
	closeIf(fd, e)
	denied := e
	fd, _, e = unix.RawSyscall(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0)
	closeIf(fd, e)
	if denied == e {
		try(wire.SocketDenied, e)
	}

	// A path that does not exist: unfenced, the answer is "no such file".
	none, _ := unix.BytePtrFromString("/nonexistent")
	_, _, e = unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(none)), 0, 0)
	try(wire.ExecDenied, e)

	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e == 0 && pid == 0 {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	try(wire.ForkDenied, e)

	// A process that cannot exist: unfenced, the answer is "no such process".
	_, _, e = unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_ATTACH, 1<<30, 0, 0, 0, 0)
	try(wire.PtraceDenied, e)

	self := uintptr(os.Getpid())
	var src, dst [8]byte
	local := unix.Iovec{Base: &dst[0], Len: 8}
	remote := unix.RemoteIovec{Base: uintptr(unsafe.Pointer(&src[0])), Len: 8}
	_, _, e = unix.RawSyscall6(unix.SYS_PROCESS_VM_READV, self, uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0)
	try(wire.PeekDenied, e)

	_, _, e = unix.RawSyscall(unix.SYS_KILL, self, 0, 0)
	try(wire.SignalDenied, e)

	if _, e := anonymous(4096, unix.PROT_READ|unix.PROT_EXEC); e != 0 {
		try(wire.ExecMapDenied, e)
	}
	if _, e := anonymous(uintptr(c.MemoryBytes+arenaIndex), unix.PROT_READ|unix.PROT_WRITE); e == unix.ENOMEM {
		held |= wire.MemoryLimit
	}
	return held
}

// at makes a negative directory descriptor an argument.
func at(fd int) uintptr { return uintptr(fd) }

func closeIf(fd uintptr, e syscall.Errno) {
	if e == 0 {
		unix.Close(int(fd))
	}
}

// anonymous maps memory and gives it back.
func anonymous(size uintptr, prot uintptr) (uintptr, syscall.Errno) {
	p, _, e := unix.RawSyscall6(unix.SYS_MMAP, 0, size, prot, unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0), 0)
	if e == 0 {
		unix.RawSyscall(unix.SYS_MUNMAP, p, size, 0)
	}
	return p, e
}
