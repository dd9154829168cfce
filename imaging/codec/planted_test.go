package codec_test

import (
	"testing"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

// One random canary for each carrier that is known, in every form: none is found in any rendition,
// however hard it is looked for.
func TestNoCanarySurvivesInAnyCarrier(t *testing.T) {
	planted, searched, found := map[string]int{}, 0, 0
	for _, p := range specimen.PlantAll(20261126) {
		if specimen.Search(p.Data, p.Text) == nil {
			t.Errorf("%s, %s: the specimen does not hold its canary", p.Format, p.Carrier)
		}
		planted[p.Format]++
		a, err := codec.Sanitise(p.Data, limits)
		if err != nil {
			t.Errorf("%s, %s: %v", p.Format, p.Carrier, err)
			continue
		}
		if len(a.Findings.Removed) == 0 || !a.Findings.Plausible(int64(len(p.Data))) {
			t.Errorf("%s, %s: findings %+v", p.Format, p.Carrier, a.Findings)
		}
		for _, r := range a.Renditions {
			searched++
			if where := specimen.Search(r.Data, p.Text); where != nil {
				found++
				t.Errorf("%s, %s: %s holds the canary: %v", p.Format, p.Carrier, r.Name, where)
			}
			if _, err := codec.Scan(r.Data); err != nil {
				t.Errorf("%s, %s: %s: %v", p.Format, p.Carrier, r.Name, err)
			}
		}
	}
	t.Logf("canaries planted: %v; renditions searched: %d; canaries found: %d", planted, searched, found)
}

// The same rows compressed in other ways give the same bytes: nothing of a stream survives but its rows.
func TestNothingOfAnUploadsCompressionSurvives(t *testing.T) {
	var want []byte
	for _, level := range []int{1, 6, 9, -2} { // -2: Huffman codes only
		got := sanitise(t, specimen.PNG(specimen.PNGOptions{Level: level, Split: 100 * (level + 3)})).Renditions[0].Data
		if want == nil {
			want = got
		}
		if string(got) != string(want) {
			t.Errorf("level %d gives other bytes", level)
		}
	}
}
