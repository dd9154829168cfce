package vault_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"photovault/consent"
	"photovault/imaging/specimen"
	"photovault/vault"
	"photovault/vault/id"
)

// A store that took so long that the sweep was there first costs the bytes that
// did not count yet, not the upload.
func TestASegmentThatWasSweptIsSentAgain(t *testing.T) {
	f := newFixture(t)
	ctx, provider := t.Context(), f.people[consent.Provider]
	first := f.add(specimen.JPEG(specimen.Full(64, 48, 1)))
	p, _, err := f.Declare(ctx, provider, vault.Declaration{Patient: first.Patient, Device: id.New[id.Device](), Capture: id.New[id.Capture]()})
	if err != nil {
		t.Fatal(err)
	}
	sealed := f.seal(p, specimen.JPEG(specimen.Full(64, 48, 2)))
	u, err := f.CreateUpload(ctx, provider, p.ID, int64(len(sealed)), false, vault.Asked{})
	if err != nil {
		t.Fatal(err)
	}
	all := vault.Append{Body: bytes.NewReader(sealed), Length: int64(len(sealed))}
	f.store.mu.Lock()
	f.store.stored = func() {
		if _, err := f.catalogs.TakeDead(ctx, time.Now().Add(time.Hour), 100); err != nil {
			t.Error(err)
		}
	}
	f.store.mu.Unlock()
	if _, err := f.AppendUpload(ctx, provider, u.ID, all); !errors.Is(err, vault.ErrUnavailable) {
		t.Fatalf("told %v, want that it can be tried again", err)
	}
	up, err := f.UploadStatus(ctx, provider, u.ID)
	if err != nil || up.Offset != 0 {
		t.Fatalf("the upload stands at %+v, %v; want 0", up, err)
	}
	all.Body = bytes.NewReader(sealed)
	if _, err := f.AppendUpload(ctx, provider, u.ID, all); err != nil {
		t.Fatal(err)
	}
	if got := f.settled(p); got.State != vault.Ready {
		t.Errorf("sent again it is %s %s", got.State, got.RejectedCode)
	}
}
