package catalog_test

import (
	"path/filepath"
	"testing"
	"time"

	"photovault/vault/audit"
	"photovault/vault/catalog"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/keys/localkek"
	"photovault/vault/keys/transit"
	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest/devstack"
)

// wrapping is a key service with its operator.
type wrapping struct {
	service  keys.Service
	operator keys.Operator
}

func localWrapping(t testing.TB) wrapping {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kek.json")
	must(t, localkek.Create(path, nil))
	s, err := localkek.Open(path, nil)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return wrapping{s, localkek.NewOperator(path, nil)}
}

func transitWrapping(t testing.TB) wrapping {
	t.Helper()
	service, operator := transittest.New(t, devstack.Need(t).Transit)
	s, err := transit.Open(t.Context(), service)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	o, err := transit.OpenOperator(t.Context(), operator)
	must(t, err)
	t.Cleanup(func() { must(t, o.Close()) })
	return wrapping{s, o}
}

// rotate waits until the service wraps under the new version.
func (w wrapping) rotate(t testing.TB) {
	t.Helper()
	want, err := w.operator.Rotate(t.Context())
	must(t, err)
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		got, err := w.service.Versions(t.Context())
		must(t, err)
		if got == want {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the service has versions %v, want %v", got, want)
		}
	}
}

func openWith(t testing.TB, w wrapping) (*catalog.DB, id.Practice) {
	t.Helper()
	p := id.New[id.Practice]()
	db, err := catalog.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "catalog.db"), w.service, catalog.Options{Practice: p})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	must(t, db.CreatePractice(t.Context(), p, &audit.Entry{Action: audit.PracticeCreate, Outcome: audit.Allowed}))
	return db, p
}

// rewrapAll returns how many keys were looked at and moved.
func rewrapAll(t testing.TB, db *catalog.DB, p id.Practice, batch int) (looked, moved int) {
	t.Helper()
	_, err := db.RewrapFile(t.Context())
	must(t, err)
	for after := ""; ; {
		out, err := db.ForPractice(p).Rewrap(t.Context(), after, batch, false, &audit.Entry{Action: audit.KeysRewrap, Outcome: audit.Allowed})
		must(t, err)
		if len(out.Refused) > 0 {
			t.Fatalf("refused: %v", out.Refused)
		}
		looked, moved = looked+out.Looked, moved+out.Moved
		if after = out.Next; after == "" {
			return looked, moved
		}
	}
}

func TestRewrapLooksAtEveryKeyOnceAndMovesItOnce(t *testing.T) {
	for name, open := range map[string]func(testing.TB) wrapping{"local": localWrapping, "transit": transitWrapping} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			db, p := openWith(t, w)
			must(t, db.AddPhotoKeys(t.Context(), p, 23))
			w.rotate(t)
			must(t, db.AddPhotoKeys(t.Context(), p, 4))
			const own = 5 // keys of the practice
			for _, batch := range []int{1, 7, keys.MaxRewrap} {
				looked, moved := rewrapAll(t, db, p, batch)
				if want := map[int]int{1: 23 + own, 7: 0, keys.MaxRewrap: 0}[batch]; looked != 23+4+own || moved != want {
					t.Errorf("batches of %d: %d looked at, %d moved; want %d and %d", batch, looked, moved, 23+4+own, want)
				}
			}
		})
	}
}

// The floor is the key service alone, with the same batches.
func BenchmarkRewrap(b *testing.B) {
	const n = 10_000
	for _, engine := range []struct {
		name string
		open func(testing.TB) wrapping
	}{{"local", localWrapping}, {"transit", transitWrapping}} {
		b.Run(engine.name, func(b *testing.B) {
			w := engine.open(b)
			db, p := openWith(b, w)
			must(b, db.AddPhotoKeys(b.Context(), p, n))
			b.Run("all", func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					w.rotate(b)
					b.StartTimer()
					if _, moved := rewrapAll(b, db, p, keys.MaxRewrap); moved < n {
						b.Fatalf("%d moved", moved)
					}
				}
				b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
			})
			b.Run("floor", func(b *testing.B) {
				c := keys.Context{Purpose: keys.Photo, Practice: p, Subject: "1"}
				_, wrapped, err := w.service.NewDataKey(b.Context(), c)
				must(b, err)
				items := make([]keys.Wrapped, keys.MaxRewrap)
				for i := range items {
					items[i] = keys.Wrapped{Context: c, Key: wrapped}
				}
				for b.Loop() {
					for range n / keys.MaxRewrap {
						_, err := w.service.Rewrap(b.Context(), items)
						must(b, err)
					}
				}
				b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
			})
		})
	}
}
