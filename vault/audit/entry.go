// Package audit is the record of who did what to whose photo: entries, their
// encoding, the hash chain that orders them, signed checkpoints, and the
// verifier. It is pure; the catalog stores what this package encodes.
//
// An entry is durable before the act it records takes effect. It carries a
// MAC from the moment it is written; within a second the integrator gives it
// a number and chains it (see Chain). Entries hold ids and codes, never a
// name, a record number, a token or a key.
package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	"photovault/vault/canon"
	"photovault/vault/id"
)

// Outcome says how far the act came.
type Outcome string

// Outcomes. A release is written as Intent before its first byte and as
// Complete or Incomplete after its last; an Intent without either counts as
// released.
const (
	Allowed    Outcome = "allowed"
	Denied     Outcome = "denied"
	Failed     Outcome = "failed"
	Intent     Outcome = "intent"
	Complete   Outcome = "complete"
	Incomplete Outcome = "incomplete"
)

// Action is what was attempted, named "object.verb".
type Action string

// Actions.
const (
	PracticeCreate     Action = "practice.create"
	AccountCreate      Action = "account.create"
	AccountList        Action = "account.list"
	AccountRevoke      Action = "account.revoke"
	Authenticate       Action = "account.authenticate"
	PatientCreate      Action = "patient.create"
	PatientFind        Action = "patient.find"
	ConsentRecord      Action = "consent.record"
	ConsentRevoke      Action = "consent.revoke"
	ConsentList        Action = "consent.list"
	AuthorizeRecord    Action = "authorization.record"
	RecordEvent        Action = "record.event" // the reason says of which kind
	TemplateAdd        Action = "template.add"
	TemplateList       Action = "template.list"
	DocumentAdd        Action = "document.add"
	DocumentRead       Action = "document.read"
	CampaignCreate     Action = "campaign.create"
	CampaignClose      Action = "campaign.close"
	CampaignList       Action = "campaign.list"
	DecisionExplain    Action = "decision.explain"
	ReviewList         Action = "review.list"
	TakedownOpen       Action = "takedown.open" // the reason says why, the records by what
	TakedownOverdue    Action = "takedown.overdue"
	TakedownConfirm    Action = "takedown.confirm"
	TakedownList       Action = "takedown.list"
	DisclosuresRead    Action = "disclosures.read"
	NoticeDeliver      Action = "notice.deliver" // a receiver took it, or it was given up; the reason says of which kind
	PhotoDeclare       Action = "photo.declare"
	PhotoUpload        Action = "photo.upload"
	PhotoUploadCancel  Action = "photo.upload.cancel"
	PhotoIngest        Action = "photo.ingest"
	PhotoList          Action = "photo.list"
	PhotoShow          Action = "photo.show"
	PhotoReceipt       Action = "photo.receipt"
	PhotoDelete        Action = "photo.delete"
	PhotoVerify        Action = "photo.verify" // fsck authenticated its renditions; no byte left
	PhotoDerive        Action = "photo.derive" // a rendition was made of stored ones; no byte left
	CopiesEnd          Action = "copies.end"   // keys of copies for marketing went, because the authorization has ended
	TokenIssue         Action = "token.issue"
	VolumeAlert        Action = "volume.alert" // an account asks for many photos: the reason says which cap, the count how many
	Release            Action = "photo.release"
	UploadKeysRotate   Action = "upload-keys.rotate"
	KeysRead           Action = "keys.read"
	KeyRotate          Action = "key.rotate"
	KeysRewrap         Action = "keys.rewrap"
	KeysErase          Action = "keys.erase" // intent before, allowed after the operator did it
	AuditRead          Action = "audit.read"
	UnauthenticatedSum Action = "unauthenticated.count" // failures of one source in one minute
)

// Entry is one line of the log.
type Entry struct {
	ID       id.Entry    `json:"id"`
	Practice id.Practice `json:"practice"`
	At       time.Time   `json:"at"` // UTC, milliseconds
	Actor    id.Account  `json:"actor,omitempty"`
	Role     string      `json:"role,omitempty"`
	Action   Action      `json:"action"`
	Outcome  Outcome     `json:"outcome"`
	Reason   string      `json:"reason,omitempty"` // stable code of a refusal or failure

	Patient   id.Patient `json:"patient,omitempty"`
	Photo     id.Photo   `json:"photo,omitempty"`
	Rendition string     `json:"rendition,omitempty"`
	Purpose   string     `json:"purpose,omitempty"`
	Recipient string     `json:"recipient,omitempty"` // as named in the authorization
	Channel   string     `json:"channel,omitempty"`

	Subject string   `json:"subject,omitempty"` // another row acted on: account, consent, token, upload, key
	Use     int      `json:"use,omitempty"`     // which intent of the token in Subject, from 1
	Count   int      `json:"count,omitempty"`   // how many attempts this entry stands for, if not one
	Source  string   `json:"source,omitempty"`  // address the request came from
	Records []string `json:"records,omitempty"` // "kind/id" of the records that allowed it
}

const entryDomain = "photovault/audit/entry/v1"

// maxText is the longest text of an entry in bytes.
const maxText = 4096

// Check refuses an entry with a text that is longer than any is: what came
// from outside was not bounded where it entered.
func (e *Entry) Check() error {
	for _, s := range append([]string{string(e.Actor), e.Role, string(e.Action), e.Reason, string(e.Patient), string(e.Photo), e.Rendition,
		e.Purpose, e.Recipient, e.Channel, e.Subject, e.Source}, e.Records...) {
		if len(s) > maxText {
			return fmt.Errorf("audit: a text of %d bytes in an entry", len(s))
		}
	}
	return nil
}

// ErrAside marks trouble with entries that were left without a number, while
// all others got theirs.
var ErrAside = errors.New("audit: an entry was left aside")

// ErrMalformed reports bytes that are not an encoded entry.
var ErrMalformed = errors.New("audit: malformed entry")

// Encode returns the canonical bytes that are MACed and chained.
func (e *Entry) Encode() []byte {
	fields := append([]string{
		string(e.ID), string(e.Practice), strconv.FormatInt(e.At.UnixMilli(), 10),
		string(e.Actor), e.Role, string(e.Action), string(e.Outcome), e.Reason,
		string(e.Patient), string(e.Photo), e.Rendition, e.Purpose, e.Recipient, e.Channel,
		e.Subject, strconv.Itoa(e.Use), strconv.Itoa(e.Count), e.Source,
	}, e.Records...)
	return canon.Encode(entryDomain, fields...)
}

// Decode is the inverse of Encode.
func Decode(b []byte) (*Entry, error) {
	f, err := canon.Decode(entryDomain, b)
	if err != nil || len(f) < 18 {
		return nil, ErrMalformed
	}
	at, err1 := strconv.ParseInt(f[2], 10, 64)
	use, err2 := strconv.Atoi(f[15])
	count, err3 := strconv.Atoi(f[16])
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	e := &Entry{
		ID: id.Entry(f[0]), Practice: id.Practice(f[1]), At: time.UnixMilli(at).UTC(),
		Actor: id.Account(f[3]), Role: f[4], Action: Action(f[5]), Outcome: Outcome(f[6]), Reason: f[7],
		Patient: id.Patient(f[8]), Photo: id.Photo(f[9]), Rendition: f[10], Purpose: f[11], Recipient: f[12], Channel: f[13],
		Subject: f[14], Use: use, Count: count, Source: f[17],
	}
	if len(f) > 18 {
		e.Records = f[18:]
	}
	return e, nil
}

// MAC authenticates an encoded entry from the moment it is written, before
// it has its place in the chain. HMAC-SHA-256 (FIPS 198-1); key is borrowed.
func MAC(key, encoded []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(canon.Encode("photovault/audit/mac/v1"))
	h.Write(encoded)
	return h.Sum(nil)
}
