package vault_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"photovault/vault"
	"photovault/vault/blobs"
	"photovault/vault/blobs/dir"
	"photovault/vault/id"
)

// What one replica would put into another bucket or folder the others would
// call lost; and what was lost, or is not mounted, is not served as empty.
func TestAnObjectStoreOfAnotherPlaceIsRefused(t *testing.T) {
	f := newFixture(t)
	other, err := dir.Open(filepath.Join(t.TempDir(), "objects"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conf := f.Config
	conf.Blobs, conf.Logger = other, slog.New(slog.DiscardHandler)
	elsewhere, err := vault.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := elsewhere.Prepare(t.Context()); !errors.Is(err, vault.ErrBroken) {
		t.Errorf("an empty store: %v", err)
	}
	if err := vault.Mark(t.Context(), other, id.New[id.Practice]()); err != nil {
		t.Fatal(err)
	}
	if err := elsewhere.Prepare(t.Context()); !errors.Is(err, vault.ErrBroken) {
		t.Errorf("another installation's: %v", err)
	}
	photo := blobs.Name{Practice: f.practice, Area: blobs.Photos, Object: id.New[id.Object]()}
	if err := other.Put(t.Context(), photo, strings.NewReader("sealed"), 6); err != nil {
		t.Fatal(err)
	}
	if err := elsewhere.Prepare(t.Context()); err != nil {
		t.Errorf("its own, of before there were marks: %v", err)
	}
	if err := other.Delete(t.Context(), photo); err != nil {
		t.Fatal(err)
	}
	for range 2 { // asked again it is no error
		if err := vault.Mark(t.Context(), other, f.practice); err != nil {
			t.Fatal(err)
		}
	}
	if err := elsewhere.Prepare(t.Context()); err != nil {
		t.Errorf("its own: %v", err)
	}
}
