package codec_test

import (
	"fmt"
	"testing"
	"time"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

func TestBombsAndMalformedFilesAreRefusedQuickly(t *testing.T) {
	for _, b := range specimen.AllBroken() {
		t.Run(b.Name, func(t *testing.T) {
			before := cpuTime()
			if got := code(b.Data); got != b.Code {
				_, err := codec.Sanitise(b.Data, limits)
				t.Errorf("got %s, want %s (%v)", got, b.Code, err)
			}
			if d := cpuTime() - before; d > time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
	for name, in := range testdata(t, "refused-*.jpg") {
		if got := code(in); got != codec.CodeCoding {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestEveryCutIsTruncated(t *testing.T) {
	photos := testdata(t, "*-4*.jpg")
	photos["restart"] = testdata(t, "restart-every-unit.jpg")["restart-every-unit.jpg"]
	photos["specimen"] = specimen.JPEG(specimen.Options{Width: 160, Height: 120})
	for name, photo := range photos {
		for i, cut := range specimen.Cuts(photo, 60) {
			if got := code(cut); got != codec.CodeTruncated {
				t.Errorf("%s cut at %d: %s", name, len(cut), got)
			}
			// The same with an end marker put behind it, as a tolerant tool would.
			if i == 0 {
				continue
			}
			if got := code(append(append([]byte(nil), cut...), 0xFF, 0xD9)); got == "accepted" {
				t.Errorf("%s cut at %d and closed: accepted", name, len(cut))
			}
		}
	}
}

func TestMutantsAreRefusedOrClean(t *testing.T) {
	o := specimen.Full(160, 120, 11)
	// A mutant that claims more rows makes image data of whatever follows the last block.
	o.Tail = false
	base := map[string][]byte{"baseline": specimen.JPEG(o)}
	o.Orientation = 6
	base["turned"] = specimen.JPEG(o)
	o.Orientation = 1
	base["progressive"] = specimen.Decorate(testdata(t, "progressive-420.jpg")["progressive-420.jpg"], o)
	refused := map[string]int{}
	for name, photo := range base {
		for i, m := range specimen.Mutants(photo, 200, 42) {
			before := cpuTime()
			a, err := codec.Sanitise(m, limits)
			if d := cpuTime() - before; d > time.Second {
				t.Errorf("%s mutant %d took %v", name, i, d)
			}
			if err != nil {
				refused[codeOf(err)]++
				continue
			}
			refused["accepted"]++
			if !a.Findings.Plausible(int64(len(m))) {
				t.Errorf("%s mutant %d: findings %+v", name, i, a.Findings)
			}
			for _, r := range a.Renditions {
				if found := specimen.Find(r.Data, o.Canary); found != nil {
					t.Errorf("%s mutant %d: %s holds the canary as %v", name, i, r.Name, found)
				}
				if _, err := codec.Scan(r.Data); err != nil {
					t.Errorf("%s mutant %d: %s: %v", name, i, r.Name, err)
				}
			}
		}
	}
	t.Log(fmt.Sprint(refused))
	for c := range refused {
		if c == "worker_failed" {
			t.Errorf("failed instead of refusing: %s", c)
		}
	}
}
