//go:build nodynamic && linux

package codec

import (
	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// moduleMemory is the memory of one decoding. Address space for all it may have is set aside at once and
// opened as it grows, so that it never has to be copied; and it is given back when the picture is done,
// not when the collector comes to it.
type moduleMemory struct {
	all  []byte
	open int
}

func newModuleMemory(_, most uint64) experimental.LinearMemory {
	all, err := unix.Mmap(-1, 0, int(most), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return &moduleMemory{} // which cannot grow
	}
	return &moduleMemory{all: all}
}

func (m *moduleMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	if n := int(size); n > m.open {
		// Refused when the worker's limit is reached; the module is told that there is no more.
		if unix.Mprotect(m.all[:n], unix.PROT_READ|unix.PROT_WRITE) != nil {
			return nil
		}
		m.open = n
	}
	return m.all[:size]
}

func (m *moduleMemory) Free() {
	if m.all != nil {
		_ = unix.Munmap(m.all)
		m.all = nil
	}
}
