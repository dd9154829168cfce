package api

import (
	"math"
	"strconv"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

func (c *call) health() error { return c.reply(200, map[string]string{"status": "ok"}) }

func (c *call) ready() error {
	if c.server.ending.leaving.Err() != nil {
		return errLeaving
	}
	deps, err := c.service().Ready(c.ctx)
	if err != nil {
		return err
	}
	damaged, err := c.service().DamagedUploads(c.ctx)
	if err != nil {
		return err
	}
	return c.reply(200, Readiness{"ready", dependencies(deps), damaged})
}

func (c *call) openapi() error {
	c.Set("Content-Type", "application/yaml")
	return c.Send(openAPI)
}

func (c *call) uploadKeys() error {
	keys, err := c.service().UploadKeys(c.ctx, c.who)
	if err != nil {
		return err
	}
	return c.reply(200, keys)
}

func (c *call) rotateUploadKeys() error {
	if err := c.service().RotateUploadKeys(c.ctx, c.who); err != nil {
		return err
	}
	return c.uploadKeys()
}

func (c *call) addAccount() error {
	var in NewAccount
	if err := c.decode(&in); err != nil {
		return err
	}
	a, credential, bearer, err := c.service().AddAccount(c.ctx, c.who, in.Name, in.Role, span(in.ExpiresInDays, 24*time.Hour))
	if err != nil {
		return err
	}
	return c.reply(201, AccountCreated{Account: account(a), Token: string(bearer), ExpiresAt: credential.ExpiresAt})
}

func (c *call) listAccounts() error {
	list, err := c.service().ListAccounts(c.ctx, c.who)
	if err != nil {
		return err
	}
	return c.reply(200, AccountList{each(list, account)})
}

func (c *call) revokeAccount() error {
	a, err := pathID[id.Account](c, "account")
	if err != nil {
		return err
	}
	if err := c.service().RevokeAccount(c.ctx, c.who, a); err != nil {
		return err
	}
	return c.SendStatus(204)
}

func (c *call) createPatient() error {
	var in NewPatient
	if err := c.decode(&in); err != nil {
		return err
	}
	p, err := c.service().CreatePatient(c.ctx, c.who, in.RecordNumber, in.Name)
	if err != nil {
		return err
	}
	return c.reply(201, patient(p))
}

// findPatient is a POST: a record number must not stand in a URL.
func (c *call) findPatient() error {
	var in PatientQuery
	if err := c.decode(&in); err != nil {
		return err
	}
	p, err := c.service().FindPatient(c.ctx, c.who, in.RecordNumber)
	if err != nil {
		return err
	}
	return c.reply(200, patient(p))
}

func (c *call) showPatient() error {
	pid, err := pathID[id.Patient](c, "patient")
	if err != nil {
		return err
	}
	p, err := c.service().Patient(c.ctx, c.who, pid)
	if err != nil {
		return err
	}
	return c.reply(200, patient(p))
}

func (c *call) recordClinical() error {
	var in NewClinical
	if err := c.decode(&in); err != nil {
		return err
	}
	if !id.Valid(string(in.Patient)) {
		return vault.ErrNotFound
	}
	if err := onPaper(in.DocumentID, in.Template); err != nil {
		return err
	}
	r, err := c.service().RecordClinical(c.ctx, c.who, in.record())
	if err != nil {
		return err
	}
	return c.reply(201, clinical(r, consent.StatusActive))
}

func (c *call) recordAuthorization() error {
	var in NewAuthorization
	if err := c.decode(&in); err != nil {
		return err
	}
	if !id.Valid(string(in.Patient)) {
		return vault.ErrNotFound
	}
	if err := in.ids(); err != nil {
		return err
	}
	r, err := c.service().RecordAuthorization(c.ctx, c.who, in.record(), in.Draft)
	if err != nil {
		return err
	}
	one := consent.Record{Authorizations: []consent.Authorization{*r}}
	return c.reply(201, authorization(r, &one, c.service().Now()))
}

func (c *call) listConsents() error {
	pid, err := queryID[id.Patient](c, "patient")
	if err != nil {
		return err
	}
	r, err := c.service().Record(c.ctx, c.who, pid)
	if err != nil {
		return err
	}
	return c.reply(200, record(r, c.service().Now()))
}

func (c *call) declarePhoto() error {
	var in NewPhoto
	if err := c.decode(&in); err != nil {
		return err
	}
	d, err := in.declaration()
	if err != nil {
		return err
	}
	p, grant, err := c.service().Declare(c.ctx, c.who, d)
	if err != nil {
		return err
	}
	return c.reply(201, PhotoDeclared{Photo: photo(p), Grant: string(grant), UploadURL: "/v1/uploads"})
}

// listPhotos lists a patient's photos, or what marketing may use now.
func (c *call) listPhotos() error {
	if c.Query("purpose") == string(consent.ForMarketing) {
		list, down, err := c.service().MarketingView(c.ctx, c.who)
		if err != nil {
			return err
		}
		now := c.service().Now()
		return c.reply(200, UsableList{each(list, usable), each(down, func(t consent.Takedown) Takedown { return takedown(&t, now) })})
	}
	pid, err := queryID[id.Patient](c, "patient")
	if err != nil {
		return err
	}
	list, err := c.service().PhotosOf(c.ctx, c.who, pid)
	if err != nil {
		return err
	}
	return c.reply(200, PhotoList{each(list, photo)})
}

func (c *call) showPhoto() error {
	pid, err := pathID[id.Photo](c, "photo")
	if err != nil {
		return err
	}
	p, err := c.service().Photo(c.ctx, c.who, pid)
	if err != nil {
		return err
	}
	return c.reply(200, photo(p))
}

func (c *call) receipt() error {
	pid, err := pathID[id.Photo](c, "photo")
	if err != nil {
		return err
	}
	r, err := c.service().Receipt(c.ctx, c.who, pid)
	if err != nil {
		return err
	}
	return c.reply(200, r)
}

func (c *call) deletePhoto() error {
	pid, err := pathID[id.Photo](c, "photo")
	if err != nil {
		return err
	}
	d, err := c.service().Delete(c.ctx, c.who, pid)
	if err != nil {
		return err
	}
	return c.reply(200, d)
}

func (c *call) issueToken() error {
	pid, err := pathID[id.Photo](c, "photo")
	if err != nil {
		return err
	}
	var in NewToken
	if err := c.decode(&in); err != nil {
		return err
	}
	if !idOrNone(in.Campaign) {
		return refuseField("campaign", "Give the campaign's id.")
	}
	t, bearer, err := c.service().IssueToken(c.ctx, c.who, vault.TokenRequest{Photo: pid, Rendition: in.Rendition,
		Purpose: in.Purpose, Recipient: in.Recipient, Channel: in.Channel, Campaign: in.Campaign, Form: in.Form, Uses: in.Uses,
		Life: span(in.TTLSeconds, time.Second)})
	if err != nil {
		return err
	}
	return c.reply(201, token(t, bearer))
}

func (c *call) audit() error {
	after, err1 := strconv.ParseInt(c.Query("after", "0"), 10, 64)
	limit, err2 := strconv.Atoi(c.Query("limit", "100"))
	if err1 != nil || err2 != nil || after < 0 || limit < 1 || limit > 1000 {
		return &vault.InvalidError{Code: "field_invalid", Defects: []consent.Defect{{Field: "limit", Sentence: "after is a number from 0 on, limit one from 1 to 1000."}}}
	}
	list, err := c.service().Trail(c.ctx, c.who, after, limit)
	if err != nil {
		return err
	}
	return c.reply(200, Trail{list})
}

func (c *call) auditPatient() error {
	pid, err := pathID[id.Patient](c, "patient")
	if err != nil {
		return err
	}
	list, err := c.service().PatientTrail(c.ctx, c.who, pid)
	if err != nil {
		return err
	}
	return c.reply(200, Trail{list})
}

// idOrNone: an id, or absent.
func idOrNone[T ~string](v T) bool { return v == "" || id.Valid(string(v)) }

// queryID reads an id from the query.
func queryID[T ~string](c *call, name string) (T, error) {
	v, err := id.Parse[T](c.Query(name))
	if err != nil {
		return "", &vault.InvalidError{Code: "field_invalid", Defects: []consent.Defect{{Field: name, Sentence: "Give the id, a UUID, as ?" + name + "=…"}}}
	}
	return v, nil
}

// span is n units of time; what is too much for a duration stays too much
// instead of turning over into one that is allowed.
func span(n int, unit time.Duration) time.Duration {
	if most := int(math.MaxInt64 / unit); n > most || n < -most {
		return math.MaxInt64
	}
	return time.Duration(n) * unit
}

func each[A, B any](list []A, f func(A) B) []B {
	out := make([]B, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}
