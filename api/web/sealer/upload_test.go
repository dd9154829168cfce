package sealer_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"photovault/vault/id"
)

type declared struct {
	ID    id.Photo
	State string
}

// The README's example, as it stands: sealed, declared, uploaded by the stock
// tus client over a connection that breaks in the middle, accepted, opened and sanitised.
func TestTheReadmeExampleUploadsToTheService(t *testing.T) {
	a := newApp(t)
	a.example()
	s := newService(t)
	proxy := newFront(s, 1_500_000)
	server := httptest.NewServer(proxy)
	defer server.Close()
	file := filepath.Join(t.TempDir(), "photo.jpg")
	must(t, os.WriteFile(file, s.photo(), 0o600))

	job := s.job()
	job["server"], job["file"], job["capture"] = server.URL, file, id.New[id.Capture]()
	got := run[struct {
		Photo    declared
		Progress float64
	}](a, job, "upload.mjs")
	if !proxy.cut.Load() || got.Progress != 1 || got.Photo.State != "declared" {
		t.Errorf("cut: %t; %+v", proxy.cut.Load(), got)
	}
	out := filepath.Join(t.TempDir(), "clinical.jpg")
	s.awaitReady(got.Photo.ID)
	s.cli("provider", "get", string(got.Photo.ID), "--purpose", "clinical", "-o", out)
	if info, err := os.Stat(out); err != nil || info.Size() == 0 {
		t.Errorf("the photo was not delivered: %v", err)
	}
}
