package main

import (
	"fmt"
	"io"
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
	mu          sync.Mutex
	fault       string
	rounds      int
	acknowledge int // uploads that were acknowledged whole
	deliveries  int // bodies of photos that arrived whole
	unavailable int // honest 503s
	broken      int // connections that broke before an answer
	slowest     time.Duration
	recovery    time.Duration // slowest: from healed until all that was acknowledged is ready
	felt        bool

	lost, half, unlogged, left, dishonest int
}

func (b *book) add(t *tallied) {
	b.mu.Lock()
	defer b.mu.Unlock()
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
	w := tabwriter.NewWriter(to, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "fault\trounds\tuploads\treads\t503\tbroken\tslowest answer\tslowest recovery\tlost\thalf-visible\tunlogged\tleftovers\tdishonest")
	for _, t := range b.rows {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%v\t%v\t%d\t%d\t%d\t%d\t%d\n", t.fault, t.rounds, t.acknowledge, t.deliveries, t.unavailable, t.broken,
			t.slowest.Round(10*time.Millisecond), t.recovery.Round(10*time.Millisecond), t.lost, t.half, t.unlogged, t.left, t.dishonest)
	}
	_ = w.Flush() // standard output
	for _, line := range b.more {
		fmt.Fprintln(to, line)
	}
}
