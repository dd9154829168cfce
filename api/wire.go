package api

import (
	"slices"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

// The types below are the JSON of the surface, shared with api/client.
// openapi.yaml describes each; times are RFC 3339, UTC.

type NewAccount struct {
	Name          string       `json:"name"`
	Role          consent.Role `json:"role"`
	ExpiresInDays int          `json:"expires_in_days,omitempty"`
}

type Account struct {
	ID        id.Account   `json:"id"`
	Name      string       `json:"name"`
	Role      consent.Role `json:"role"`
	CreatedAt time.Time    `json:"created_at"`
	RevokedAt *time.Time   `json:"revoked_at,omitempty"`
}

// Readiness is the answer of GET /readyz; when a dependency is down, the
// problem names them in the same way.
type Readiness struct {
	Status       string            `json:"status"`
	Dependencies map[string]string `json:"dependencies"` // catalog, keys, objects: ok or down; service: down while it drains
	// DamagedUploads are received photos that wait for somebody to restore
	// what is stored of them. They keep no replica from serving.
	DamagedUploads int `json:"damaged_uploads,omitempty"`
}

func dependencies(list []vault.Dependency) map[string]string {
	out := map[string]string{}
	for _, d := range list {
		out[d.Name] = "ok"
		if d.Err != nil {
			out[d.Name] = "down"
		}
	}
	return out
}

type AccountCreated struct {
	Account   Account   `json:"account"`
	Token     string    `json:"token"` // shown this once
	ExpiresAt time.Time `json:"expires_at"`
}

type AccountList struct {
	Accounts []Account `json:"accounts"`
}

func account(a *vault.Account) Account {
	return Account{a.ID, a.Name, a.Role, a.CreatedAt, optional(a.RevokedAt)}
}

type NewPatient struct {
	RecordNumber string `json:"record_number"`
	Name         string `json:"name,omitempty"`
}

type PatientQuery struct {
	RecordNumber string `json:"record_number"`
}

type Patient struct {
	ID           id.Patient `json:"id"`
	RecordNumber string     `json:"record_number"`
	Name         string     `json:"name,omitempty"`
	CreatedAt    time.Time  `json:"created_at"`
}

func patient(p *vault.Patient) Patient { return Patient{p.ID, p.RecordNumber, p.Name, p.CreatedAt} }

type NewClinical struct {
	Patient    id.Patient     `json:"patient"`
	Teaching   bool           `json:"teaching,omitempty"`
	Signer     consent.Signer `json:"signer"`
	SignedAt   time.Time      `json:"signed_at"`
	Document   string         `json:"document_sha256,omitempty"`
	DocumentID id.Document    `json:"document,omitempty"`

	Template        id.Template `json:"template,omitempty"`
	TemplateVersion int64       `json:"template_version,omitempty"`
}

func (n *NewClinical) record() consent.Clinical {
	return consent.Clinical{Patient: n.Patient, Teaching: n.Teaching, Signer: n.Signer, SignedAt: n.SignedAt.UTC(), Document: n.Document, DocumentID: n.DocumentID,
		Template: n.Template, TemplateVersion: n.TemplateVersion}
}

type Clinical struct {
	ID         id.Consent     `json:"id"`
	Patient    id.Patient     `json:"patient"`
	Teaching   bool           `json:"teaching"`
	Signer     consent.Signer `json:"signer"`
	SignedAt   time.Time      `json:"signed_at"`
	Document   string         `json:"document_sha256,omitempty"`
	DocumentID id.Document    `json:"document,omitempty"`
	RecordedAt time.Time      `json:"recorded_at"`
	Status     consent.Status `json:"status"`

	Template        id.Template `json:"template,omitempty"`
	TemplateVersion int64       `json:"template_version,omitempty"`
}

func clinical(r *consent.Clinical, status consent.Status) Clinical {
	return Clinical{r.ID, r.Patient, r.Teaching, r.Signer, r.SignedAt, r.Document, r.DocumentID, r.RecordedAt, status, r.Template, r.TemplateVersion}
}

type NewAuthorization struct {
	Patient         id.Patient         `json:"patient"`
	Description     string             `json:"description"`
	Scope           consent.Scope      `json:"scope"`
	Discloser       string             `json:"discloser"`
	Recipients      []string           `json:"recipients,omitempty"`
	Purposes        []string           `json:"purposes,omitempty"`
	Channels        []string           `json:"channels,omitempty"`
	ExpiresAt       *time.Time         `json:"expires_at,omitempty"`
	ExpiryEvent     string             `json:"expiry_event,omitempty"`
	Signer          consent.Signer     `json:"signer"`
	SignedAt        *time.Time         `json:"signed_at,omitempty"`
	Statements      consent.Statements `json:"statements"`
	CopyGivenAt     *time.Time         `json:"copy_given_at,omitempty"`
	Document        string             `json:"document_sha256,omitempty"`
	DocumentID      id.Document        `json:"document,omitempty"`
	Template        id.Template        `json:"template,omitempty"`
	TemplateVersion int64              `json:"template_version,omitempty"`
	Conditioned     bool               `json:"conditioned,omitempty"`
	Supersedes      id.Authorization   `json:"supersedes,omitempty"`
	Draft           bool               `json:"draft,omitempty"` // record it although it lacks something
}

func (n *NewAuthorization) record() consent.Authorization {
	return consent.Authorization{Patient: n.Patient, Description: n.Description, Scope: n.Scope, Discloser: n.Discloser,
		Recipients: n.Recipients, Purposes: n.Purposes, Channels: n.Channels, ExpiresAt: instant(n.ExpiresAt),
		ExpiryEvent: n.ExpiryEvent, Signer: n.Signer, SignedAt: instant(n.SignedAt), Statements: n.Statements,
		CopyGivenAt: instant(n.CopyGivenAt), Document: n.Document, DocumentID: n.DocumentID,
		Template: n.Template, TemplateVersion: n.TemplateVersion, Conditioned: n.Conditioned, Supersedes: n.Supersedes}
}

// ids refuses what is no id where one is named.
func (n *NewAuthorization) ids() error {
	none := func(v string) bool { return !id.Valid(v) }
	switch {
	case slices.ContainsFunc(n.Scope.Photos, func(v id.Photo) bool { return none(string(v)) }):
		return refuseField("scope.photos", "Give the photos' ids.")
	case slices.ContainsFunc(n.Scope.Sets, func(v id.Set) bool { return none(string(v)) }):
		return refuseField("scope.sets", "Give the sets' ids.")
	case slices.ContainsFunc(n.Scope.Treatments, func(v id.Treatment) bool { return none(string(v)) }):
		return refuseField("scope.treatments", "Give the treatments' ids.")
	case !idOrNone(n.Supersedes):
		return refuseField("supersedes", "Give the id of the authorization whose place it takes.")
	}
	return onPaper(n.DocumentID, n.Template)
}

// onPaper refuses what is no id of what was signed.
func onPaper(d id.Document, t id.Template) error {
	switch {
	case !idOrNone(d):
		return refuseField("document", "Give the document's id.")
	case !idOrNone(t):
		return refuseField("template", "Give the template's id.")
	}
	return nil
}

type Authorization struct {
	ID id.Authorization `json:"id"`
	NewAuthorization
	RecordedAt time.Time        `json:"recorded_at"`
	Status     consent.Status   `json:"status"`
	Lacks      []consent.Defect `json:"lacks,omitempty"` // of a draft
}

// authorization is one as it stands in the record.
func authorization(r *consent.Authorization, in *consent.Record, now time.Time) Authorization {
	return Authorization{ID: r.ID, RecordedAt: r.RecordedAt, Status: in.Status(string(r.ID), now), Lacks: in.Lacks(r, now), NewAuthorization: NewAuthorization{
		Patient: r.Patient, Description: r.Description, Scope: r.Scope, Discloser: r.Discloser, Recipients: r.Recipients,
		Purposes: r.Purposes, Channels: r.Channels, ExpiresAt: optional(r.ExpiresAt), ExpiryEvent: r.ExpiryEvent,
		Signer: r.Signer, SignedAt: optional(r.SignedAt), Statements: r.Statements, CopyGivenAt: optional(r.CopyGivenAt),
		Document: r.Document, DocumentID: r.DocumentID, Template: r.Template, TemplateVersion: r.TemplateVersion, Conditioned: r.Conditioned, Supersedes: r.Supersedes}}
}

type Revocation struct {
	ReceivedAt time.Time `json:"received_at,omitzero"`
}

type Event struct {
	ID         id.Event          `json:"id"`
	Kind       consent.EventKind `json:"kind"`
	Subject    string            `json:"subject"`
	ReceivedAt time.Time         `json:"received_at"`
	EnteredAt  time.Time         `json:"entered_at"`
	Purposes   []consent.Purpose `json:"purposes,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Until      *time.Time        `json:"until,omitempty"` // of an emergency

	Regions      []consent.Region `json:"regions,omitempty"`
	With         id.Photo         `json:"with,omitempty"`
	Masked       bool             `json:"masked,omitempty"`
	Recognisable *bool            `json:"recognisable,omitempty"`
}

func event(e *consent.Event) Event {
	out := Event{ID: e.ID, Kind: e.Kind, Subject: e.Subject, ReceivedAt: e.ReceivedAt, EnteredAt: e.EnteredAt, Purposes: e.Purposes, Reason: e.Reason,
		Regions: e.Regions, With: e.With, Masked: e.Masked, Recognisable: e.Recognisable}
	if e.Kind == consent.Emergency {
		out.Until = optional(e.EnteredAt.Add(consent.EmergencyLife))
	}
	return out
}

type ConsentList struct {
	Patient        id.Patient      `json:"patient"`
	Clinical       []Clinical      `json:"clinical"`
	Authorizations []Authorization `json:"authorizations"`
	Events         []Event         `json:"events"`
}

func record(r *consent.Record, now time.Time) ConsentList {
	out := ConsentList{Patient: r.Patient, Clinical: []Clinical{}, Authorizations: []Authorization{}, Events: []Event{}}
	for i := range r.Clinicals {
		out.Clinical = append(out.Clinical, clinical(&r.Clinicals[i], r.Status(string(r.Clinicals[i].ID), now)))
	}
	for i := range r.Authorizations {
		out.Authorizations = append(out.Authorizations, authorization(&r.Authorizations[i], r, now))
	}
	for i := range r.Events {
		out.Events = append(out.Events, event(&r.Events[i]))
	}
	return out
}

type NewPhoto struct {
	Patient  string `json:"patient"`
	Device   string `json:"device"`
	Capture  string `json:"capture"`
	Kind     string `json:"kind,omitempty"`
	View     string `json:"view,omitempty"`
	BodySite string `json:"body_site,omitempty"`

	Set       string `json:"set,omitempty"`
	Treatment string `json:"treatment,omitempty"`
}

func (n *NewPhoto) declaration() (vault.Declaration, error) {
	d := vault.Declaration{Kind: n.Kind, View: n.View, BodySite: n.BodySite}
	var err error
	if d.Patient, err = id.Parse[id.Patient](n.Patient); err != nil {
		return d, vault.ErrNotFound
	}
	if d.Device, err = id.Parse[id.Device](n.Device); err != nil {
		return d, notUUID("device")
	}
	if d.Capture, err = id.Parse[id.Capture](n.Capture); err != nil {
		return d, notUUID("capture")
	}
	if n.Set != "" {
		if d.Set, err = id.Parse[id.Set](n.Set); err != nil {
			return d, notUUID("set")
		}
	}
	if n.Treatment != "" {
		if d.Treatment, err = id.Parse[id.Treatment](n.Treatment); err != nil {
			return d, notUUID("treatment")
		}
	}
	return d, nil
}

func notUUID(field string) error {
	return &vault.InvalidError{Code: "field_invalid", Defects: []consent.Defect{{Field: field, Sentence: "Give a UUID (version 4, lower case), made on the tablet."}}}
}

type PhotoDeclared struct {
	Photo     Photo  `json:"photo"`
	Grant     string `json:"grant"`      // Authorization: Bearer for the upload; can only add this photo
	UploadURL string `json:"upload_url"` // where tus creates the upload
}

type Rendition struct {
	Name        string `json:"name"`
	ContentType string `json:"content_type"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	Size        int64  `json:"size"`
	SHA256      string `json:"sha256"`
}

func rendition(r vault.Rendition) Rendition {
	return Rendition{r.Name, r.ContentType, r.Width, r.Height, r.Size, r.SHA256}
}

type Photo struct {
	ID           id.Photo         `json:"id"`
	Patient      id.Patient       `json:"patient"`
	State        vault.PhotoState `json:"state"`
	RejectedCode string           `json:"rejected_code,omitempty"`
	Kind         string           `json:"kind,omitempty"`
	View         string           `json:"view,omitempty"`
	BodySite     string           `json:"body_site,omitempty"`
	Set          id.Set           `json:"set,omitempty"`
	Treatment    id.Treatment     `json:"treatment,omitempty"`
	DeclaredAt   time.Time        `json:"declared_at"`
	ReadyAt      *time.Time       `json:"ready_at,omitempty"`
	Recognisable *bool            `json:"recognisable,omitempty"`
	Renditions   []Rendition      `json:"renditions"`
}

func photo(p *vault.Photo) Photo {
	return Photo{p.ID, p.Patient, p.State, p.RejectedCode, p.Kind, p.View, p.BodySite, p.Set, p.Treatment, p.DeclaredAt, optional(p.ReadyAt),
		p.Recognisable, each(p.Renditions, rendition)}
}

type PhotoList struct {
	Photos []Photo `json:"photos"`
}

type UsablePhoto struct {
	Photo  id.Photo         `json:"photo"`
	Kind   string           `json:"kind,omitempty"`
	View   string           `json:"view,omitempty"`
	Usable []consent.Usable `json:"usable"`
}

type UsableList struct {
	Photos    []UsablePhoto `json:"photos"`
	Takedowns []Takedown    `json:"takedowns"` // what was withdrawn and must come down
}

func usable(u vault.UsablePhoto) UsablePhoto { return UsablePhoto{u.Photo, u.Kind, u.View, u.Usable} }

type NewToken struct {
	Purpose    consent.Purpose `json:"purpose"`
	Rendition  string          `json:"rendition,omitempty"`
	Recipient  string          `json:"recipient,omitempty"`
	Channel    string          `json:"channel,omitempty"`
	Campaign   id.Campaign     `json:"campaign,omitempty"`
	Form       consent.Form    `json:"form,omitempty"`
	Uses       int             `json:"uses,omitempty"`
	TTLSeconds int             `json:"ttl_seconds,omitempty"`
}

type Token struct {
	ID        id.Token        `json:"id"`
	Token     string          `json:"token"` // shown this once
	URL       string          `json:"url"`   // where to fetch it
	Form      consent.Form    `json:"form"`
	Photo     id.Photo        `json:"photo"`
	Rendition string          `json:"rendition"`
	Purpose   consent.Purpose `json:"purpose"`
	Uses      int             `json:"uses"`
	ExpiresAt time.Time       `json:"expires_at"`
}

func token(t *consent.Token, b consent.Bearer) Token {
	url := "/v1/content"
	if t.Form == consent.InPath {
		url += "/" + string(b)
	}
	return Token{t.ID, string(b), url, t.Form, t.Photo, t.Rendition, t.Purpose, t.Uses, t.ExpiresAt}
}

type Trail struct {
	Entries []vault.Logged `json:"entries"`
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
