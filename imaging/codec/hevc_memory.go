//go:build nodynamic && linux

package codec

import (
	"fmt"
	"os"

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
		exhausted()
	}
	return &moduleMemory{all: all}
}

func (m *moduleMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	if n := int(size); n > m.open {
		if unix.Mprotect(m.all[:n], unix.PROT_READ|unix.PROT_WRITE) != nil {
			exhausted()
		}
		m.open = n
	}
	return m.all[:size]
}

// exhausted ends a worker that has reached its limit, with the words that the pool looks for. The module
// itself would take it for a broken picture.
func exhausted() {
	fmt.Fprintln(os.Stderr, "codec: out of memory")
	os.Exit(2)
}

func (m *moduleMemory) Free() {
	if m.all != nil {
		_ = unix.Munmap(m.all)
		m.all = nil
	}
}
