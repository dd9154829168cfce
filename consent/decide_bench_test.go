package consent_test

import (
	"slices"
	"testing"
	"time"

	"photovault/consent"
	"photovault/vault/id"
)

// BenchmarkDecide decides on a record of 100 authorizations and as many
// events, the last one allowing; p99 is over the run. The floor looks each
// event up once.
func BenchmarkDecide(b *testing.B) {
	r := recordWith()
	for range 99 {
		a := complete()
		r.Authorizations = append(r.Authorizations, a)
		r.Events = append(r.Events, consent.Event{ID: id.New[id.Event](), Kind: consent.Revoked, Subject: string(a.ID)})
	}
	r.Authorizations = append(r.Authorizations, complete())
	q := marketingQuestion(r)
	p, err := consent.ParsePolicies([]byte(`forbid (principal, action, resource) when { context.channel == "billboard" };`))
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		with *consent.Policies
	}{{"law", nil}, {"law and policies", p}} {
		b.Run(c.name, func(b *testing.B) {
			q.Policies = c.with
			b.ReportAllocs()
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if d := consent.DecideRelease(q); !d.Allowed {
					b.Fatal(d)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
		})
	}
	b.Run("floor", func(b *testing.B) {
		found := 0
		for b.Loop() {
			for i := range r.Authorizations {
				for j := range r.Events {
					if r.Events[j].Subject == string(r.Authorizations[i].ID) {
						found++
					}
				}
			}
		}
	})
}
