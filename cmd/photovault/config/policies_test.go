package config_test

import (
	"os"
	"testing"

	"photovault/cmd/photovault/config"
)

func TestPoliciesAreCheckedWithTheRest(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		code config.Code
	}{
		"that forbid":     {`forbid (principal, action, resource) when { context.channel == "social" };`, 0o644, ""},
		"that permit":     {`permit (principal, action, resource);`, 0o644, config.Invalid},
		"in no Cedar":     {`allow all`, 0o644, config.Invalid},
		"others' to edit": {`forbid (principal, action, resource);`, 0o666, config.NotProtected},
	} {
		t.Run(name, func(t *testing.T) {
			p := placed(t, config.Production)
			p.file("policies.cedar", c.mode, c.text)
			p.replace(`policies: ""`, "policies: "+p.in("policies.cedar"))
			loaded, faults := p.load()
			if c.code != "" {
				if len(faults) != 1 || faults[0].Path != "policies" || faults[0].Code != c.code || faults[0].Line == 0 {
					t.Errorf("%v", faults)
				}
				return
			}
			if len(faults) != 0 {
				t.Fatal(faults)
			}
			if policies, err := loaded.ReadPolicies(); err != nil || policies.Version() == "" {
				t.Error(err)
			}
		})
	}
}
