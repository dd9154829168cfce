// Package sandbox fences a media worker in before it reads a byte of a photo: no files, no network,
// no other process, bounded memory and time. Each fence is independent of the others, so that a
// kernel without one still has the rest; the worker reports which of them stand, and Probe tries from
// inside whether they hold.
package sandbox

import (
	"errors"
	"strconv"
)

// Config sizes the limits.
type Config struct {
	MemoryBytes int64 // private writable memory in use, the Go runtime included; held by RLIMIT_DATA
	CPUSeconds  int64 // RLIMIT_CPU over all threads
}

// Args and ParseArgs carry a Config on a command line: a worker has no environment.
func (c Config) Args() []string {
	return []string{strconv.FormatInt(c.MemoryBytes, 10), strconv.FormatInt(c.CPUSeconds, 10)}
}

// ParseArgs reads what Args wrote.
func ParseArgs(args []string) (Config, error) {
	if len(args) != 2 {
		return Config{}, errors.New("sandbox: want memory in bytes and CPU time in seconds")
	}
	mem, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil || mem < 32<<20 {
		return Config{}, errors.New("sandbox: memory must be at least 32 MiB, in bytes")
	}
	cpu, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil || cpu < 1 {
		return Config{}, errors.New("sandbox: CPU time must be at least one second")
	}
	return Config{MemoryBytes: mem, CPUSeconds: cpu}, nil
}
