package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"photovault/cmd/photovault/config"
)

// Whatever the text, it is read soon, and is accepted or has faults that show
// nothing of a value.
func FuzzParse(f *testing.F) {
	production := config.Example(config.Production, "c56a4180-65aa-42ec-a945-5fd21dec0538")
	f.Add([]byte(production))
	f.Add([]byte(config.Example(config.OneMachine, "c56a4180-65aa-42ec-a945-5fd21dec0538")))
	for _, seed := range []string{"", "\x00", "---\n...\n", "a: &a [*a]", "&a [*a, *a]", "a: &a {<<: *a}", "? [x]\n: y\n", "server: !!binary aHVudGVyMg==",
		"practice: !!int \"1\"", strings.Repeat("[", 5000), strings.Repeat("{a: ", 5000), strings.Repeat("- ", 5000), "server: {listen: [[[]]]}",
		"keys: {transit: {timeout: 9223372036854775807s}}", "server: {worker_memory: 0x7fffffff}", "\xff\xfe", "%YAML 9.9\n---\na", "swap: |\n  x\n", "keys: null"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		began := time.Now()
		c, err := config.Parse(text, nil)
		if took := time.Since(began); took > 30*time.Second {
			t.Fatalf("%d bytes took %v", len(text), took)
		}
		var faults config.Faults
		if err != nil && !errors.As(err, &faults) {
			t.Fatalf("an error that is no fault: %v", err)
		}
		if (c == nil) == (err == nil) {
			t.Fatal("neither configuration nor faults, or both")
		}
		for _, x := range faults {
			if x.Sentence == "" || x.Code == "" || x.Line < 0 || x.Line > 1+len(text) {
				t.Fatalf("fault %+v", x)
			}
		}
		if err != nil {
			return
		}
		if c.Server.Certificate == "" || c.Checkpoint == "" || (c.Keys.Local == nil) == (c.Keys.Transit == nil) ||
			!strings.HasPrefix(c.Server.URL, "https://") && !strings.HasPrefix(strings.ToLower(c.Server.URL), "https://") {
			t.Fatalf("accepted: %+v", c)
		}
		if c.Keys.Transit != nil && c.Transit().Check() != nil || c.Objects.S3 != nil && c.S3().Check() != nil {
			t.Fatal("accepted, and a store refuses its options")
		}
	})
}

// No value of the file is in a fault, whatever setting it was written at.
func TestFaultsShowNoValue(t *testing.T) {
	const canary = "Hunter2Canary"
	text := config.Example(config.Production, "c56a4180-65aa-42ec-a945-5fd21dec0538")
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		name, _, ok := strings.Cut(line, ": ")
		if !ok || strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, value := range []string{canary, "http://" + canary, "https://u:" + canary + "@h/p", "[" + canary + "]", "{" + canary + ": 1}", canary + ": x", "/" + canary,
			"'" + canary, "!!int " + canary, "&" + canary + " x", "*" + canary, "\"\\x" + canary + "\"", "$" + canary + "/x"} {
			changed := append([]string(nil), lines...)
			changed[i] = name + ": " + value
			p := placed(t, config.Production)
			p.text = strings.Join(changed, "\n")
			_, faults := p.load()
			for _, x := range faults {
				own := strings.HasPrefix(value, "/") && x.Path == "checkpoint" // a folder is no secret, and is named
				if strings.Contains(x.String(), canary) && !own {
					t.Errorf("%s: %v", changed[i], x)
				}
			}
		}
	}
}
