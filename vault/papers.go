package vault

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// AddTemplate records a text of the practice's own, or, where t.ID names one,
// its next version, which is of the same kind. Practice, Version, CreatedAt and CreatedBy are set here.
// Errors: ErrDenied, InvalidError template_incomplete, ErrNotFound.
func (s *Service) AddTemplate(ctx context.Context, who consent.Principal, t consent.Template) (*consent.Template, error) {
	e := entry(who, audit.TemplateAdd, audit.Allowed)
	e.Subject = string(t.ID)
	if err := s.allow(ctx, who, consent.WriteTemplates, e); err != nil {
		return nil, err
	}
	next := t.ID != ""
	t.ID, t.Practice, t.CreatedAt, t.CreatedBy = or(t.ID, id.New[id.Template]()), who.Practice, s.now(), who.Account
	if d := t.Defects(); d != nil {
		return nil, s.failed(ctx, who, e, &InvalidError{Code: "template_incomplete", Defects: d})
	}
	e.Subject = string(t.ID)
	catalog := s.Catalogs.ForPractice(who.Practice)
	if next {
		_, err := signedText(ctx, catalog, t.ID, 1, t.Kind)
		if errors.Is(err, ErrInvalid) {
			err = ErrNotFound
		}
		if err != nil {
			return nil, s.failed(ctx, who, e, err)
		}
	}
	if err := catalog.AddTemplate(ctx, &t, next, e); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	return &t, nil
}

// signedText finds a version of a template of the kind.
func signedText(ctx context.Context, catalog Catalog, t id.Template, version int64, kind consent.TemplateKind) (*consent.Template, error) {
	list, err := catalog.Templates(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(v consent.Template) bool { return v.ID == t && v.Version == version && v.Kind == kind })
	if i < 0 {
		return nil, invalid("template", "There is no such version of this template, or it is a text of the other kind.")
	}
	return &list[i], nil
}

// Templates lists every version of the practice's texts, by name, the newest
// version of each first. Errors: ErrDenied.
func (s *Service) Templates(ctx context.Context, who consent.Principal) ([]consent.Template, error) {
	e := entry(who, audit.TemplateList, audit.Allowed)
	if err := s.allow(ctx, who, consent.RecordConsent, e); err != nil {
		return nil, err
	}
	list, err := s.Catalogs.ForPractice(who.Practice).Templates(ctx)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	slices.SortFunc(list, func(a, b consent.Template) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID), cmp.Compare(b.Version, a.Version))
	})
	return list, s.log(ctx, who, e)
}

// AddDocument keeps a signed document of the patient, sealed. What it is, is
// told by its content. Errors: ErrDenied, ErrInvalid, ErrTooLarge, ErrNotFound.
func (s *Service) AddDocument(ctx context.Context, who consent.Principal, p id.Patient, content []byte) (*consent.Document, error) {
	e := entry(who, audit.DocumentAdd, audit.Allowed)
	e.Patient = p
	if err := s.open(ctx, who, consent.RecordConsent, p, nil, e); err != nil {
		return nil, err
	}
	kind := consent.DocumentType(content)
	switch {
	case len(content) > consent.MaxDocument:
		return nil, s.failed(ctx, who, e, ErrTooLarge)
	case kind == "":
		return nil, s.failed(ctx, who, e, invalid("body", "Send a PDF, or a drawn signature as PNG."))
	}
	sum := sha256.Sum256(content)
	d := &consent.Document{ID: id.New[id.Document](), Practice: who.Practice, Patient: p, ContentType: kind, SHA256: hex.EncodeToString(sum[:]),
		Content: content, AddedAt: s.now(), AddedBy: who.Account}
	e.Subject = string(d.ID)
	if err := s.Catalogs.ForPractice(who.Practice).AddDocument(ctx, d, e); err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	return d, nil
}

// Document returns a signed document. Errors: ErrDenied, ErrNotFound.
func (s *Service) Document(ctx context.Context, who consent.Principal, d id.Document) (*consent.Document, error) {
	e := entry(who, audit.DocumentRead, audit.Allowed)
	e.Subject = string(d)
	if err := s.allow(ctx, who, consent.ListConsents, e); err != nil {
		return nil, err
	}
	document, err := s.Catalogs.ForPractice(who.Practice).Document(ctx, d)
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	e.Patient = document.Patient
	if err := s.open(ctx, who, consent.ListConsents, document.Patient, nil, e); err != nil {
		return nil, err
	}
	return document, s.log(ctx, who, e)
}

// signedOn fills in what the stored document of a record says: its digest.
func signedOn(ctx context.Context, catalog Catalog, p id.Patient, d id.Document, digest *string) error {
	if d == "" {
		return nil
	}
	document, err := catalog.Document(ctx, d)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && document.Patient != p:
		return invalid("document", "This patient has no such document.")
	case err != nil:
		return err
	case *digest != "" && *digest != document.SHA256:
		return invalid("document_sha256", "The document that was named has another digest.")
	}
	*digest = document.SHA256
	return nil
}

// onTemplate makes the statements of an authorization those of the template
// that was signed. One that the request claims and the template does not make
// is refused.
func onTemplate(ctx context.Context, catalog Catalog, a *consent.Authorization) error {
	if a.Template == "" {
		a.TemplateVersion = 0
		return nil
	}
	text, err := signedText(ctx, catalog, a.Template, a.TemplateVersion, consent.TemplateOfAuthorization)
	if err != nil {
		return err
	}
	made := text.Statements()
	if claims := a.Statements; claims.RightToRevoke && !made.RightToRevoke || claims.Conditioning && !made.Conditioning ||
		claims.Redisclosure && !made.Redisclosure || claims.Payment && !made.Payment || claims.Sale && !made.Sale {
		return invalid("statements", "The template does not make each of these statements; leave them out to take what it makes.")
	}
	a.Statements = made
	return nil
}

// onClinicalTemplate: a clinical consent allows teaching where the template
// that was signed says so, and only there.
func onClinicalTemplate(ctx context.Context, catalog Catalog, c *consent.Clinical) error {
	if c.Template == "" {
		c.TemplateVersion = 0
		return nil
	}
	text, err := signedText(ctx, catalog, c.Template, c.TemplateVersion, consent.TemplateOfClinical)
	if err != nil {
		return err
	}
	made := text.Clauses.Teaching != ""
	if c.Teaching && !made {
		return invalid("teaching", "The template does not speak of teaching; leave it out to take what it states.")
	}
	c.Teaching = made
	return nil
}
