package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"photovault/api"
	"photovault/consent"
	"photovault/vault/id"
)

type consentTemplate struct {
	Add  templateAdd  `cmd:"" help:"Add a text of an authorization or of a clinical consent, or the next version of one."`
	List templateList `cmd:"" help:"List the practice's texts, every version."`
}

type templateAdd struct {
	File    string `arg:"" optional:"" help:"JSON file with name, text and clauses, or - for standard input." placeholder:"FILE"`
	Of      string `help:"Id of the template of which it is the next version." placeholder:"ID"`
	Example bool   `help:"Print an example to fill in."`

	Clinical bool `help:"With --example: of a consent for care."`
}

// Help is shown by photovault consent template add --help.
func (templateAdd) Help() string {
	return `Example:
  photovault consent template add --example > template.json
  photovault consent template add template.json
  photovault consent template add --example --clinical > care.json

Each clause is quoted, word for word, from the text: it is where the text makes one of the
statements that 45 CFR 164.508 demands. What is signed on the template makes those statements.`
}

func (c *templateAdd) Run(r *run) error {
	switch {
	case c.Example && c.Clinical:
		return r.printJSON(exampleClinicalTemplate)
	case c.Example:
		return r.printJSON(exampleTemplate)
	}
	raw, err := r.jsonFile(c.File, "photovault consent template add --example")
	if err != nil {
		return err
	}
	var in api.NewTemplate
	if err := json.Unmarshal(raw, &in); err != nil {
		return fmt.Errorf("the template is not as in the example: %w", err)
	}
	if c.Of != "" {
		in.Template = id.Template(c.Of)
	}
	var out api.Template
	if err := r.post("/v1/templates", in, &out); err != nil {
		return err
	}
	return r.say(out, "%s version %d", out.ID, out.Version)
}

var exampleTemplate = api.NewTemplate{Name: "Website",
	Text: "I allow Example Aesthetics to show photos of my treatment on its website.\n" +
		"I may revoke this at any time by writing to the practice; what was published before cannot be undone.\n" +
		"My treatment does not depend on whether I sign this.\n" +
		"Whoever sees the photos may pass them on, and the law then no longer protects them.",
	Clauses: consent.Clauses{RightToRevoke: "I may revoke this at any time by writing to the practice",
		Conditioning: "My treatment does not depend on whether I sign this.", Redisclosure: "Whoever sees the photos may pass them on"}}

var exampleClinicalTemplate = api.NewTemplate{Name: "Photos for care", Kind: consent.TemplateOfClinical,
	Text: "I agree that photos of my treatment are taken.\n" +
		"The practice uses them to plan my treatment and to follow how it heals.\n" +
		"The practice's staff may look at them to learn from them.",
	Clauses: consent.Clauses{Capture: "I agree that photos of my treatment are taken.",
		Care:     "The practice uses them to plan my treatment and to follow how it heals.",
		Teaching: "The practice's staff may look at them to learn from them."}}

// jsonFile reads a JSON file that a command was given, or standard input for -.
func (r *run) jsonFile(name, example string) ([]byte, error) {
	if name == "" {
		return nil, misuse("give a file; this prints one to fill in: " + example)
	}
	in := r.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, 64<<10))
	if err == nil && !json.Valid(raw) {
		err = errors.New("that is not JSON; see: " + example)
	}
	return raw, err
}

type templateList struct{}

func (templateList) Run(r *run) error {
	var out api.TemplateList
	if err := r.get("/v1/templates", &out); err != nil {
		return err
	}
	var rows [][]string
	for _, t := range out.Templates {
		rows = append(rows, []string{string(t.ID), fmt.Sprint(t.Version), string(t.Kind), day(t.CreatedAt), t.Name})
	}
	return r.table(out, "ID\tVERSION\tKIND\tADDED\tNAME", rows)
}

type consentDocument struct {
	Add documentAdd `cmd:"" help:"Keep a signed document (PDF), or a drawn signature (PNG), sealed."`
	Get documentGet `cmd:"" help:"Fetch a signed document."`
}

type documentAdd struct {
	File    string `arg:"" help:"PDF or PNG, at most 2 MiB." type:"path"`
	Patient string `required:"" help:"Patient's id." placeholder:"ID"`
}

func (c *documentAdd) Run(r *run) error {
	if !id.Valid(c.Patient) {
		return misuse("--patient must be a patient's id, a UUID")
	}
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, consent.MaxDocument+1))
	if err != nil {
		return err
	}
	kind := consent.DocumentType(content)
	switch {
	case kind == "":
		return errors.New("that is neither a PDF nor a PNG")
	case len(content) > consent.MaxDocument:
		return errors.New("the document is larger than 2 MiB; scan it at a lower resolution")
	}
	client, _, err := r.connect()
	if err != nil {
		return err
	}
	out, err := client.AddDocument(r.ctx, c.Patient, kind, content)
	if err != nil {
		return err
	}
	return r.say(out, "%s", out.ID)
}

type documentGet struct {
	Document string `arg:"" help:"Id of the document."`
	Output   string `short:"o" required:"" help:"File to write; it must not exist." placeholder:"FILE" type:"path"`
}

func (c *documentGet) Run(r *run) error {
	if !id.Valid(c.Document) {
		return misuse("DOCUMENT must be a document's id, a UUID")
	}
	client, _, err := r.connect()
	if err != nil {
		return err
	}
	content, err := client.Document(r.ctx, c.Document)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(c.Output))
	}
	return r.say(map[string]any{"file": c.Output, "bytes": len(content)}, "%s: %d bytes", c.Output, len(content))
}
