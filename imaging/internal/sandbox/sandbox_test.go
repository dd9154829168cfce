package sandbox_test

import (
	"testing"

	"photovault/imaging/internal/sandbox"
)

// The fences themselves are tried from inside a worker in the tests of imaging: a test process that
// entered them could not go on testing.

func TestArgsArriveAsGiven(t *testing.T) {
	want := sandbox.Config{MemoryBytes: 128 << 20, CPUSeconds: 40}
	if got, err := sandbox.ParseArgs(want.Args()); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestArgsThatWouldLeaveAWorkerUnboundedAreRefused(t *testing.T) {
	for _, args := range [][]string{nil, {"134217728"}, {"134217728", "0"}, {"0", "10"}, {"-1", "10"}, {"x", "10"}, {"134217728", "10", "x"}} {
		if c, err := sandbox.ParseArgs(args); err == nil {
			t.Errorf("%q gives %+v", args, c)
		}
	}
}
