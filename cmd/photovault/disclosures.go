package main

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"os"
	"time"

	"photovault/api"
	"photovault/vault/id"
)

type auditDisclosures struct {
	Patient string `arg:"" help:"Patient's id."`
	Since   string `help:"Not further back than this day (default: six years)." placeholder:"DATE"`
	HTML    string `name:"html" help:"Write a page to print or hand over into this file, which must not exist." type:"path" placeholder:"FILE"`
}

// Help is shown by photovault audit disclosures --help.
func (auditDisclosures) Help() string {
	return `Examples:
  photovault audit disclosures PATIENT
  photovault audit disclosures PATIENT --html accounting.html
  photovault audit disclosures PATIENT --since 2026-01-01 --json`
}

func (c *auditDisclosures) Run(r *run) error {
	if !id.Valid(c.Patient) {
		return misuse("PATIENT must be a patient's id, a UUID")
	}
	path := "/v1/patients/" + c.Patient + "/disclosures"
	if c.Since != "" {
		t, err := parseDay(c.Since)
		if err != nil {
			return err
		}
		path += "?since=" + url.QueryEscape(t.UTC().Format(time.RFC3339))
	}
	var out api.Accounting
	if err := r.get(path, &out); err != nil {
		return err
	}
	if c.HTML != "" {
		if err := writeAccounting(c.HTML, &out); err != nil {
			return err
		}
		return r.say(out, "%s: %d disclosures", c.HTML, len(out.Disclosures))
	}
	var rows [][]string
	for _, d := range out.Disclosures {
		rows = append(rows, []string{d.At.Format("2006-01-02 15:04"), d.Recipient, d.Description, d.Purpose, string(d.Class), accounted(d), d.Rule, short(string(d.Release))})
	}
	return r.table(out, "DATE (UTC)\tTO\tWHAT\tPURPOSE\tCLASS\tACCOUNTED FOR\t45 CFR\tENTRY", rows)
}

func accounted(d api.Disclosure) string {
	switch {
	case !d.Accountable:
		return "exempt"
	case len(d.Flaws) > 0:
		return "YES: " + d.Flaws[0].Sentence
	}
	return "YES"
}

//go:embed accounting.html
var accountingPage string

var accountingTemplate = template.Must(template.New("accounting").Funcs(template.FuncMap{
	"plain":   plain, // a name must not turn the text around it, either
	"day":     func(t time.Time) string { return t.Format("2 January 2006") },
	"instant": func(t time.Time) string { return t.Format("2006-01-02 15:04 UTC") },
	"count": func(list []api.Disclosure) (n int) {
		for _, d := range list {
			if d.Accountable {
				n++
			}
		}
		return n
	},
}).Parse(accountingPage))

func writeAccounting(path string, a *api.Accounting) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(accountingTemplate.Execute(f, a), f.Close()); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}
