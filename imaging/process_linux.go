package imaging

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup puts a worker into a process group of its own and ends it when the thread that started it
// ends; the pool starts workers from one locked thread that lives as long as itself.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// killGroup ends a worker that has not been waited for yet.
func killGroup(pid int) { _ = unix.Kill(-pid, unix.SIGKILL) }

// exited reports whether a child has ended, without reaping it.
func exited(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0
}

// cpuExceeded reports that the kernel ended the process for its CPU time.
func cpuExceeded(s syscall.WaitStatus) bool {
	return s.Signaled() && s.Signal() == syscall.SIGXCPU
}

// peakMemory returns the most memory a running process had resident, in bytes. The resource usage of
// an ended one does not tell: it starts from the memory of the process that forked it.
func peakMemory(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(b, []byte("VmHWM:"))
	var kib int64
	_, _ = fmt.Fscan(bytes.NewReader(rest), &kib)
	return kib << 10
}

// nonDumpable reports whether a process of the same user may read this one's memory.
func nonDumpable() bool {
	v, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	return err == nil && v == 0
}

// closeOnExec marks the descriptors of this process that they are not handed on. Go opens all its own so; those that
// the process was started with, by a shell or a supervisor that was careless, are not, and a worker would hold them.
func closeOnExec() error {
	held, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range held {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// Undumpable makes this process's memory unreadable to other processes of the same user, workers
// included, and forbids core dumps. A service calls it first of all.
func Undumpable() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
