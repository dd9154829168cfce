package consent_test

import (
	"context"
	"errors"
	"testing"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

type auditWriter struct {
	entries []*audit.Entry
	err     error
}

func (w *auditWriter) WriteAudit(_ context.Context, e *audit.Entry) error {
	w.entries = append(w.entries, e)
	return w.err
}

func TestAVerifyPermitNeedsADurableEntryAndOpensEachRenditionOnce(t *testing.T) {
	practice, patient, photo := id.New[id.Practice](), id.New[id.Patient](), id.New[id.Photo]()
	broken := &auditWriter{err: errors.New("no log")}
	if p, err := consent.CommitVerify(t.Context(), broken, practice, patient, photo); err == nil || p != nil {
		t.Errorf("a permit without an entry: %v, %v", p, err)
	}
	w := &auditWriter{}
	p, err := consent.CommitVerify(t.Context(), w, practice, patient, photo)
	if err != nil || len(w.entries) != 1 || w.entries[0].Action != audit.PhotoVerify || w.entries[0].Photo != photo {
		t.Fatalf("%v, entries %v", err, w.entries)
	}
	if err := p.Spend(practice, photo, "web"); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"twice":             p.Spend(practice, photo, "web"),
		"another photo":     p.Spend(practice, id.New[id.Photo](), "thumb"),
		"another practice":  p.Spend(id.New[id.Practice](), photo, "thumb"),
		"nil":               (*consent.VerifyPermit)(nil).Spend(practice, photo, "thumb"),
		"zero":              new(consent.VerifyPermit).Spend(practice, photo, "thumb"),
		"zero of no rights": new(consent.VerifyPermit).Spend("", "", ""),
	} {
		if !errors.Is(err, consent.ErrNoPermit) {
			t.Errorf("%s: %v, want ErrNoPermit", name, err)
		}
	}
	if err := p.Spend(practice, photo, "thumb"); err != nil {
		t.Errorf("another rendition: %v", err)
	}
}
