package consent

import (
	"slices"
	"strings"
	"time"
)

// Defect is something a record lacks or has wrong.
type Defect struct {
	Field     string `json:"field"`     // JSON path in the request, "signer.name"
	Paragraph string `json:"paragraph"` // of 45 CFR
	Sentence  string `json:"sentence"`  // for the person at the front desk
}

// Limits of free text in records, in bytes.
const (
	MaxText  = 4000
	MaxName  = 200
	MaxItems = 200
)

// Defects returns what the authorization lacks under 164.508(c), in the order
// of the paragraphs; none means it is complete.
func (a *Authorization) Defects(now time.Time) []Defect {
	var d []Defect
	need := func(ok bool, field, paragraph, sentence string) {
		if !ok {
			d = append(d, Defect{field, paragraph, sentence})
		}
	}
	need(!Blank(a.Description), "description", "164.508(c)(1)(i)",
		"Say in the patient's words which photos this is about.")
	need(a.Scope.AllPhotos != (a.Scope.named() > 0) && !(a.Scope.MaskedOnly && a.Scope.Original), "scope", "164.508(c)(1)(i)",
		"Name the photos, sets or treatments it covers, or say that it covers all photos; one of the two.")
	need(!Blank(a.Discloser), "discloser", "164.508(c)(1)(ii)",
		"Name who may give the photos out, usually the practice.")
	need(list(a.Recipients), "recipients", "164.508(c)(1)(iii)",
		"Name everyone who may receive the photos.")
	need(list(a.Purposes), "purposes", "164.508(c)(1)(iv)",
		"Name each purpose the photos may be used for.")
	need(list(a.Channels) && known(a.Channels),
		"channels", "164.508(c)(1)(iv)", channelSentence)
	need(!a.ExpiresAt.IsZero() != !Blank(a.ExpiryEvent) && (a.ExpiresAt.IsZero() || Dated(a.ExpiresAt)), "expires_at", "164.508(c)(1)(v)",
		"Give a date on which it expires, or an event that ends it; one of the two.")
	need(!Blank(a.Signer.Name), "signer.name", "164.508(c)(1)(vi)",
		"Say who signed.")
	need(!a.Signer.IsRepresentative || !Blank(a.Signer.Authority), "signer.authority", "164.508(c)(1)(vi)",
		"A representative signed: describe the authority to act for the patient.")
	need(Dated(a.SignedAt) && !a.SignedAt.After(now), "signed_at", "164.508(c)(1)(vi)",
		"Give the date of the signature; it cannot lie in the future.")
	need(a.Statements.RightToRevoke, "statements.right_to_revoke", "164.508(c)(2)(i)",
		"The document must say that the patient can revoke it in writing, and how.")
	need(a.Statements.Conditioning, "statements.conditioning", "164.508(c)(2)(ii)",
		"The document must say that treatment does not depend on signing.")
	need(a.Statements.Redisclosure, "statements.redisclosure", "164.508(c)(2)(iii)",
		"The document must say that who receives a photo may pass it on.")
	need(Dated(a.CopyGivenAt) && !a.CopyGivenAt.After(now) && !a.copyTooEarly(a.CopyGivenAt), "copy_given_at", "164.508(c)(4)",
		"Give the patient a copy of the signed document, not before it was signed, and record when.")
	need(bounded(a.Description, MaxText) && bounded(a.ExpiryEvent, MaxText) && bounded(a.Discloser, MaxName) &&
		bounded(a.Signer.Name, MaxName) && bounded(a.Signer.Authority, MaxText) &&
		len(a.Recipients)+len(a.Purposes)+a.Scope.named() <= MaxItems, "authorization", "164.508(c)(3)",
		"A text or a list is too long; plain language is shorter.")
	need(document(a.Document), "document_sha256", "164.508(c)", hashSentence)
	return d
}

// copyTooEarly: what was given before it was signed was no copy of it. A day's
// difference stands, because many write a day alone, of whatever time zone.
func (a *Authorization) copyTooEarly(given time.Time) bool {
	return given.Before(a.SignedAt.Add(-24 * time.Hour))
}

// Storable reports whether a draft may be kept: its texts, lists and dates have
// their bounds and its channels are some, whatever it lacks. What it says to
// have happened lies in the past: no draft becomes whole by waiting.
func (a *Authorization) Storable(now time.Time) bool {
	if a.SignedAt.After(now) || a.CopyGivenAt.After(now) {
		return false
	}
	for _, s := range [][]string{a.Recipients, a.Purposes, a.Channels} {
		if len(s) > MaxItems || slices.ContainsFunc(s, func(v string) bool { return !bounded(v, MaxName) }) {
			return false
		}
	}
	for _, t := range []time.Time{a.ExpiresAt, a.SignedAt, a.CopyGivenAt} {
		if !t.IsZero() && !Dated(t) {
			return false
		}
	}
	return known(a.Channels) && bounded(a.Description, MaxText) && bounded(a.ExpiryEvent, MaxText) && bounded(a.Discloser, MaxName) &&
		bounded(a.Signer.Name, MaxName) && bounded(a.Signer.Authority, MaxText) && a.Scope.named() <= MaxItems && document(a.Document)
}

var channelSentence = "Name where the photos may appear: " + strings.Join(Channels, ", ") + "."

const hashSentence = "Give the SHA-256 of the signed document, 64 hexadecimal digits in lower case."

func document(s string) bool {
	return s == "" || len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// Defects returns what the clinical consent lacks.
func (c *Clinical) Defects(now time.Time) []Defect {
	var d []Defect
	if Blank(c.Signer.Name) || !bounded(c.Signer.Name, MaxName) {
		d = append(d, Defect{"signer.name", "164.506(b)", "Say who signed."})
	}
	if c.Signer.IsRepresentative && (Blank(c.Signer.Authority) || !bounded(c.Signer.Authority, MaxText)) {
		d = append(d, Defect{"signer.authority", "164.502(g)", "A representative signed: describe the authority to act for the patient."})
	}
	if !Dated(c.SignedAt) || c.SignedAt.After(now) {
		d = append(d, Defect{"signed_at", "164.506(b)", "Give the date of the signature; it cannot lie in the future."})
	}
	if !document(c.Document) {
		d = append(d, Defect{"document_sha256", "164.506(b)", hashSentence})
	}
	return d
}

// list: at least one entry, none blank or overlong.
func list(items []string) bool {
	return len(items) > 0 && !slices.ContainsFunc(items, func(s string) bool { return Blank(s) || !bounded(s, MaxName) })
}

// known: channels that there are, and no more than those.
func known(channels []string) bool {
	return len(channels) <= len(Channels) && !slices.ContainsFunc(channels, func(c string) bool { return !slices.Contains(Channels, c) })
}

func bounded(s string, n int) bool { return len(s) <= n }
