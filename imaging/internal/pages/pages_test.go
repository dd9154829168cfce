//go:build linux

package pages_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"photovault/imaging/internal/pages"
)

func TestLargeBuffersAreAdvisedAndAllAreWhole(t *testing.T) {
	for _, n := range []int{0, 1, 2<<20 - 1, 2 << 20, 5<<20 + 3} {
		b := pages.Advise(make([]byte, n))
		if len(b) != n || slices.ContainsFunc(b, func(v byte) bool { return v != 0 }) {
			t.Errorf("%d bytes are no longer so many zeros", n)
		}
		for i := range b {
			b[i] = byte(i)
		}
		for i, v := range b {
			if v != byte(i) {
				t.Fatalf("%d bytes: byte %d is lost", n, i)
			}
		}
		if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err == nil && n >= 2<<20 && !advised(t, b) {
			t.Errorf("%d bytes are not advised", n)
		}
	}
}

// advised looks for the flag hg of the mapping that holds the buffer (proc_pid_smaps(5)).
func advised(t *testing.T, b []byte) bool {
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	var at, from, to uintptr
	_, _ = fmt.Sscanf(fmt.Sprintf("%p", b), "0x%x", &at)
	for line := range strings.Lines(string(maps)) {
		var begin, end uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &begin, &end); n == 2 {
			from, to = begin, end
		}
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && from <= at && at < to {
			return slices.Contains(strings.Fields(flags), "hg")
		}
	}
	return false
}
