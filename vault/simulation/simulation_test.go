package simulation_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// usualSteps is how long a run's faults and clients go on.
const usualSteps = 1500

// A handful of seeds, or the one that PHOTOVAULT_SIM_SEED names.
func TestSimulation(t *testing.T) {
	from := newTemplate(t)
	seeds := []uint64{2, 3}
	if n, err := strconv.ParseUint(os.Getenv("PHOTOVAULT_SIM_SEED"), 10, 64); err == nil {
		seeds = []uint64{n}
	}
	for _, seed := range seeds {
		out := run(t, from, seed, usualSteps, nil)
		t.Logf("seed %d: %d steps, %v, photos %d (ready %d, deleted %d), deliveries %d (whole %d), restarts %d, trace %s, injected %v",
			seed, out.steps, out.virtual, out.photos, out.ready, out.deleted, out.deliveries, out.whole, out.crashes, out.trace, out.injected)
		out.report(t)
	}
}

// The same seed is the same run, in one process and in another.
func TestTheSameSeedIsTheSameRun(t *testing.T) {
	const seed, steps = 24, 700
	from := newTemplate(t)
	here, again := run(t, from, seed, steps, nil), run(t, from, seed, steps, nil)
	if os.Getenv("PHOTOVAULT_SIM_CHILD") != "" {
		fmt.Println("trace", here.trace)
		return
	}
	if here.trace != again.trace {
		t.Errorf("in one process: %s and %s", here.trace, again.trace)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestTheSameSeedIsTheSameRun$", "-test.count", "1")
	child.Env = append(os.Environ(), "PHOTOVAULT_SIM_CHILD=1")
	out, err := child.Output()
	if err != nil || !strings.Contains(string(out), "trace "+here.trace+"\n") {
		t.Errorf("in another process: %v %s, here %s", err, out, here.trace)
	}
}
