package config_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/cmd/photovault/config"
)

const signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// withReceiver lays out an example whose alerts go somewhere.
func withReceiver(t *testing.T, url string) *place {
	t.Helper()
	p := placed(t, config.Production)
	p.replace("  alerts:\n    # As above.\n    url: \"\"\n", "  alerts:\n    # As above.\n    url: "+url+"\n")
	p.replace("    # As above, another file.\n    secret_file: \"\"\n", "    # As above, another file.\n    secret_file: "+p.in("signing")+"\n")
	p.file("signing", 0o600, signing+"\n")
	return p
}

func TestReceiversArrive(t *testing.T) {
	p := withReceiver(t, "https://pager.example/hook?to=42")
	p.replace("takedown_due: 72h", "takedown_due: 24h")
	c, faults := p.load()
	if faults != nil {
		t.Fatal(faults)
	}
	all := c.Webhooks()
	o, there := all["alerts"]
	if len(all) != 1 || !there || o.URL != "https://pager.example/hook?to=42" || o.Timeout != 10*time.Second || c.TakedownDue != 24*time.Hour {
		t.Fatalf("%+v", all)
	}
	for _, want := range []string{signing, "whsec_dHdlbnR5LWZvdXItYnl0ZXMtYW5kLW1vcmU="} { // it is read each time
		p.file("signing", 0o600, want+"\n")
		if got, err := o.Secret(); err != nil || string(got) != want {
			t.Errorf("%q %v", got, err)
		}
	}
}

func TestFaultsOfAReceiver(t *testing.T) {
	for name, tc := range map[string]struct {
		url    string
		change func(*place)
		want   []string
	}{
		"plain text":          {"http://pager.example/", func(*place) {}, []string{"notify.alerts.url plain_text"}},
		"a password in it":    {"https://u:p@pager.example/", func(*place) {}, []string{"notify.alerts.url invalid"}},
		"no address":          {"\"\"", func(*place) {}, []string{"notify.alerts.url missing"}},
		"no secret there":     {"https://pager.example/", func(p *place) { p.remove("signing") }, []string{"notify.alerts.secret_file unreadable"}},
		"others may read it":  {"https://pager.example/", func(p *place) { p.file("signing", 0o644, signing) }, []string{"notify.alerts.secret_file not_private"}},
		"a secret of another": {"https://pager.example/", func(p *place) { p.file("signing", 0o600, "hunter2\n") }, []string{"notify.alerts.secret_file invalid"}},
		"a short secret":      {"https://pager.example/", func(p *place) { p.file("signing", 0o600, "whsec_c2hvcnQ=\n") }, []string{"notify.alerts.secret_file invalid"}},
	} {
		p := withReceiver(t, tc.url)
		tc.change(p)
		_, faults := p.load()
		if d := cmp.Diff(tc.want, found(faults)); d != "" {
			t.Errorf("%s: %s\n%v", name, d, faults)
		}
	}
}
