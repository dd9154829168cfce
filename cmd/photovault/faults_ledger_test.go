package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// ledger is what the soak tests found, printed at the end as one table.
var ledger book

type book struct {
	mu   sync.Mutex
	rows []*tallied
	more []string
}

// tallied is what the rounds of one fault came to.
type tallied struct {
	mu           sync.Mutex
	fault        string
	rounds       int
	acknowledged int // uploads that were acknowledged whole
	deliveries   int // bodies of photos that arrived whole
	unavailable  int // honest 503s
	broken       int // connections that broke before an answer
	slowest      time.Duration
	recovery     time.Duration // slowest: from healed until all that was acknowledged is ready
	felt         bool

	lost, half, unlogged, left, dishonest int
}

// add adds what was found to that of the same fault elsewhere.
func (b *book) add(t *tallied) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rows {
		if r.fault == t.fault {
			r.rounds, r.acknowledged, r.deliveries = r.rounds+t.rounds, r.acknowledged+t.acknowledged, r.deliveries+t.deliveries
			r.unavailable, r.broken = r.unavailable+t.unavailable, r.broken+t.broken
			r.slowest, r.recovery = max(r.slowest, t.slowest), max(r.recovery, t.recovery)
			r.lost, r.half, r.unlogged = r.lost+t.lost, r.half+t.half, r.unlogged+t.unlogged
			r.left, r.dishonest = r.left+t.left, r.dishonest+t.dishonest
			return
		}
	}
	b.rows = append(b.rows, t)
}

// note adds a line below the table.
func (b *book) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.more = append(b.more, fmt.Sprintf(format, args...))
}

func (b *book) print(to io.Writer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rows)+len(b.more) == 0 {
		return
	}
	slices.SortStableFunc(b.rows, func(x, y *tallied) int { return strings.Compare(x.fault, y.fault) })
	w := tabwriter.NewWriter(to, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "fault\trounds\tuploads\treads\t503\tbroken\tslowest answer\tslowest recovery\tlost\thalf-visible\tunlogged\tleftovers\tdishonest")
	for _, t := range b.rows {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%v\t%v\t%d\t%d\t%d\t%d\t%d\n", t.fault, t.rounds, t.acknowledged, t.deliveries, t.unavailable, t.broken,
			t.slowest.Round(10*time.Millisecond), t.recovery.Round(10*time.Millisecond), t.lost, t.half, t.unlogged, t.left, t.dishonest)
	}
	_ = w.Flush() // standard output
	for _, line := range b.more {
		fmt.Fprintln(to, line)
	}
}
