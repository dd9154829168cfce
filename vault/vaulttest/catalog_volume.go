package vaulttest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// asked is a token of the photo, asked for by an account at a time.
func (s *shelf) asked(photo *vault.Photo, by id.Account, at time.Time) *consent.Token {
	return &consent.Token{ID: id.New[id.Token](), Hash: consent.NewBearer(consent.TokenPrefix).Hash(), Practice: s.Practice, Account: by,
		Patient: photo.Patient, Photo: photo.ID, Rendition: "web", Purpose: consent.ForCare, Form: consent.InHeader, Uses: 1,
		IssuedAt: at, ExpiresAt: at.Add(time.Minute)}
}

// shot are photos that tokens can be asked for; nothing is released here.
func (s *shelf) shot(t *testing.T, by id.Account, n int) []*vault.Photo {
	t.Helper()
	p := s.patient(t)
	out := make([]*vault.Photo, n)
	for i := range out {
		out[i] = s.declared(t, p.ID, by)
	}
	return out
}

func testVolume(t *testing.T, s *shelf) {
	by, _ := s.account(t, consent.Provider)
	other, _ := s.account(t, consent.Provider)
	photos := s.shot(t, by.ID, 8)
	a := consent.Allowance{Cap: consent.Cap{Hour: 5, Day: 6}}
	ask := func(t *testing.T, photo int, who id.Account, at time.Time, a consent.Allowance, entries int) ([]consent.Warning, error) {
		t.Helper()
		var warnings []consent.Warning
		err := s.logs(t, entries, func() (err error) {
			e := s.entry(audit.TokenIssue)
			e.Actor = who
			warnings, err = s.c.AddToken(t.Context(), s.asked(photos[photo], who, at), a, e)
			return err
		})
		return warnings, err
	}
	alerts := func(t *testing.T) (codes []string) {
		t.Helper()
		for {
			o, err := s.Catalogs.ClaimNotice(t.Context(), vault.ForAlerts, time.Now().Add(time.Minute), time.Hour)
			must(t, err)
			if o == nil {
				return codes
			}
			if o.Kind != vault.VolumeUnusual || o.Account != by.ID || o.Patient != "" || o.Photo != "" {
				t.Errorf("%+v", o.Notice)
			}
			codes = append(codes, o.Reason)
		}
	}
	t.Run("a photo counts once, and each cap is told once", func(t *testing.T) {
		for i := range 3 {
			for range 3 {
				if w, err := ask(t, i, by.ID, s.now, a, 1); err != nil || len(w) > 0 {
					t.Fatal(w, err)
				}
			}
		}
		w, err := ask(t, 3, by.ID, s.now, a, 2)
		if d := cmp.Diff([]consent.Warning{{Code: "near_hourly_cap", Photos: 4}}, w); err != nil || d != "" {
			t.Error(err, d)
		}
		w, err = ask(t, 4, by.ID, s.now, a, 3)
		if d := cmp.Diff([]consent.Warning{{Code: "hourly_cap_reached", Photos: 5}, {Code: "near_daily_cap", Photos: 5}}, w); err != nil || d != "" {
			t.Error(err, d)
		}
		if d := cmp.Diff([]string{"near_hourly_cap", "hourly_cap_reached", "near_daily_cap"}, alerts(t)); d != "" {
			t.Error(d)
		}
	})
	t.Run("what goes beyond is refused and logged once, and makes no token", func(t *testing.T) {
		k := s.asked(photos[5], by.ID, s.now)
		e := s.entry(audit.TokenIssue)
		e.Subject = string(k.ID)
		var refused *vault.VolumeError
		err := s.logs(t, 1, func() error { _, err := s.c.AddToken(t.Context(), k, a, e); return err })
		if !errors.As(err, &refused) || refused.After < 55*time.Minute || refused.After > 65*time.Minute {
			t.Errorf("%v %+v", err, refused)
		}
		last := s.last(t)
		if last.Outcome != audit.Denied || last.Reason != "volume_exceeded" || last.Subject != "" || last.Action != audit.TokenIssue {
			t.Errorf("%+v", last)
		}
		_, err = s.Catalogs.Release(t.Context(), k.Hash)
		wantError(t, err, vault.ErrNotFound)
		if got := alerts(t); len(got) > 0 {
			t.Error(got)
		}
	})
	t.Run("what was counted may be asked for at the cap, and by others", func(t *testing.T) {
		if w, err := ask(t, 2, by.ID, s.now, a, 1); err != nil || len(w) > 0 {
			t.Error(w, err)
		}
		if w, err := ask(t, 5, other.ID, s.now, a, 1); err != nil || len(w) > 0 {
			t.Error(w, err)
		}
	})
	t.Run("an emergency goes before the cap", func(t *testing.T) {
		urgent := a
		urgent.Urgent = true
		if w, err := ask(t, 5, by.ID, s.now, urgent, 1); err != nil || len(w) > 0 {
			t.Error(w, err)
		}
		_, err := ask(t, 5, by.ID, s.now, a, 1)
		wantError(t, err, vault.ErrVolume)
	})
	t.Run("the windows slide", func(t *testing.T) {
		later := s.now.Add(66 * time.Minute)
		if w, err := ask(t, 5, by.ID, later, a, 2); err != nil || len(w) != 1 || w[0].Code != "daily_cap_reached" {
			t.Error(w, err)
		}
		_, err := ask(t, 6, by.ID, later, a, 1)
		wantError(t, err, vault.ErrVolume)
		if w, err := ask(t, 6, by.ID, s.now.Add(24*time.Hour+6*time.Minute), a, 1); err != nil || len(w) > 0 {
			t.Error(w, err)
		}
		if d := cmp.Diff([]string{"daily_cap_reached"}, alerts(t)); d != "" {
			t.Error(d)
		}
	})
}

// last is the newest entry.
func (s *shelf) last(t *testing.T) (last *audit.Entry) {
	t.Helper()
	must(t, s.c.AuditRecords(t.Context(), 0, func(r audit.Record) (err error) {
		last, err = audit.Decode(r.Encoded)
		return err
	}))
	return last
}

// Many ask at once, through as many handles of one database as there are: never
// more than the cap is let through, and each warning is given once.
func testVolumeRaced(t *testing.T, s *shelf) {
	const rounds, asking = 3, 24
	handles := append([]vault.Catalogs{s.Catalogs}, s.Replicas...)
	for range rounds {
		by, _ := s.account(t, consent.Provider)
		photos := s.shot(t, by.ID, asking)
		a := consent.Allowance{Cap: consent.Cap{Hour: 10, Day: 100}}
		var let, refused atomic.Int64
		var mu sync.Mutex
		warned := map[string]int{}
		var g sync.WaitGroup
		start := make(chan struct{})
		for i, photo := range photos {
			for n, h := range handles {
				g.Go(func() {
					<-start
					e := s.entry(audit.TokenIssue)
					e.Actor = by.ID
					w, err := h.ForPractice(s.Practice).AddToken(context.WithoutCancel(t.Context()), s.asked(photo, by.ID, s.now), a, e)
					for errors.Is(err, vault.ErrUnavailable) { // too many conflicts: nothing happened
						w, err = h.ForPractice(s.Practice).AddToken(context.WithoutCancel(t.Context()), s.asked(photo, by.ID, s.now), a, e)
					}
					mu.Lock()
					for _, w := range w {
						warned[w.Code]++
					}
					mu.Unlock()
					switch {
					case err == nil:
						let.Add(1)
					case errors.Is(err, vault.ErrVolume):
						refused.Add(1)
					default:
						t.Errorf("photo %d at handle %d: %v", i, n, err)
					}
				})
			}
		}
		close(start)
		g.Wait()
		if want := int64(a.Cap.Hour * len(handles)); let.Load() != want || refused.Load() != int64(asking*len(handles))-want {
			t.Errorf("%d tokens of %d photos were let through, %d refused, want %d", let.Load(), a.Cap.Hour, refused.Load(), want)
		}
		if d := cmp.Diff(map[string]int{"near_hourly_cap": 1, "hourly_cap_reached": 1}, warned); d != "" {
			t.Error(d)
		}
	}
}
