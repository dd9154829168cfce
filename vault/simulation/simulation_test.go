package simulation_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// usualSteps is how long a run's faults and clients go on.
const usualSteps = 1500

// A handful of seeds, or the one that PHOTOVAULT_SIM_SEED names.
func TestSimulation(t *testing.T) {
	from := newTemplate(t)
	seeds := []uint64{1, 2, 3, 4}
	if n, err := strconv.ParseUint(os.Getenv("PHOTOVAULT_SIM_SEED"), 10, 64); err == nil {
		seeds = []uint64{n}
	}
	for _, seed := range seeds {
		out := run(t, from, seed, usualSteps, nil)
		t.Logf("seed %d: %d steps, %v, photos %d (ready %d, deleted %d), deliveries %d (whole %d), restarts %d, trace %s, injected %v",
			seed, out.steps, out.virtual, out.photos, out.ready, out.deleted, out.deliveries, out.whole, out.crashes, out.trace, out.injected)
		if file := os.Getenv("PHOTOVAULT_SIM_TRACE"); file != "" {
			if err := os.WriteFile(file, []byte(strings.Join(out.tail, "\n")+"\n"), 0o600); err != nil {
				t.Error(err)
			}
		}
		out.report(t)
	}
}
