package consent_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/consent"
)

// ask counts n photos at now and returns how many were let through, and the
// codes of what was warned of.
func ask(v *consent.Volume, now time.Time, n int, a consent.Allowance) (through int, warned []string, after time.Duration) {
	for range n {
		t := v.Count(now, a)
		if after = t.After; after == 0 {
			through++
		}
		for _, w := range t.Warnings {
			warned = append(warned, w.Code)
		}
	}
	return through, warned, after
}

func TestAnHourAndADayAreCappedAndSlide(t *testing.T) {
	began := time.Date(2026, 5, 4, 8, 2, 0, 0, time.UTC)
	a := consent.Allowance{Cap: consent.Cap{Hour: 10, Day: 25}}
	v := &consent.Volume{}
	for _, step := range []struct {
		after   time.Duration // since the beginning
		asked   int
		through int
		warned  []string
		wait    time.Duration
	}{
		{0, 7, 7, nil, 0},
		{30 * time.Minute, 1, 1, []string{"near_hourly_cap"}, 0},
		{31 * time.Minute, 5, 2, []string{"hourly_cap_reached"}, 32 * time.Minute}, // of 8:02, counted until 9:05
		{62 * time.Minute, 1, 0, nil, time.Minute},
		{63 * time.Minute, 20, 7, nil, 30 * time.Minute}, // again at the cap, told within the hour
		{3 * time.Hour, 4, 4, []string{"near_daily_cap"}, 0},
		{3*time.Hour + time.Minute, 5, 4, []string{"near_hourly_cap", "daily_cap_reached"}, 21*time.Hour + 2*time.Minute},
		{24*time.Hour + 2*time.Minute, 1, 0, nil, time.Minute},
		{24*time.Hour + 3*time.Minute, 9, 7, nil, 30 * time.Minute}, // told within the day
		{80 * time.Hour, 3, 3, nil, 0},
	} {
		through, warned, wait := ask(v, began.Add(step.after), step.asked, a)
		if d := cmp.Diff(step.warned, warned); through != step.through || wait != step.wait || d != "" {
			t.Errorf("%s: %d of %d went through, wait %s, want %d, %s: %s", step.after, through, step.asked, wait, step.through, step.wait, d)
		}
	}
	if len(v.Spans) != 1 {
		t.Errorf("it keeps %d spans", len(v.Spans))
	}
}

// No order of asking lets more through within any hour or day than the cap.
func TestNoWindowHoldsMoreThanTheCap(t *testing.T) {
	a := consent.Allowance{Cap: consent.Cap{Hour: 12, Day: 40}}
	v := &consent.Volume{}
	var let []time.Time
	now := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	for i := range 6000 {
		now = now.Add(time.Duration(i*i%97) * time.Second) // some 80 hours
		if v.Count(now, a).After == 0 {
			let = append(let, now)
		}
	}
	if len(let) < 100 {
		t.Fatalf("only %d went through", len(let))
	}
	for i, from := range let {
		hour, day := 0, 0
		for _, at := range let[i:] {
			if at.Sub(from) < time.Hour {
				hour++
			}
			if at.Sub(from) < consent.VolumeDay {
				day++
			}
		}
		if hour > a.Cap.Hour || day > a.Cap.Day {
			t.Fatalf("from %s on: %d in an hour, %d in a day", from, hour, day)
		}
	}
}

// A chart that is needed now opens; what it took is bounded by one patient.
func TestAnEmergencyGoesBeforeTheCap(t *testing.T) {
	now := time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)
	v, a := &consent.Volume{}, consent.Allowance{Cap: consent.Cap{Hour: 2, Day: 2}}
	ask(v, now, 2, a)
	if through, _, _ := ask(v, now, 1, a); through != 0 {
		t.Fatal("the cap does not hold")
	}
	version := v.Version
	a.Urgent = true
	if got := v.Count(now, a); got.After != 0 || got.Counted || v.Version != version {
		t.Errorf("%+v", got)
	}
}

func TestACapOfNoneAllowsNone(t *testing.T) {
	v := &consent.Volume{}
	if got := v.Count(time.Now(), consent.Allowance{}); got.After <= 0 || got.Counted {
		t.Errorf("%+v", got)
	}
}

// What a cap allows, a day's work of the role needs; marketing's is the least.
func TestRolesThatOpenPhotosHaveCapsAndTerms(t *testing.T) {
	caps := consent.DefaultCaps()
	for _, role := range append(consent.AccountRoles, consent.Tablet, "unknown") {
		opens := false
		for _, act := range []consent.Act{consent.ReleaseClinical, consent.ReleaseTeaching, consent.ReleaseMarketing} {
			opens = opens || consent.Principal{Role: role}.May(act)
		}
		if c := caps[role]; opens != (c.Hour > 0) || opens != (c.Day >= c.Hour && c.Day > 0) {
			t.Errorf("%s: opens %t, cap %+v", role, opens, c)
		}
		for _, form := range []consent.Form{consent.InPath, consent.InHeader} {
			got := role.Terms(form)
			if opens != (got.Uses > 0) || got.Life > consent.MaxLife || got.Uses > consent.MaxUses || form == consent.InPath && got.Uses > 1 {
				t.Errorf("%s %s: %+v", role, form, got)
			}
		}
		if got := role.Terms("cookie"); got != (consent.Terms{}) {
			t.Errorf("%s: terms %+v of no form", role, got)
		}
	}
	for _, form := range []consent.Form{consent.InPath, consent.InHeader} {
		if m, p := consent.Marketing.Terms(form), consent.Provider.Terms(form); m.Life >= p.Life || m.Uses > p.Uses {
			t.Errorf("%s: marketing %+v, provider %+v", form, m, p)
		}
	}
}
