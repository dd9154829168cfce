//go:build unix && !linux

package imaging

import (
	"errors"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

func exited(int) bool { return false }

func cpuExceeded(s syscall.WaitStatus) bool {
	return s.Signaled() && s.Signal() == syscall.SIGXCPU
}

func peakMemory(int) int64 { return 0 }

func nonDumpable() bool { return false }

// Undumpable is not available on this system.
func Undumpable() error { return errors.New("imaging: this system cannot hide a process's memory") }

// closeOnExec marks the descriptors that this process was started with that they are not handed on.
func closeOnExec() error {
	for fd := 3; fd < 1024; fd++ {
		syscall.CloseOnExec(fd)
	}
	return nil
}
