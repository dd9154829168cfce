package main

import (
	"fmt"

	"photovault/api"
	"photovault/consent"
	"photovault/vault/id"
)

type patientCommand struct {
	Add       patientAdd       `cmd:"" help:"Add a patient under the practice's record number."`
	Find      patientFind      `cmd:"" help:"Find a patient by record number."`
	Assign    patientAssign    `cmd:"" help:"Say that a provider treats the patient."`
	Emergency patientEmergency `cmd:"" help:"Open the record of a patient you do not treat, for 60 minutes; it will be reviewed."`
}

type patientAssign struct {
	Patient string `arg:"" help:"Patient's id."`
	Account string `arg:"" help:"The provider's account; see: photovault user list."`
}

func (c *patientAssign) Run(r *run) error {
	if !id.Valid(c.Patient) || !id.Valid(c.Account) {
		return misuse("PATIENT and ACCOUNT must be ids, UUIDs")
	}
	var out api.Event
	if err := r.post("/v1/patients/"+c.Patient+"/providers", api.NewAssignment{Account: id.Account(c.Account)}, &out); err != nil {
		return err
	}
	return r.say(out, "%s", out.ID)
}

type patientEmergency struct {
	Patient string `arg:"" help:"Patient's id."`
	Reason  string `required:"" help:"Why; the privacy officer will read it."`
}

func (c *patientEmergency) Run(r *run) error {
	if !id.Valid(c.Patient) {
		return misuse("PATIENT must be a patient's id, a UUID")
	}
	var out api.Event
	if err := r.post("/v1/patients/"+c.Patient+"/emergencies", api.NewEmergency{Reason: c.Reason}, &out); err != nil {
		return err
	}
	return r.say(out, "%s: the record is open for care until %s", out.ID, dayOf(out.Until))
}

type patientAdd struct {
	RecordNumber string `arg:"" help:"The practice's record number."`
	Name         string `help:"Name; kept sealed."`
}

func (c *patientAdd) Run(r *run) error {
	return r.onPatient("/v1/patients", api.NewPatient{RecordNumber: c.RecordNumber, Name: c.Name})
}

type patientFind struct {
	RecordNumber string `arg:"" help:"The practice's record number."`
}

func (c *patientFind) Run(r *run) error {
	return r.onPatient("/v1/patients/find", api.PatientQuery{RecordNumber: c.RecordNumber})
}

func (r *run) onPatient(path string, in any) error {
	var p api.Patient
	if err := r.post(path, in, &p); err != nil {
		return err
	}
	return r.say(p, "%s", p.ID)
}

type userCommand struct {
	Add    userAdd    `cmd:"" help:"Add an account and print its personal token, this once."`
	List   userList   `cmd:"" help:"List accounts."`
	Revoke userRevoke `cmd:"" help:"End an account; its tokens stop working at once."`
}

type userAdd struct {
	Name string `arg:"" help:"The person or system; accounts are not shared."`
	Role string `required:"" help:"provider, front-desk, marketing, admin, privacy or emr."`
	Days int    `help:"Life of the token in days (default 90, at most 366)."`
}

// Help is shown by photovault user add --help.
func (userAdd) Help() string {
	return `Example:
  photovault user add "Dr. Ana Vidal" --role provider > ana.token`
}

func (c *userAdd) Run(r *run) error {
	var a api.AccountCreated
	if err := r.post("/v1/accounts", api.NewAccount{Name: c.Name, Role: consent.Role(c.Role), ExpiresInDays: c.Days}, &a); err != nil {
		return err
	}
	if !r.JSON {
		fmt.Fprintf(r.err, "account %s (%s); its token, until %s:\n", a.Account.ID, a.Account.Role, day(a.ExpiresAt))
	}
	return r.say(a, "%s", a.Token)
}

type userList struct{}

func (userList) Run(r *run) error {
	var out api.AccountList
	if err := r.get("/v1/accounts", &out); err != nil {
		return err
	}
	var rows [][]string
	for _, a := range out.Accounts {
		rows = append(rows, []string{string(a.ID), string(a.Role), a.Name, day(a.CreatedAt), dayOf(a.RevokedAt)})
	}
	return r.table(out, "ACCOUNT\tROLE\tNAME\tCREATED\tREVOKED", rows)
}

type userRevoke struct {
	Account string `arg:"" help:"Account's id."`
}

func (c *userRevoke) Run(r *run) error {
	if !id.Valid(c.Account) {
		return misuse("ACCOUNT must be an account's id, a UUID; see: photovault user list")
	}
	if err := r.delete("/v1/accounts/"+c.Account, nil); err != nil {
		return err
	}
	return r.say(map[string]string{"account": c.Account, "state": "revoked"}, "%s revoked", c.Account)
}
