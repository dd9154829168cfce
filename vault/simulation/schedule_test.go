package simulation_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"testing/synctest"
	"time"
)

// quantum is the grain of virtual time. The scheduler acts at its multiples
// only; what wakes in between waits for the next, so that random waits of the
// service, all shorter, change nothing.
const quantum = 50 * time.Millisecond

// call is something that waits for its turn.
type call struct {
	actor   string // who does it
	what    string // and what
	replica *replica
	ctx     context.Context
	from    time.Time // not before; a context that ends makes it due
	faults  []fault   // what may become of it
	turn    chan verdict
}

// verdict is what the scheduler decided.
type verdict struct {
	fault fault
	pick  uint64 // for whoever carries the fault out: which byte, how long
}

// schedule lets one call at a time go on.
type schedule struct {
	mu     sync.Mutex
	parked []*call
	over   bool // everything ends: nobody waits any more
	frozen map[*replica]time.Time

	seed    uint64
	rng     *rand.Rand
	begin   time.Time
	steps   int
	idle    float64 // how often time passes although somebody could go on
	enabled []fault
	rate    float64 // of faults
	injured map[fault]int

	trace hash.Hash
	tail  []string
}

func newSchedule(seed uint64) *schedule {
	s := &schedule{seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), begin: time.Now(), injured: map[fault]int{}, frozen: map[*replica]time.Time{}, trace: sha256.New()}
	s.idle = []float64{0.02, 0.1, 0.3}[s.rng.IntN(3)]
	s.rate = []float64{0, 0.01, 0.03, 0.08}[s.rng.IntN(4)]
	for _, f := range allFaults { // each seed has its own mixture
		if s.rng.IntN(3) > 0 {
			s.enabled = append(s.enabled, f)
		}
	}
	return s
}

// park waits for the turn of c.
func (s *schedule) park(c *call) verdict {
	c.turn = make(chan verdict, 1)
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return verdict{fault: gone}
	}
	s.parked = append(s.parked, c)
	s.mu.Unlock()
	return <-c.turn
}

// hasten makes a parked call due.
func (s *schedule) hasten(match func(*call) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.parked {
		if match(c) {
			c.from = time.Time{}
		}
	}
}

// next lets one call go on, or time pass. It returns the call, if there was one.
func (s *schedule) next() *call {
	synctest.Wait()
	c, v := s.choose()
	if c == nil {
		time.Sleep(quantum * time.Duration(1+v.pick))
		return nil
	}
	c.turn <- v
	synctest.Wait()
	return c
}

func (s *schedule) choose() (*call, verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var due []*call
	for _, c := range s.parked {
		if s.due(c, now) {
			due = append(due, c)
		}
	}
	if len(due) == 0 {
		return nil, verdict{}
	}
	slices.SortStableFunc(due, func(a, b *call) int { return cmp.Or(cmp.Compare(a.actor, b.actor), cmp.Compare(a.what, b.what)) })
	if i := slices.IndexFunc(due, func(c *call) bool { return c.replica != nil && c.replica.dead.Load() }); i >= 0 {
		return s.take(due[i]), verdict{fault: gone} // the dead first: they do nothing
	}
	if s.rng.Float64() < s.idle {
		return nil, verdict{pick: s.rng.Uint64N(4)}
	}
	c := s.weigh(due)
	s.steps++
	v := verdict{pick: s.rng.Uint64()}
	if s.rng.Float64() < s.rate {
		v.fault = s.fault(c)
	}
	switch v.fault {
	case delayed:
		c.from = now.Add(delay(v.pick))
		s.logf(c.actor, "%s: %v for %v", c.what, v.fault, delay(v.pick))
		return nil, verdict{}
	case frozen:
		s.frozen[c.replica] = now.Add(5 * delay(v.pick))
		s.logf(c.replica.name, "%v for %v", v.fault, 5*delay(v.pick))
		return nil, verdict{}
	}
	if v.fault == none {
		s.logf(c.actor, "%s", c.what)
	} else {
		s.logf(c.actor, "%s: %v", c.what, v.fault)
	}
	return s.take(c), v
}

func (s *schedule) due(c *call, now time.Time) bool {
	if c.replica != nil {
		if c.replica.dead.Load() {
			return true
		}
		if until, ok := s.frozen[c.replica]; ok && now.Before(until) {
			return false
		}
	}
	return !now.Before(c.from) || c.ctx != nil && c.ctx.Err() != nil
}

// weigh chooses among calls: some actors are slower than others, by the seed.
func (s *schedule) weigh(due []*call) *call {
	weights, sum := make([]float64, len(due)), 0.0
	for i, c := range due {
		h := fnv.New64a()
		fmt.Fprint(h, s.seed, c.actor)
		weights[i] = []float64{0.2, 1, 1, 3}[h.Sum64()>>13%4]
		sum += weights[i]
	}
	at := s.rng.Float64() * sum
	for i, w := range weights {
		if at -= w; at < 0 {
			return due[i]
		}
	}
	return due[len(due)-1]
}

func (s *schedule) fault(c *call) fault {
	var may []fault
	for _, f := range c.faults {
		if slices.Contains(s.enabled, f) {
			may = append(may, f)
		}
	}
	if len(may) == 0 {
		return none
	}
	f := may[s.rng.IntN(len(may))]
	s.injured[f]++
	return f
}

func (s *schedule) take(c *call) *call {
	s.parked = slices.DeleteFunc(s.parked, func(p *call) bool { return p == c })
	return c
}

// heal ends all faults.
func (s *schedule) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rate, s.idle = 0, 0.02
	clear(s.frozen)
	for _, c := range s.parked {
		if len(c.faults) > 0 {
			c.from = time.Time{}
		}
	}
}

// end lets everybody go who waits, with nothing done.
func (s *schedule) end() {
	s.mu.Lock()
	s.over = true
	left := s.parked
	s.parked = nil
	s.mu.Unlock()
	for _, c := range left {
		c.turn <- verdict{fault: gone}
		synctest.Wait()
	}
}

// note writes a line of the trace.
func (s *schedule) note(who, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logf(who, format, args...)
}

// logf is called with the lock held. What it is given names nothing random.
func (s *schedule) logf(who, format string, args ...any) {
	line := fmt.Sprintf("%9.2fs %5d  %-14s %s", time.Since(s.begin).Seconds(), s.steps, who, fmt.Sprintf(format, args...))
	fmt.Fprintln(s.trace, line)
	s.tail = append(s.tail, line)
}

func (s *schedule) sum() string { return hex.EncodeToString(s.trace.Sum(nil)[:8]) }

func (s *schedule) step() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.steps
}
