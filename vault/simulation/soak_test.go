package simulation_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// As many seeds as PHOTOVAULT_SIM_SEEDS says, from PHOTOVAULT_SIM_SEED on, by
// default from 1; prints what was simulated and found. make soak runs it.
func TestSoakSimulation(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("PHOTOVAULT_SIM_SEEDS"))
	if err != nil {
		t.Skip("PHOTOVAULT_SIM_SEEDS says how many seeds")
	}
	first, err := strconv.ParseUint(os.Getenv("PHOTOVAULT_SIM_SEED"), 10, 64)
	if err != nil {
		first = 1
	}
	from, began := newTemplate(t), time.Now()
	var all outcome
	all.injected = map[fault]int{}
	var findings []string
	for i := range n {
		out := run(t, from, first+uint64(i), usualSteps, nil)
		out.report(t)
		for _, f := range out.findings {
			findings = append(findings, strconv.FormatUint(out.seed, 10)+" "+f)
		}
		all.steps += out.steps
		all.virtual += out.virtual
		all.photos += out.photos
		all.ready += out.ready
		all.deleted += out.deleted
		all.deliveries += out.deliveries
		all.whole += out.whole
		all.crashes += out.crashes
		for f, k := range out.injected {
			all.injected[f] += k
		}
		if (i+1)%50 == 0 || i+1 == n {
			t.Logf("%d seeds from %d in %v: steps %d in %v of virtual time; photos %d (ready %d, deleted %d), deliveries %d (whole %d), replicas restarted or killed %d; findings %d %s",
				i+1, first, time.Since(began).Round(time.Second), all.steps, all.virtual.Round(time.Second), all.photos, all.ready, all.deleted, all.deliveries, all.whole, all.crashes, len(findings), strings.Join(findings, "; "))
			t.Logf("faults: %v", all.injected)
		}
	}
}
