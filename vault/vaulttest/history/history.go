// Package history races fetches of retrieval tokens against the revocation of
// what they stand on, keeps what each client saw and when, and checks that as a
// history: there must be one order of all of it, in which every fetch that was
// answered before another began comes before it, no token gives more than its
// uses, and nothing is released once the revocation has its place. That is
// linearizability (Herlihy and Wing, 1990), checked by porcupine.
package history

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
)

// Outcome is what a fetch came to.
type Outcome int

// Outcomes of a fetch.
const (
	Refused  Outcome = iota // as if there were no such token
	Released                // all of the photo
	Broken                  // it broke off: the use may count or not
	Busy                    // turned away before anything was decided; to be tried again
)

// Round is one race. Its fetchers are spread evenly over the tokens. The
// revocation is asked for when some of the uses are taken: how many, at most
// half of them, chance picks, so that it is a race on a fast machine and on a
// slow one. One use of the last token is left for it to end.
type Round struct {
	Uses     []int // of each token
	Fetchers int
	// Fetch redeems a token and returns how many bytes of a photo came.
	Fetch func(fetcher, token int) (Outcome, int64, error)
	// Revoke returns nil when the revocation was acknowledged. After an error
	// it may have happened or not, and is asked for again.
	Revoke func() error
}

// Seen is what happened in one or several rounds.
type Seen struct {
	Rounds, Requests, Released, Refused, Broken, Busy int

	Late      int   // requests that began after the revocation was acknowledged
	LateBytes int64 // that came to those: none must
	Twice     int   // tokens of one use that were released more than once: none must be
	Raced     int   // rounds in which the revocation met tokens with uses left
}

// Add sums up.
func (s *Seen) Add(o Seen) {
	s.Rounds, s.Requests, s.Released, s.Refused, s.Broken, s.Busy = s.Rounds+o.Rounds, s.Requests+o.Requests, s.Released+o.Released,
		s.Refused+o.Refused, s.Broken+o.Broken, s.Busy+o.Busy
	s.Late, s.LateBytes, s.Twice, s.Raced = s.Late+o.Late, s.LateBytes+o.LateBytes, s.Twice+o.Twice, s.Raced+o.Raced
}

func (s Seen) String() string {
	return fmt.Sprintf("%d rounds (in %d the revocation met tokens with uses left), %d requests: %d released, %d refused, %d broke off, %d turned away; "+
		"%d began after the acknowledgement and got %d bytes; tokens of one use released twice: %d",
		s.Rounds, s.Raced, s.Requests, s.Released, s.Refused, s.Broken, s.Busy, s.Late, s.LateBytes, s.Twice)
}

// call is one operation: a fetch, or the revocation.
type call struct {
	revoke  bool
	token   int
	client  int
	outcome Outcome
	bytes   int64
	from,
	to time.Duration // since the round began
}

// patience is how long a round may wait for its releases, and the check of one
// token's history may take.
const patience = time.Minute

// Run races once. The error says what cannot be put into an order, or what
// could not be asked.
func (r *Round) Run() (Seen, error) {
	var (
		began        = time.Now()
		acknowledged = make(chan struct{})
		mu           sync.Mutex
		all          []call
		errs         error
		begun, done  sync.WaitGroup
		released     atomic.Int64
		sated        atomic.Int64 // fetchers that have nothing to ask for before the acknowledgement
		left         atomic.Int64 // uses of the last token to ask for before the acknowledgement
		due, asked   = make(chan struct{}), make(chan struct{})
	)
	total := 0
	for _, n := range r.Uses {
		total += n
	}
	last := len(r.Uses) - 1
	left.Store(int64(r.Uses[last]) - 1)
	enough, revokeNow := rand.Int64N(max(1, int64(total)/2)), sync.OnceFunc(func() { close(due) })
	note := func(c call, err error) {
		mu.Lock()
		defer mu.Unlock()
		all, errs = append(all, c), errors.Join(errs, err)
	}
	fetch := func(f int) call {
		c := call{token: f % len(r.Uses), client: f, from: time.Since(began)}
		var err error
		c.outcome, c.bytes, err = r.Fetch(f, c.token)
		c.to = time.Since(began)
		note(c, err)
		if c.outcome == Released && released.Add(1) >= enough {
			revokeNow()
		}
		return c
	}
	rest := func() {
		if sated.Add(1) == int64(r.Fetchers) {
			revokeNow()
		}
		<-acknowledged
	}
	begun.Add(r.Fetchers)
	for f := range r.Fetchers {
		done.Go(func() {
			for begun.Done(); ; {
				select {
				case <-acknowledged:
					for attempt := 1; fetch(f).outcome == Busy && attempt < 20; attempt++ {
						time.Sleep(time.Duration(attempt) * 5 * time.Millisecond)
					}
					return
				default:
				}
				if released.Load() >= enough {
					<-asked // or a fast machine would be through before the revocation sets out
				}
				if f%len(r.Uses) == last && left.Add(-1) < 0 {
					rest()
					continue
				}
				switch c := fetch(f); {
				case c.outcome == Busy:
					if c.token == last {
						left.Add(1)
					}
					time.Sleep(5 * time.Millisecond)
				case c.outcome == Refused || r.Uses[c.token] == 1: // nothing more to be had
					rest()
				}
			}
		})
	}
	begun.Wait()
	if enough > 0 {
		select {
		case <-due:
		case <-time.After(patience): // some fetch hangs
		}
	}
	close(asked)
	end := call{revoke: true, client: r.Fetchers, from: time.Since(began)}
	err := r.Revoke()
	for attempt := 1; err != nil && attempt < 20; attempt++ {
		time.Sleep(time.Duration(attempt) * 20 * time.Millisecond)
		err = r.Revoke()
	}
	end.to = time.Since(began)
	note(end, nil)
	close(acknowledged)
	done.Wait()
	if err != nil { // nothing can be said
		return Seen{}, fmt.Errorf("the revocation was never acknowledged: %w", err)
	}
	seen := r.count(all, end)
	return seen, errors.Join(errs, r.check(all, seen))
}

func (r *Round) count(all []call, end call) Seen {
	s := Seen{Rounds: 1}
	released := make([]int, len(r.Uses))
	for _, c := range all {
		if c.revoke {
			continue
		}
		s.Requests++
		switch c.outcome {
		case Released:
			s.Released++
			released[c.token]++
		case Refused:
			s.Refused++
		case Broken:
			s.Broken++
		case Busy:
			s.Busy++
		}
		if c.from > end.to {
			s.Late++
			s.LateBytes += c.bytes
		}
	}
	for token, n := range released {
		if r.Uses[token] == 1 && n > 1 {
			s.Twice++
		}
		if r.Uses[token] > n {
			s.Raced = 1
		}
	}
	return s
}

func (r *Round) check(all []call, s Seen) error {
	var errs error
	if s.LateBytes > 0 {
		errs = fmt.Errorf("%d bytes came to requests that began after the acknowledgement", s.LateBytes)
	}
	for token, uses := range r.Uses {
		history := []porcupine.Operation{}
		model := state{uses: uses}
		for _, c := range all {
			if !c.revoke && c.token != token || c.outcome == Busy && !c.revoke {
				continue
			}
			model.loose = model.loose || c.outcome == Broken
			history = append(history, porcupine.Operation{ClientId: c.client, Input: c, Output: c.outcome, Call: int64(c.from), Return: int64(c.to)})
		}
		if got := porcupine.CheckOperationsTimeout(model.of(), history, patience); got != porcupine.Ok {
			errs = errors.Join(errs, fmt.Errorf("token %d of %d uses: the history is %s: %+v", token, uses, got, history))
		}
	}
	return errs
}

// state of one token.
type state struct {
	uses, taken int
	revoked     bool
	// loose: a delivery broke off. It held its use for a while, in which others
	// were refused, and may have given it back.
	loose bool
}

// of is the sequential specification.
func (s state) of() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{s} },
		Step: func(now, input, output any) []any {
			s, c := now.(state), input.(call)
			used := s
			used.taken++
			left := !s.revoked && s.taken < s.uses
			switch {
			case c.revoke:
				s.revoked = true
				return []any{s}
			case output == Released && left:
				return []any{used}
			case output == Refused && (!left || s.loose):
				return []any{s}
			case output == Broken && left:
				return []any{s, used}
			case output == Broken:
				return []any{s}
			}
			return nil
		},
	}
	return m.ToModel()
}
