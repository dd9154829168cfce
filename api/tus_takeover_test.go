package api_test

import (
	"bytes"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

// stalled sends a PATCH of the whole file that stops after n bytes.
func (s *stack) stalled(up, grant string, sealed []byte, n int) *wire {
	s.Helper()
	w := s.dial(0)
	w.send(string(sealed[:n]), s.patchLines(up, grant, 0, len(sealed))...)
	s.eventually("the first writer is at work", func() bool { return s.offset(up, grant) == 1<<20 })
	return w
}

// A client whose connection died comes again while the server still waits for
// the old one: it does not wait as long as that.
func TestANewerPatchTakesOver(t *testing.T) {
	s := newStack(t)
	x := s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))
	const more = 70_000 // beyond the last full segment
	w := s.stalled(up, x.Grant, x.sealed, 1<<20+more)
	began := time.Now()
	a := s.patch(up, x.Grant, 1<<20, x.sealed[1<<20:])
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the newer request waited for %v", took)
	}
	w.answer("PATCH").problem(423, "upload_locked")
	if a.status != 204 { // else it came before the service had read any more
		a.problem(409, "offset_mismatch") // what arrived was kept
		at := s.offset(up, x.Grant)
		if at <= 1<<20 || at > 1<<20+more {
			t.Errorf("offset %d", at)
		}
		s.patch(up, x.Grant, at, x.sealed[at:]).ok(204)
	}
	s.receivedWhole(x)
}

func TestCancellingAndBeginningAnewEndARunningPatch(t *testing.T) {
	s := newStack(t)
	for name, end := range map[string]func(x *shot, up string){
		"DELETE":                   func(x *shot, up string) { s.ask("DELETE", up, x.Grant, nil, tus).ok(204) },
		"a new upload":             func(x *shot, up string) { s.create(x.Grant, len(x.sealed)) },
		"a part of a new one":      func(x *shot, up string) { s.create(x.Grant, 100, partial) },
		"a new one of the grant's": func(x *shot, up string) { s.create(s.token("provider"), len(x.sealed), namingPhoto(x.Photo.ID)) },
	} {
		t.Run(name, func(t *testing.T) {
			x := s.sealedBig()
			up := s.create(x.Grant, len(x.sealed))
			w := s.stalled(up, x.Grant, x.sealed, 1<<20)
			end(x, up)
			w.answer("PATCH").problem(410, "upload_gone")
			s.ask("HEAD", up, x.Grant, nil, tus).ok(404)
		})
	}
}

// Threat 8: only its owner ends what is being sent.
func TestAStrangerDoesNotEndARunningPatch(t *testing.T) {
	s := newStack(t)
	x, y := s.sealedBig(), s.sealedBig()
	up := s.create(x.Grant, len(x.sealed))
	w := s.stalled(up, x.Grant, x.sealed, 1<<20)
	s.patch(up, y.Grant, 1<<20, x.sealed[1<<20:]).problem(404, "not_found")
	s.ask("DELETE", up, y.Grant, nil, tus).problem(404, "not_found")
	_, err := w.Write(x.sealed[1<<20:])
	s.must(err)
	w.answer("PATCH").ok(204)
	s.receivedWhole(x)
}

// Two processes over one catalog know nothing of each other's requests: the
// offset decides, and one exact file is left.
func TestTwoWritersInTwoProcessesLeaveOneFile(t *testing.T) {
	s := newStack(t)
	pool, err := media()
	s.must(err)
	other := s.reopen(s)
	t.Cleanup(func() { s.must(other.Close()) })
	second, err := vault.New(vault.Config{Practice: s.practice, Catalogs: other, Keys: s.keys, Blobs: s.blobs, Media: pool,
		Checkpoints: s.outside, Logger: slog.New(slog.DiscardHandler), Now: s.clock.now})
	s.must(err)
	for range 3 {
		x := s.sealedBig()
		who := consent.Principal{Practice: s.practice, Account: s.owner(x), Role: consent.Tablet, Grant: x.Photo.ID}
		u, err := s.service.CreateUpload(t.Context(), who, x.Photo.ID, int64(len(x.sealed)), false, vault.Asked{})
		s.must(err)
		var wg sync.WaitGroup
		for i, service := range []*vault.Service{s.service, second, s.service, second} {
			wg.Go(func() { s.finish(service, who, u.ID, x.sealed, 200_000+i*100_001) })
		}
		wg.Wait()
		s.receivedWhole(x)
	}
	s.eventually("nothing staged is left", func() bool { return s.staged() == 0 })
}

// finish sends pieces of so many bytes until the upload is complete, asking
// for the offset whenever it was refused.
func (s *stack) finish(service *vault.Service, who consent.Principal, u id.Upload, sealed []byte, piece int) {
	for {
		up, err := service.UploadStatus(s.Context(), who, u)
		if err != nil {
			s.Error(err)
			return
		}
		if up.Offset == up.Length {
			return
		}
		b := sealed[up.Offset:min(len(sealed), int(up.Offset)+piece)]
		_, err = service.AppendUpload(s.Context(), who, u, vault.Append{Offset: up.Offset, Body: bytes.NewReader(b), Length: int64(len(b))})
		if err != nil && !errors.Is(err, vault.ErrOffset) && !errors.Is(err, vault.ErrLocked) {
			s.Error(err)
			return
		}
	}
}

// owner is who declared the photo.
func (s *stack) owner(x *shot) id.Account {
	s.Helper()
	p, err := s.catalog.ForPractice(s.practice).Photo(s.Context(), x.Photo.ID)
	s.must(err)
	return p.DeclaredBy
}
