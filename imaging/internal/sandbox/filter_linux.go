//go:build amd64 || arm64

package sandbox

import "golang.org/x/sys/unix"

// The filter admits what the Go runtime needs to compute, allocate and wait, and reading and writing
// descriptors that are open already. Everything else answers EPERM: a default-deny list does not age
// when kernels grow new calls.

// Offsets into struct seccomp_data; arguments are 64 bits, of which the low word is compared.
const (
	offNR   = 0
	offArch = 4
	offArg0 = 16
	offArg2 = 32
)

// allowed are the calls admitted whatever their arguments.
var allowed = append([]uint32{
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_CLOSE,
	unix.SYS_MUNMAP, unix.SYS_MADVISE,
	unix.SYS_FUTEX, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_NANOSLEEP,
	unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_GETTIMEOFDAY, unix.SYS_RESTART_SYSCALL,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
	unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_GETRANDOM,
	unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT,
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	// Of descriptors that are open: the HEVC module's output is looked at each time it is set up.
	unix.SYS_FSTAT,
	// What a C library does for each thread, if one is linked.
	unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ,
}, archAllowed...)

func load(off uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
}

func jump(op uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: yes, Jf: no, K: k}
}

func answer(k uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k}
}

const (
	allow = unix.SECCOMP_RET_ALLOW
	kill  = unix.SECCOMP_RET_KILL_PROCESS
	deny  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
)

// filter builds the program for the process with the given id.
func filter(pid int) []unix.SockFilter {
	p := []unix.SockFilter{
		load(offArch), jump(unix.BPF_JEQ, auditArch, 1, 0), answer(kill),
		load(offNR), jump(unix.BPF_JGE, 0x40000000, 0, 1), answer(kill), // x32 numbers
	}
	for _, nr := range allowed {
		p = append(p, jump(unix.BPF_JEQ, nr, 0, 1), answer(allow))
	}
	when := func(nr, arg uint32, op uint16, k uint32, yes, no uint32) {
		p = append(p, jump(unix.BPF_JEQ, nr, 0, 4), load(arg), jump(op, k, 0, 1), answer(yes), answer(no))
	}
	// Memory, but never executable.
	when(unix.SYS_MMAP, offArg2, unix.BPF_JSET, unix.PROT_EXEC, deny, allow)
	when(unix.SYS_MPROTECT, offArg2, unix.BPF_JSET, unix.PROT_EXEC, deny, allow)
	// Threads, but no processes.
	when(unix.SYS_CLONE, offArg0, unix.BPF_JSET, unix.CLONE_THREAD, allow, deny)
	// Signals to itself: the runtime preempts its threads with them.
	when(unix.SYS_TGKILL, offArg0, unix.BPF_JEQ, uint32(pid), allow, deny)
	for _, a := range archWhenArg0 {
		when(a.nr, offArg0, unix.BPF_JEQ, a.arg0, allow, deny)
	}
	// A C library falls back to clone only when clone3, whose flags a filter cannot see, is unknown.
	p = append(p, jump(unix.BPF_JEQ, unix.SYS_CLONE3, 0, 1), answer(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS)))
	return append(p, answer(deny))
}
