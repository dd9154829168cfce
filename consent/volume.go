package consent

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"photovault/vault/id"
)

// Cap is how many different photos one account may ask tokens for, within any
// hour and any day. A photo counts once a day, however often it is asked for.
// The zero Cap allows none.
type Cap struct{ Hour, Day int }

// DefaultCaps are those of the roles that open photos. A provider sees some
// thirty patients a day with up to fifty photos each; marketing chooses what it
// publishes; a record system reads for a whole practice.
func DefaultCaps() map[Role]Cap {
	return map[Role]Cap{Provider: {300, 1500}, Marketing: {60, 200}, EMR: {1500, 8000}}
}

// Allowance is what a token is asked for under.
type Allowance struct {
	Cap Cap
	// Urgent: for care of a patient for whom the provider declared an emergency,
	// which goes before the cap: a chart that cannot be opened harms the patient.
	Urgent bool
}

// Volume is how many photos one account has asked tokens for. It is kept for a day.
type Volume struct {
	Practice id.Practice `json:"practice"`
	Account  id.Account  `json:"account"`
	Version  int64       `json:"version"`
	Spans    []Span      `json:"spans,omitempty"` // oldest first
	// Warned is when each warning was last given, by code.
	Warned map[string]time.Time `json:"warned,omitempty"`
}

// Span is how many photos were first asked for within some minutes.
type Span struct {
	From   time.Time `json:"from"`
	Photos int       `json:"photos"`
}

// spanLength is how exactly the windows slide: what was asked for leaves one up
// to so much late, and never early.
const spanLength = 5 * time.Minute

// Warning tells that an account is near a cap, or has reached it.
type Warning struct {
	Code   string // stable: near_hourly_cap, hourly_cap_reached, near_daily_cap, daily_cap_reached
	Photos int    // asked for within the window
}

// window is one of the two that are counted.
type window struct {
	length        time.Duration
	near, reached string // codes
	most          func(Cap) int
}

var windows = []window{
	{time.Hour, "near_hourly_cap", "hourly_cap_reached", func(c Cap) int { return c.Hour }},
	{VolumeDay, "near_daily_cap", "daily_cap_reached", func(c Cap) int { return c.Day }},
}

// VolumeDay is for how long a photo that was asked for is not counted again.
const VolumeDay = 24 * time.Hour

const volumeBasis = "volume/"

// Basis names this version of the volume in the audit log, where the entry
// names the account.
func (v *Volume) Basis() string { return volumeBasis + strconv.FormatInt(v.Version, 10) }

// VolumeVersion reads what Basis wrote.
func VolumeVersion(basis string) (int64, bool) {
	text, ok := strings.CutPrefix(basis, volumeBasis)
	n, err := strconv.ParseInt(text, 10, 64)
	return n, ok && err == nil
}

// Tally is how counting a photo went.
type Tally struct {
	Counted  bool
	After    time.Duration // not zero: refused, and how long to wait at least
	Warnings []Warning
}

// Changed reports whether the volume is another than before.
func (t *Tally) Changed() bool { return t.Counted || len(t.Warnings) > 0 }

// Count decides whether one more photo may be asked for, and counts it if so.
// What is urgent is counted up to the cap, and allowed beyond it. Each warning
// is given once within its window.
func (v *Volume) Count(now time.Time, a Allowance) Tally {
	now = now.UTC()
	v.forget(now)
	t := Tally{Counted: true}
	for _, w := range windows {
		if v.within(now, w) >= w.most(a.Cap) {
			t.Counted, t.After = false, max(t.After, v.until(now, w, a.Cap))
		}
	}
	if t.Counted {
		v.add(now)
	}
	for _, w := range windows {
		t.Warnings = append(t.Warnings, v.warn(now, w, a.Cap)...)
	}
	if a.Urgent {
		t.After = 0
	}
	if t.Changed() {
		v.Version++
	}
	return t
}

// forget lets go of what no window reaches any more.
func (v *Volume) forget(now time.Time) {
	v.Spans = slices.DeleteFunc(v.Spans, func(s Span) bool { return !s.in(now, VolumeDay) })
	maps.DeleteFunc(v.Warned, func(_ string, at time.Time) bool { return now.Sub(at) >= VolumeDay })
}

func (s Span) in(now time.Time, length time.Duration) bool {
	return s.From.Add(spanLength + length).After(now)
}

func (v *Volume) add(now time.Time) {
	from := now.Truncate(spanLength)
	i, found := slices.BinarySearchFunc(v.Spans, from, func(s Span, t time.Time) int { return s.From.Compare(t) })
	if !found {
		v.Spans = slices.Insert(v.Spans, i, Span{From: from})
	}
	v.Spans[i].Photos++
}

func (v *Volume) within(now time.Time, w window) (n int) {
	for _, s := range v.Spans {
		if s.in(now, w.length) {
			n += s.Photos
		}
	}
	return n
}

// until is how long it takes until the window has room for one more.
func (v *Volume) until(now time.Time, w window, c Cap) time.Duration {
	n := v.within(now, w)
	for _, s := range v.Spans {
		if !s.in(now, w.length) {
			continue
		}
		if n -= s.Photos; n < w.most(c) {
			return s.From.Add(spanLength + w.length).Sub(now)
		}
	}
	return w.length // a cap of none
}

// warn gives the window's warnings that are due and were not given within it:
// at four fifths of the cap, and at the cap. Whoever is warned of the cap need
// not be told as well that it is near.
func (v *Volume) warn(now time.Time, w window, c Cap) []Warning {
	n, most, code := v.within(now, w), w.most(c), ""
	switch {
	case n >= most:
		code = w.reached
	case n*5 >= most*4:
		code = w.near
	default:
		return nil
	}
	fresh := func(code string) bool { at, given := v.Warned[code]; return given && now.Sub(at) < w.length }
	if fresh(code) || code == w.near && fresh(w.reached) {
		return nil
	}
	if v.Warned == nil {
		v.Warned = map[string]time.Time{}
	}
	v.Warned[code] = now
	return []Warning{{code, n}}
}

// InEmergency reports whether the account has declared an emergency for the
// patient that is open at now.
func (r *Record) InEmergency(a id.Account, now time.Time) bool { return r.emergency(a, now) != nil }
