package layers_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// Every module that is required directly has its line in the decision record.
func TestDependenciesAreExplained(t *testing.T) {
	raw, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	record, err := os.ReadFile("../adr/0003-dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		name := strings.TrimPrefix(r.Mod.Path, "github.com/")
		if i := strings.LastIndex(name, "/v"); i > 0 && len(name)-i <= 4 {
			name = name[:i]
		}
		if !r.Indirect && !strings.Contains(string(record), name) {
			t.Errorf("%s is not in deploy/adr/0003-dependencies.md", r.Mod.Path)
		}
	}
}
