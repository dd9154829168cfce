package main

import (
	"encoding/json"
	"fmt"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault/id"
)

type consentCommand struct {
	Clinical  consentClinical  `cmd:"" help:"Record a signed clinical consent: photos may be taken for care."`
	Authorize consentAuthorize `cmd:"" help:"Record a signed marketing authorization (45 CFR 164.508)."`
	Template  consentTemplate  `cmd:"" help:"The practice's own texts of authorizations and consents for care, and what each states."`
	Document  consentDocument  `cmd:"" help:"Signed documents, kept sealed as evidence."`
	List      consentList      `cmd:"" help:"List a patient's consents and authorizations."`
	Revoke    consentRevoke    `cmd:"" help:"Revoke a consent or authorization, from this moment on."`
	Copy      consentCopy      `cmd:"" help:"Record that the patient was given a copy of the signed authorization."`
	Restrict  consentRestrict  `cmd:"" help:"Record a restriction that the patient asked for; it wins over every authorization."`
	End       consentEnd       `cmd:"" help:"End a restriction, or a provider's assignment."`
	Explain   consentExplain   `cmd:"" help:"Show why a release would be allowed or refused; releases nothing."`
}

type consentClinical struct {
	Patient   string `required:"" help:"Patient's id." placeholder:"ID"`
	Signer    string `required:"" help:"Who signed." placeholder:"NAME"`
	Authority string `help:"If a representative signed: the authority to act for the patient."`
	Signed    string `help:"When it was signed (default: now)." placeholder:"DATE"`
	Teaching  bool   `help:"The patient also agreed to teaching inside the practice."`
	Template  string `help:"Id of the text that was signed; it says whether teaching is allowed." placeholder:"ID"`
	Version   int64  `help:"Version of that text." placeholder:"N"`
}

func (c *consentClinical) Run(r *run) error {
	if (c.Template == "") != (c.Version == 0) {
		return misuse("a text that was signed is named by --template and --version")
	}
	in := api.NewClinical{Patient: id.Patient(c.Patient), Teaching: c.Teaching, SignedAt: time.Now().UTC(), Template: id.Template(c.Template), TemplateVersion: c.Version,
		Signer: consent.Signer{Name: c.Signer, IsRepresentative: c.Authority != "", Authority: c.Authority}}
	if c.Signed != "" {
		t, err := parseDay(c.Signed)
		if err != nil {
			return err
		}
		in.SignedAt = t
	}
	var out api.Clinical
	if err := r.post("/v1/consents", in, &out); err != nil {
		return err
	}
	return r.say(out, "%s", out.ID)
}

type consentAuthorize struct {
	File    string `arg:"" optional:"" help:"JSON file with the authorization, or - for standard input." placeholder:"FILE"`
	Example bool   `help:"Print an example to fill in."`
}

// Help is shown by photovault consent authorize --help.
func (consentAuthorize) Help() string {
	return `Example:
  photovault consent authorize --example > authorization.json
  photovault consent authorize authorization.json

Whatever 164.508(c) asks for and is missing is named with its paragraph.`
}

func (c *consentAuthorize) Run(r *run) error {
	if c.Example {
		return r.printJSON(exampleAuthorization(time.Now().UTC().Truncate(time.Second)))
	}
	raw, err := r.jsonFile(c.File, "photovault consent authorize --example")
	if err != nil {
		return err
	}
	var out api.Authorization
	if err := r.post("/v1/authorizations", json.RawMessage(raw), &out); err != nil {
		return err
	}
	return r.say(out, "%s", out.ID)
}

func exampleAuthorization(now time.Time) api.NewAuthorization {
	expires := now.AddDate(1, 0, 0)
	return api.NewAuthorization{
		Patient: "00000000-0000-4000-8000-000000000000", Description: "Before and after photos of my nose, taken in 2026",
		Scope: consent.Scope{AllPhotos: true}, Discloser: "Example Aesthetics", Recipients: []string{"Clinic website"},
		Purposes: []string{"Show results of treatment to prospective patients"}, Channels: []string{"website"}, ExpiresAt: &expires,
		Signer: consent.Signer{Name: "Name as signed"}, SignedAt: &now,
		Statements:  consent.Statements{RightToRevoke: true, Conditioning: true, Redisclosure: true},
		CopyGivenAt: &now,
	}
}

type consentList struct {
	Patient string `required:"" help:"Patient's id." placeholder:"ID"`
}

func (c *consentList) Run(r *run) error {
	if !id.Valid(c.Patient) {
		return misuse("--patient must be a patient's id, a UUID")
	}
	var out api.ConsentList
	if err := r.get("/v1/consents?patient="+c.Patient, &out); err != nil {
		return err
	}
	var rows [][]string
	for _, v := range out.Clinical {
		rows = append(rows, []string{string(v.ID), "clinical", string(v.Status), day(v.SignedAt), "-", ""})
	}
	for _, v := range out.Authorizations {
		until := dayOf(v.ExpiresAt)
		if v.ExpiryEvent != "" {
			until = "event: " + v.ExpiryEvent
		}
		rows = append(rows, []string{string(v.ID), "authorization", string(v.Status), dayOf(v.SignedAt), until, fmt.Sprintf("%q via %s", v.Recipients, v.Channels)})
	}
	for _, v := range out.Events {
		if v.Kind != consent.Assigned && v.Kind != consent.Restricted && v.Kind != consent.Emergency {
			continue // they show in the status of what they are about
		}
		status := "active"
		for _, other := range out.Events {
			if other.Kind == consent.Ended && other.Subject == string(v.ID) {
				status = "ended"
			}
		}
		rows = append(rows, []string{string(v.ID), string(v.Kind), status, day(v.ReceivedAt), dayOf(v.Until), fmt.Sprintf("%s %v", v.Subject, v.Purposes)})
	}
	return r.table(out, "ID\tKIND\tSTATUS\tSIGNED\tUNTIL\tFOR", rows)
}

type consentRevoke struct {
	ID       string `arg:"" help:"Id of the consent or authorization."`
	Received string `help:"When the practice was told, in writing (default: now)." placeholder:"DATE"`
}

func (c *consentRevoke) Run(r *run) error {
	if !id.Valid(c.ID) {
		return misuse("ID must be a consent's or authorization's id, a UUID; see: photovault consent list")
	}
	var in api.Revocation
	if c.Received != "" {
		t, err := parseDay(c.Received)
		if err != nil {
			return err
		}
		in.ReceivedAt = t
	}
	var out api.Event
	if err := r.post("/v1/consents/"+c.ID+"/revoke", in, &out); err != nil {
		return err
	}
	return r.say(out, "%s revoked; from here on it allows nothing. What else stands: photovault consent list --patient ID", c.ID)
}
