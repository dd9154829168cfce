package consent

import (
	"strings"
	"time"

	"photovault/vault/id"
)

// TemplateKind is what is signed on a template.
type TemplateKind string

// Kinds of template. A text of one kind is never signed as the other
// (164.508(b)(3)).
const (
	TemplateOfAuthorization TemplateKind = "authorization" // for marketing, 164.508
	TemplateOfClinical      TemplateKind = "clinical"      // consent for care, 164.506(b)
)

// Template is one version of a practice's own text of an authorization or of a
// clinical consent. The practice declares which clause of it is which
// statement; what is signed on it makes those statements and no others.
type Template struct {
	ID        id.Template  `json:"id"`
	Practice  id.Practice  `json:"practice"`
	Version   int64        `json:"version"` // from 1; each version is kept for good
	Kind      TemplateKind `json:"kind"`    // the same of all versions
	Name      string       `json:"name"`
	Text      string       `json:"text"`
	Clauses   Clauses      `json:"clauses"`
	CreatedAt time.Time    `json:"created_at"`
	CreatedBy id.Account   `json:"created_by"`
}

// Clauses quote, word for word, where a text makes each statement.
type Clauses struct {
	// Of an authorization.
	RightToRevoke string `json:"right_to_revoke,omitempty"` // 164.508(c)(2)(i)
	Conditioning  string `json:"conditioning,omitempty"`    // 164.508(c)(2)(ii)
	Redisclosure  string `json:"redisclosure,omitempty"`    // 164.508(c)(2)(iii)
	Payment       string `json:"payment,omitempty"`         // 164.508(a)(3)(ii)
	Sale          string `json:"sale,omitempty"`            // 164.508(a)(4)

	// Of a clinical consent.
	Capture  string `json:"capture,omitempty"`  // that photos are taken
	Care     string `json:"care,omitempty"`     // that they are used for care
	Teaching string `json:"teaching,omitempty"` // that they are used for teaching inside the practice
}

// MaxTemplate is the longest text of a template in bytes.
const MaxTemplate = 40_000

// minClause is the fewest bytes of a clause: one word states nothing.
const minClause = 20

// Statements are those that a template of an authorization makes.
func (t *Template) Statements() Statements {
	c := &t.Clauses
	return Statements{RightToRevoke: c.RightToRevoke != "", Conditioning: c.Conditioning != "", Redisclosure: c.Redisclosure != "",
		Payment: c.Payment != "", Sale: c.Sale != ""}
}

// Defects returns what the template lacks. That a clause says what it is
// declared to say, a person must judge; that it stands in the text, and serves
// as one statement only, is checked.
func (t *Template) Defects() []Defect {
	var d []Defect
	need := func(ok bool, field, paragraph, sentence string) {
		if !ok {
			d = append(d, Defect{field, paragraph, sentence})
		}
	}
	need(t.Kind == TemplateOfAuthorization || t.Kind == TemplateOfClinical, "kind", "", "Say what is signed on it: authorization, or clinical.")
	need(!Blank(t.Name) && bounded(t.Name, MaxName), "name", "", "Give the template a name, at most 200 bytes.")
	need(!Blank(t.Text) && bounded(t.Text, MaxTemplate), "text", "164.508(c)(3)", "Give the text that the patient reads, at most 40,000 bytes.")
	rest := t.Text // what no clause has taken: one passage is one statement
	c := &t.Clauses
	for _, c := range []struct {
		clause, field, paragraph, what string
		kind                           TemplateKind
		mandatory                      bool
	}{
		{c.RightToRevoke, "clauses.right_to_revoke", "164.508(c)(2)(i)", "the right to revoke, and how", TemplateOfAuthorization, true},
		{c.Conditioning, "clauses.conditioning", "164.508(c)(2)(ii)", "that treatment does not depend on signing", TemplateOfAuthorization, true},
		{c.Redisclosure, "clauses.redisclosure", "164.508(c)(2)(iii)", "that who receives a photo may pass it on", TemplateOfAuthorization, true},
		{c.Payment, "clauses.payment", "164.508(a)(3)(ii)", "that a third party pays", TemplateOfAuthorization, false},
		{c.Sale, "clauses.sale", "164.508(a)(4)", "that the practice is paid", TemplateOfAuthorization, false},
		{c.Capture, "clauses.capture", "164.506(b)", "that photos are taken", TemplateOfClinical, true},
		{c.Care, "clauses.care", "164.506(b)", "that they are used for care", TemplateOfClinical, true},
		{c.Teaching, "clauses.teaching", "164.506(b)", "that they are used for teaching inside the practice", TemplateOfClinical, false},
	} {
		if c.kind != t.Kind {
			need(c.clause == "", c.field, c.paragraph, "A text of this kind does not state "+c.what+"; the two are signed apart.")
			continue
		}
		if c.clause == "" && !c.mandatory {
			continue
		}
		need(len(strings.TrimSpace(c.clause)) >= minClause && strings.Contains(rest, c.clause), c.field, c.paragraph,
			"Quote, word for word, the clause of the text that states "+c.what+"; each statement needs a clause of its own.")
		if c.clause != "" {
			rest = strings.Replace(rest, c.clause, "\x00", 1)
		}
	}
	return d
}

// Document is signature evidence: a signed document, scanned, or a signature
// drawn on a tablet. It is kept sealed, never parsed, and never changed.
type Document struct {
	ID          id.Document `json:"id"`
	Practice    id.Practice `json:"practice"`
	Patient     id.Patient  `json:"patient"`
	ContentType string      `json:"content_type"` // of DocumentTypes
	SHA256      string      `json:"sha256"`       // of Content, hexadecimal
	Content     []byte      `json:"content"`
	AddedAt     time.Time   `json:"added_at"`
	AddedBy     id.Account  `json:"added_by"`
}

// MaxDocument is the largest document in bytes.
const MaxDocument = 2 << 20

// DocumentType tells a document's type by how it begins: PDF (ISO 32000-1
// §7.5.2) or PNG (its specification §5.2); empty: neither.
func DocumentType(content []byte) string {
	switch s := string(content[:min(8, len(content))]); {
	case strings.HasPrefix(s, "%PDF-"):
		return "application/pdf"
	case s == "\x89PNG\r\n\x1a\n":
		return "image/png"
	}
	return ""
}
