package config

import (
	"strings"
	"time"

	"photovault/vault/webhook"
)

// Notify are the receivers that are told at once of what concerns them.
type Notify struct {
	Marketing *Webhook `yaml:"marketing"` // the system that publishes: what must come down
	Alerts    *Webhook `yaml:"alerts"`    // whoever is woken up: emergencies, what is overdue, reviews
}

// Webhook is one receiver. Without a URL nobody is told.
type Webhook struct {
	URL        string        `yaml:"url"`         // https://host[:port]/path
	CA         string        `yaml:"ca"`          // PEM; empty: the system's authorities
	ServerName string        `yaml:"server_name"` // in its certificate, if not the URL's
	SecretFile string        `yaml:"secret_file"` // that messages are signed with
	Timeout    time.Duration `yaml:"timeout"`     // of one attempt; 0: 10 s
}

// What a takedown may be given: time to act, and no time to forget.
const (
	minTakedownDue = time.Hour
	maxTakedownDue = 30 * 24 * time.Hour
)

// Webhooks are the options of the receivers that are configured, by their name
// under notify.
func (c *Config) Webhooks() map[string]webhook.Options {
	out := map[string]webhook.Options{}
	for name, w := range c.webhooks() {
		if w.URL == "" {
			continue
		}
		where, path := "notify."+name+".secret_file", w.SecretFile
		out[name] = webhook.Options{URL: w.URL, CAFile: w.CA, ServerName: w.ServerName, Timeout: w.Timeout,
			Secret: func() ([]byte, error) { return readSecret(where, path) }}
	}
	return out
}

func (c *Config) webhooks() map[string]*Webhook {
	all := map[string]*Webhook{}
	for name, w := range map[string]*Webhook{"marketing": c.Notify.Marketing, "alerts": c.Notify.Alerts} {
		if w != nil {
			all[name] = w
		}
	}
	return all
}

func (c *Config) checkNotify(r *report) {
	if d := c.TakedownDue; d != 0 && (d < minTakedownDue || d > maxTakedownDue) {
		r.add("takedown_due", Invalid, "write how long a takedown may take, from 1h to 720h")
	}
	for name, w := range c.webhooks() {
		at := "notify." + name + "."
		o := webhook.Options{URL: "https://host", Timeout: w.Timeout}
		if o.Check() != nil {
			r.add(at+"timeout", Invalid, "write a time limit from 1s to 1m")
		}
		o = webhook.Options{URL: w.URL}
		switch {
		case r.faulty(at + "url"):
		case w.URL == "" && (w.SecretFile != "" || w.CA != "" || w.ServerName != ""):
			r.add(at+"url", Missing, "write the address that takes messages: https://host[:port]/path")
		case w.URL != "" && o.Check() != nil:
			code := Invalid
			if strings.HasPrefix(strings.ToLower(w.URL), "http://") {
				code = PlainText
			}
			r.add(at+"url", code, "write the address that takes messages: https://host[:port]/path; they go out under TLS only")
		}
		if w.ServerName != "" && !isHost(w.ServerName) {
			r.add(at+"server_name", Invalid, "write the name in the receiver's certificate, without a port")
		}
		if w.URL != "" && w.SecretFile == "" && !r.faulty(at+"secret_file") {
			r.add(at+"secret_file", Missing, "name the file of the secret that messages are signed with, mode 0600: whsec_ and 24 to 64 random bytes in base64")
		}
	}
}

// checkSigning: the file holds a secret of the form that messages are signed with.
func checkSigning(r *report, where string, text []byte) {
	line, ok := oneLine(text)
	if !ok {
		r.add(where, Invalid, "the file does not hold one secret on one line")
		return
	}
	key, err := webhook.ParseSecret(line)
	clear(key)
	if err != nil {
		r.add(where, Invalid, "the file does not hold whsec_ and then 24 to 64 random bytes in base64, on one line")
	}
}
