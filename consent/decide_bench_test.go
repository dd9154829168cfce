//go:build linux

package consent_test

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"photovault/consent"
	"photovault/vault/id"
)

// BenchmarkDecide decides on a record of 100 authorizations and as many
// events, the last one allowing; p50 and p99 are over the run, by the clock and
// by the processor's time: a decision waits for nothing, and on a busy machine the
// clock shows how long others had the processor. The floor looks each event up once.
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
			percentiles(b, func() {
				if d := consent.DecideRelease(q); !d.Allowed {
					b.Fatal(d)
				}
			})
		})
	}
	b.Run("floor", func(b *testing.B) {
		found := 0
		percentiles(b, func() {
			for i := range r.Authorizations {
				for j := range r.Events {
					if r.Events[j].Subject == string(r.Authorizations[i].ID) {
						found++
					}
				}
			}
		})
	})
}

// percentiles shows how long f takes, and how long the thread had the
// processor for it; and of three that follow one another the least, which no
// interrupt was in.
func percentiles(b *testing.B, f func()) {
	b.ReportAllocs()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var took, worked, least []time.Duration
	for b.Loop() {
		began, before := time.Now(), processor(b)
		f()
		worked, took = append(worked, processor(b)-before), append(took, time.Since(began))
		if n := len(took); n%3 == 0 {
			least = append(least, slices.Min(took[n-3:]))
		}
	}
	for unit, list := range map[string][]time.Duration{"µs": took, "cpu-µs": worked, "least-µs": least} {
		slices.Sort(list)
		b.ReportMetric(float64(list[len(list)/2].Nanoseconds())/1e3, "p50-"+unit)
		b.ReportMetric(float64(list[len(list)*99/100].Nanoseconds())/1e3, "p99-"+unit)
	}
}

// processor is how long this thread had it.
func processor(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
