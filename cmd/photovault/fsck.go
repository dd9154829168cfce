package main

import (
	"fmt"
	"time"

	"photovault/cmd/photovault/config"
	"photovault/vault"
	"photovault/vault/id"
)

type fsckCommand struct {
	practiceFlag
	ReadData bool `help:"Also open every object and authenticate it: each photo under a verify permit, with an entry in the log."`
}

// Help is shown by photovault fsck --help.
func (fsckCommand) Help() string {
	return `Works on the stores themselves, beside a running service or without one; what is in motion is
looked at twice. Examples:
  photovault fsck
  photovault fsck --read-data --json --config /etc/photovault/config.yaml
It finds flipped bits, missing, extra and swapped objects, edited, inserted, missing and
rolled-back rows, and says what to do. Exit status 1 means that something was found.`
}

func (c *fsckCommand) Run(r *run) error {
	return r.onStores(reading, c.practiceFlag, func(conf *config.Config, s *stores, practice id.Practice) error {
		return c.check(r, conf, s, practice)
	})
}

func (c *fsckCommand) check(r *run, conf *config.Config, s *stores, practice id.Practice) error {
	bar := newProgress(r.err, "checking", r.JSON)
	last := time.Time{}
	check := &vault.Fsck{Catalogs: s.catalog, Keys: s.keys, Blobs: s.blobs, Checkpoints: checkpointsOf(conf), Practice: practice,
		ReadData: c.ReadData, Progress: func(what string, done, of int64) {
			if what == "data" {
				bar.update(done, of)
			} else if !r.JSON && time.Since(last) > 200*time.Millisecond {
				last = time.Now()
				fmt.Fprintf(r.err, "\rchecking %-8s %d   ", what, done)
			}
		}}
	began := time.Now()
	report, err := check.Run(r.ctx)
	bar.done()
	if err != nil {
		return err
	}
	if r.JSON {
		if err := r.printJSON(report); err != nil {
			return err
		}
	} else if err := r.showFsck(report, c.ReadData, time.Since(began)); err != nil {
		return err
	}
	if n := len(report.Findings); n > 0 {
		return fmt.Errorf("%d findings", n)
	}
	return nil
}

func (r *run) showFsck(report *vault.FsckReport, read bool, took time.Duration) error {
	rows := 0
	for _, n := range report.Rows {
		rows += n
	}
	fmt.Fprintf(r.err, "\r%40s\r", "")
	data := "data not read (--read-data)"
	if read {
		data = fmt.Sprintf("%.1f MB of photos authenticated, %.0f MB/s", float64(report.Bytes)/1e6, float64(report.Bytes)/1e6/max(took.Seconds(), 1e-3))
	}
	fmt.Fprintf(r.out, "%d rows, %d photos, %d objects, %d log entries; %s\n", rows, report.Photos, report.Objects, report.Entries, data)
	if len(report.Findings) == 0 {
		_, err := fmt.Fprintln(r.out, "nothing was found")
		return err
	}
	var list [][]string
	said := map[string]bool{}
	for _, f := range report.Findings {
		list = append(list, []string{f.Code, f.Where})
	}
	if err := r.table(report, "FINDING\tWHERE", list); err != nil {
		return err
	}
	for _, f := range report.Findings {
		if !said[f.Code] {
			said[f.Code] = true
			fmt.Fprintf(r.out, "\n%s: %s.\n  %s.\n", f.Code, f.Sentence, f.Do)
		}
	}
	return nil
}
