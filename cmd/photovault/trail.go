package main

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"photovault/api"
	"photovault/cmd/photovault/config"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

type auditCommand struct {
	List        auditList        `cmd:"" help:"List entries, oldest first."`
	Patient     auditPatient     `cmd:"" help:"Who saw, or tried to see, what of one patient."`
	Disclosures auditDisclosures `cmd:"" help:"Account for disclosures of one patient's photos (45 CFR 164.528)."`

	Verify auditVerify `cmd:"" help:"Check the whole log against its chain and the checkpoint kept outside the database."`
}

type auditList struct {
	After int64 `help:"Begin after this number."`
	Limit int   `help:"At most so many (1 to 1000)." default:"100"`
}

func (c *auditList) Run(r *run) error {
	return r.showTrail(fmt.Sprintf("/v1/audit?after=%d&limit=%d", c.After, c.Limit))
}

type auditPatient struct {
	Patient string `arg:"" help:"Patient's id."`
}

func (c *auditPatient) Run(r *run) error {
	if !id.Valid(c.Patient) {
		return misuse("PATIENT must be a patient's id, a UUID")
	}
	return r.showTrail("/v1/audit/patients/" + c.Patient)
}

func (r *run) showTrail(path string) error {
	var out api.Trail
	if err := r.get(path, &out); err != nil {
		return err
	}
	var rows [][]string
	for _, e := range out.Entries {
		rows = append(rows, []string{number(e.Seq), e.At.Format("2006-01-02 15:04:05.000"), dash(e.Role), short(string(e.Actor)), string(e.Action),
			string(e.Outcome), dash(e.Reason), short(string(e.Photo)), dash(strings.TrimSpace(e.Purpose + " " + e.Rendition)), dash(e.Recipient)})
	}
	return r.table(out, "NO\tTIME (UTC)\tROLE\tACTOR\tACTION\tOUTCOME\tREASON\tPHOTO\tWHAT FOR\tRECIPIENT", rows)
}

func number(n int64) string {
	if n == 0 {
		return "new"
	}
	return fmt.Sprint(n)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// short shows the beginning of an id, enough to tell rows apart; --json has it whole.
func short(s string) string {
	if len(s) < 8 {
		return dash(s)
	}
	return s[:8]
}

type auditVerify struct{ practiceFlag }

// Help is shown by photovault audit verify --help.
func (auditVerify) Help() string {
	return `Works on the stores themselves, beside a running service or without one. It also holds
accounts, photos and patients' records against what the log says became of them.
Exit status 1 means that the log is not the one that was written; the message says
what was changed and where.`
}

func (c *auditVerify) Run(r *run) error {
	return r.onStores(reading, c.practiceFlag, func(conf *config.Config, s *stores, practice id.Practice) error {
		return c.verify(r, conf, s, practice)
	})
}

func (c *auditVerify) verify(r *run, conf *config.Config, s *stores, practice id.Practice) error {
	bar := newProgress(r.err, "verifying", r.JSON)
	report, err := vault.VerifyTrail(r.ctx, s.catalog, checkpointsOf(conf), practice, func(n int64) { bar.update(n<<10, n<<10) })
	bar.done()
	if errors.Is(err, audit.ErrTampered) && r.JSON {
		return errors.Join(r.printJSON(map[string]any{"intact": false, "finding": err.Error()}), err)
	}
	if err != nil {
		return err
	}
	check := vault.Fsck{Catalogs: s.catalog, Keys: s.keys, Checkpoints: checkpointsOf(conf), Practice: practice, LogOnly: true}
	rows, err := check.Run(r.ctx)
	if err != nil {
		return err
	}
	if len(rows.Findings) > 0 {
		if err := r.showFsck(rows, false, 0); err != nil {
			return err
		}
		return fmt.Errorf("the log is intact, but %d rows are not what it says", len(rows.Findings))
	}
	if report.Checkpoint == 0 && report.Entries > 0 && !r.JSON {
		fmt.Fprintln(r.err, "there is no checkpoint outside of the database: a log that was cut at its end would not show")
	}
	return r.say(map[string]any{"intact": true, "report": report},
		"the log is intact: %d entries chained, %d waiting for their number, checkpoint at %d", report.Entries, report.Pending, report.Checkpoint)
}

// printReceipt shows a receipt to a person.
func printReceipt(w io.Writer, r *vault.Receipt) {
	f := &r.Findings
	fmt.Fprintf(w, "photo     %s\nissued    %s by %s; the signature is the practice's\n", r.Photo, day(r.IssuedAt), r.Software)
	fmt.Fprintf(w, "upload    %s, %d×%d, SHA-256 %s…\n", f.Format, f.Width, f.Height, f.InputSHA256[:16])
	fmt.Fprintf(w, "taken     %s (camera's clock); position recorded: %s\n", dash(f.CapturedAt), yes(f.HadGPS))
	for _, v := range f.Removed {
		fmt.Fprintf(w, "removed   %-22s %d bytes\n", v.Kind, v.Bytes)
	}
	lossless := ""
	if f.OutputFormat == "png" && !f.Converted || f.Exactly {
		lossless = " without loss"
	}
	switch {
	case f.CodedDataKept:
		fmt.Fprintln(w, "picture   unaltered: the coded data is the camera's, bit for bit")
	case f.Baked && f.Converted:
		fmt.Fprintf(w, "picture   turned upright (orientation %d) and converted from %s to sRGB, coded anew as %s%s\n", f.Orientation, f.Profile, f.OutputFormat, lossless)
	case f.Baked:
		fmt.Fprintf(w, "picture   turned upright (orientation %d), coded anew as %s%s\n", f.Orientation, f.OutputFormat, lossless)
	case f.Converted:
		fmt.Fprintf(w, "picture   converted from %s to sRGB, coded anew as %s%s\n", f.Profile, f.OutputFormat, lossless)
	default:
		fmt.Fprintf(w, "picture   coded anew as %s%s\n", f.OutputFormat, lossless)
	}
}

func yes(b bool) string {
	if b {
		return "yes (removed, not kept anywhere)"
	}
	return "no"
}

type versionCommand struct{}

func (versionCommand) Run(r *run) error {
	return r.say(map[string]any{"version": version, "go": runtime.Version(), "fips140": fips140.Enabled(), "fips140_module": fips140.Version()},
		"photovault %s (%s, FIPS 140-3 module %s, enforced: %v)", version, runtime.Version(), fips140.Version(), fips140.Enabled())
}
