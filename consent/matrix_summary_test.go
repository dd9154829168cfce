package consent_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"photovault/consent"
)

var update = flag.Bool("update", false, "write MATRIX.md anew")

// MATRIX.md is made from the engine's answers, so that it cannot say anything
// else: this test, which make check runs too, refuses a stale one.
func TestTheSummaryIsWhatTheEngineAnswers(t *testing.T) {
	const file = "MATRIX.md"
	want := summary()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil || string(have) != want {
		t.Errorf("%s is stale: go test ./consent -run Summary -update (%v)", file, err)
	}
}

func dimension(name string) int {
	return slices.IndexFunc(dimensions, func(d struct {
		name   string
		values []fact
	}) bool {
		return d.name == name
	})
}

func summary() string {
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	role, purpose := dimension("role"), dimension("purpose")
	line("# Who may open a photo, for what, and when\n")
	line("Made from the decisions themselves (`go test ./consent -run Summary -update`). The tests beside it ask some 3.2 million")
	line("combinations of what is named here, and every other act of every role, and compare them with an oracle written from 45 CFR 164; paragraphs below are of that part. All that is not named here is refused.\n")
	line("## Roles and purposes, when everything else speaks for it\n")
	line("| role | clinical | teaching | marketing |\n|---|---|---|---|")
	var open [][2]int
	for i, r := range dimensions[role].values {
		cells := []string{r.name}
		for j := range dimensions[purpose].values[:3] {
			choice := make([]int, len(dimensions))
			choice[role], choice[purpose] = i, j
			if d, _ := cell(choice); d.Allowed {
				cells, open = append(cells, "**yes**"), append(open, [2]int{i, j})
			} else {
				cells = append(cells, "no: "+why(d))
			}
		}
		line("| %s |", strings.Join(cells, " | "))
	}
	line("\n## What else it depends on, one thing at a time\n")
	for _, rp := range open {
		line("**%s, %s**\n", dimensions[role].values[rp[0]].name, dimensions[purpose].values[rp[1]].name)
		line("| | allowed | refused |\n|---|---|---|")
		for k, d := range dimensions {
			if k == role || k == purpose {
				continue
			}
			yes, no := vary(k, rp)
			switch {
			case len(no) == 0:
				continue // it does not matter
			case len(yes) == 0:
				yes = []string{"–"}
			}
			line("| %s | %s | %s |", d.name, strings.Join(yes, "; "), strings.Join(no, "; "))
		}
		line("")
	}
	line("## Every refusal\n")
	line("| code | paragraph | what the front desk reads |\n|---|---|---|")
	for _, r := range consent.Refusals() {
		line("| `%s` | %s | %s |", r.Code, r.Paragraph, r.Sentence)
	}
	return out.String()
}

// vary changes one dimension and leaves the rest at what speaks for it.
func vary(k int, rp [2]int) (yes, no []string) {
	for v, value := range dimensions[k].values {
		choice := make([]int, len(dimensions))
		choice[dimension("role")], choice[dimension("purpose")], choice[k] = rp[0], rp[1], v
		if d, _ := cell(choice); d.Allowed {
			yes = append(yes, value.name)
		} else {
			no = append(no, value.name+" ("+why(d)+")")
		}
	}
	return yes, no
}

func why(d consent.Decision) string {
	r := d.Refusals[0]
	if r.Paragraph == "" {
		return "`" + r.Code + "`"
	}
	return "`" + r.Code + "`, " + r.Paragraph
}
