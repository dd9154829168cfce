package vaulttest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

func (s *shelf) newTemplate() *consent.Template {
	return &consent.Template{ID: id.New[id.Template](), Practice: s.Practice, Kind: consent.TemplateOfAuthorization, Name: "Website", Text: "You may revoke it in writing.", CreatedAt: s.now}
}

func (s *shelf) newDocument(p id.Patient) *consent.Document {
	content := []byte("%PDF-1.7 signed")
	sum := sha256.Sum256(content)
	return &consent.Document{ID: id.New[id.Document](), Practice: s.Practice, Patient: p, ContentType: "application/pdf",
		SHA256: hex.EncodeToString(sum[:]), Content: content, AddedAt: s.now}
}

func testPapers(t *testing.T, s *shelf) {
	ctx := t.Context()
	t.Run("versions of a template are added, and none is lost", func(t *testing.T) {
		first := s.newTemplate()
		must(t, s.logs(t, 1, func() error { return s.c.AddTemplate(ctx, first, false, s.entry(audit.TemplateAdd)) }))
		second := *first
		second.Text = "You may revoke it in writing, at any time."
		must(t, s.logs(t, 1, func() error { return s.c.AddTemplate(ctx, &second, true, s.entry(audit.TemplateAdd)) }))
		if first.Version != 1 || second.Version != 2 {
			t.Errorf("versions %d and %d", first.Version, second.Version)
		}
		list, err := s.c.Templates(ctx)
		must(t, err)
		if d := cmp.Diff([]consent.Template{*first, second}, list); d != "" {
			t.Error(d)
		}
		wantNothingWithoutEntry(t, func(ctx context.Context) error { return s.c.AddTemplate(ctx, s.newTemplate(), false, nil) })
	})
	t.Run("a template does not follow on one that is not there, or begin again", func(t *testing.T) {
		none := s.newTemplate()
		wantError(t, s.c.AddTemplate(ctx, none, true, s.entry(audit.TemplateAdd)), vault.ErrNotFound)
		must(t, s.c.AddTemplate(ctx, none, false, s.entry(audit.TemplateAdd)))
		wantError(t, s.c.AddTemplate(ctx, none, false, s.entry(audit.TemplateAdd)), vault.ErrNotFound)
		foreign := s.newTemplate()
		foreign.Practice = s.Other
		if err := s.c.AddTemplate(ctx, foreign, false, s.entry(audit.TemplateAdd)); err == nil {
			t.Error("another practice's template was added")
		}
	})
	t.Run("a document is kept whole, for a patient that exists", func(t *testing.T) {
		d := s.newDocument(s.patient(t).ID)
		must(t, s.logs(t, 1, func() error { return s.c.AddDocument(ctx, d, s.entry(audit.DocumentAdd)) }))
		got, err := s.c.Document(ctx, d.ID)
		must(t, err)
		if diff := cmp.Diff(d, got); diff != "" {
			t.Error(diff)
		}
		wantError(t, s.c.AddDocument(ctx, s.newDocument(id.New[id.Patient]()), s.entry(audit.DocumentAdd)), vault.ErrNotFound)
		wantNothingWithoutEntry(t, func(ctx context.Context) error { return s.c.AddDocument(ctx, s.newDocument(d.Patient), nil) })
		_, err = s.Catalogs.ForPractice(s.Other).Document(ctx, d.ID)
		wantError(t, err, vault.ErrNotFound)
	})
}
