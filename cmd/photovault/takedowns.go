package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"photovault/api"
	"photovault/vault/id"
)

type takedownCommand struct {
	List    takedownList    `cmd:"" default:"1" help:"List what must come down, the overdue first."`
	Show    takedownShow    `cmd:"" help:"Show one, with what was confirmed."`
	Confirm takedownConfirm `cmd:"" help:"Confirm, with evidence, that something came down."`
}

type takedownList struct {
	All bool `help:"Also what was confirmed."`
}

// Help is shown by photovault takedown list --help.
func (takedownList) Help() string {
	return `Examples:
  photovault takedown list
  photovault takedown list --all --json`
}

func (c *takedownList) Run(r *run) error {
	path := "/v1/takedowns"
	if c.All {
		path += "?state=all"
	}
	var out api.TakedownList
	if err := r.get(path, &out); err != nil {
		return err
	}
	return r.table(out, takedownHead, takedownRows(out.Takedowns))
}

const takedownHead = "TAKEDOWN\tSTATE\tDUE\tPHOTO\tWHERE\tRELEASED\tWHY"

func takedownRows(list []api.Takedown) (rows [][]string) {
	for _, t := range list {
		rows = append(rows, []string{string(t.ID), takedownState(t), day(t.DueAt), string(t.Photo), fmt.Sprintf("%q via %s", t.Recipient, t.Channel), day(t.ReleasedAt), t.Why.Sentence})
	}
	return rows
}

// showUsable is marketing's view: what may be used now, and what must come down.
func (r *run) showUsable(out *api.UsableList) error {
	var rows [][]string
	for _, p := range out.Photos {
		for _, u := range p.Usable {
			until := day(u.Until)
			if u.UntilEvent != "" {
				until += ", or event: " + u.UntilEvent
			}
			rows = append(rows, []string{string(p.Photo), p.Kind, u.CampaignName, string(u.Campaign), fmt.Sprint(u.Renditions), fmt.Sprintf("%q", u.Recipients), fmt.Sprint(u.Channels), until})
		}
	}
	if err := r.table(out, "PHOTO\tKIND\tFOR\tCAMPAIGN\tRENDITIONS\tRECIPIENTS\tCHANNELS\tUNTIL", rows); err != nil || r.JSON || len(out.Takedowns) == 0 {
		return err
	}
	fmt.Fprintln(r.out, "\nmust come down:")
	return r.table(out, takedownHead, takedownRows(out.Takedowns))
}

func takedownState(t api.Takedown) string {
	if t.Overdue {
		return "OVERDUE"
	}
	return string(t.State)
}

type takedownShow struct {
	Takedown string `arg:"" help:"Takedown's id."`
}

// Help is shown by photovault takedown show --help.
func (takedownShow) Help() string {
	return `Example:
  photovault takedown show TAKEDOWN`
}

func (c *takedownShow) Run(r *run) error {
	if !id.Valid(c.Takedown) {
		return misuse("TAKEDOWN must be an id, a UUID; see: photovault takedown list")
	}
	var t api.Takedown
	if err := r.get("/v1/takedowns/"+c.Takedown, &t); err != nil {
		return err
	}
	if r.JSON {
		return r.printJSON(t)
	}
	fmt.Fprintf(r.out, "photo     %s, %s\nwhere     %q via %s, campaign %s\nreleased  %s under authorization %s\nwhy       %s (%s)\nstate     %s, due %s\n",
		t.Photo, t.Rendition, t.Recipient, t.Channel, t.Campaign, day(t.ReleasedAt), t.Authorization, t.Why.Sentence, t.Cause, takedownState(t), day(t.DueAt))
	for _, v := range t.Confirmations {
		fmt.Fprintf(r.out, "confirmed %s by %s, down on %s: %s %s\n", day(v.At), v.By, day(v.TakenDownAt), plain(dash(v.Text)), v.Document)
	}
	return nil
}

type takedownConfirm struct {
	Takedown []string `arg:"" help:"Takedowns' ids."`
	Evidence string   `help:"How you know that it came down." placeholder:"TEXT"`
	Document string   `help:"A file that shows it, such as a screenshot; its SHA-256 is recorded, the file stays with you." type:"existingfile" placeholder:"FILE"`
	Down     string   `help:"When it came down (default: now)." placeholder:"DATE"`
}

// Help is shown by photovault takedown confirm --help.
func (takedownConfirm) Help() string {
	return `Examples:
  photovault takedown confirm TAKEDOWN --evidence "removed from /results, checked by M. Vogt"
  photovault takedown confirm TAKEDOWN TAKEDOWN --document screenshot.png --down 2027-03-01`
}

func (c *takedownConfirm) Run(r *run) error {
	for _, t := range c.Takedown {
		if !id.Valid(t) {
			return misuse("TAKEDOWN must be an id, a UUID; see: photovault takedown list")
		}
	}
	if c.Evidence == "" && c.Document == "" {
		return misuse("give --evidence, --document, or both")
	}
	in := api.NewConfirmation{Text: c.Evidence}
	if c.Down != "" {
		t, err := parseDay(c.Down)
		if err != nil {
			return err
		}
		in.TakenDownAt = t
	}
	if c.Document != "" {
		sum, err := fileSHA256(c.Document)
		if err != nil {
			return err
		}
		in.Document = sum
	}
	var out api.TakedownList
	for _, t := range c.Takedown {
		var done api.Takedown
		if err := r.post("/v1/takedowns/"+t+"/confirmations", in, &done); err != nil {
			return err
		}
		out.Takedowns = append(out.Takedowns, done)
	}
	return r.say(out, "%d confirmed", len(out.Takedowns))
}

// fileSHA256 is the file's digest, hexadecimal.
func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
