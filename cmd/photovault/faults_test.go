package main

import (
	"crypto/ed25519"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"photovault/api/client"
	"photovault/consent"
	"photovault/vault/id"
)

// fault is something that goes wrong while clients send and read, and is put
// right again.
type fault struct {
	name  string
	begin func(t *testing.T)
	heal  func(t *testing.T)
	lasts time.Duration // between the two
	kills bool          // connections to the service break
	long  bool          // takes so long that there are fewer rounds of it
	// rounds, if not 0, is how many there are.
	rounds int
	// felt says that it did something, where no client needs to notice.
	felt func() bool
}

// site is a service on its stores that faults are done to.
type site struct {
	practice id.Practice
	signing  ed25519.PublicKey
	clients  func(t testing.TB, role consent.Role) []*client.Client // one for each process that serves
	sweep    func(t *testing.T)                                     // once, as if nothing were in work
	left     func(t *testing.T) int                                 // objects and rows that belong to no photo
	check    func(t *testing.T)                                     // the log verifies and fsck finds nothing
	log      func() string

	sent atomic.Int64 // photos that were acknowledged
}

// soakRounds is what make soak asks for, or short.
func soakRounds(short int) int {
	if n, err := strconv.Atoi(os.Getenv("PHOTOVAULT_SOAK_ROUNDS")); err == nil {
		return n
	}
	return short
}

// endure does each fault to the site: a round of it in make test, a tenth of
// the rounds of make soak, each of them while photos are sent and read. After
// each round what was acknowledged is there. After all rounds of a fault, in
// make test after all faults, one sweep leaves nothing behind and fsck finds nothing.
func endure(t *testing.T, s *site, faults []fault) {
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			rounds := max(1, soakRounds(1)/10)
			if f.rounds > 0 {
				rounds = f.rounds
			} else if f.long {
				rounds = max(1, rounds/10)
			}
			sum := &tallied{fault: f.name}
			defer ledger.add(sum)
			var b *battle
			felt := func() bool { return sum.felt || f.felt != nil && f.felt() }
			// A fault that came and went between two requests comes again.
			for n := 0; (n < rounds || n < rounds+9 && !felt()) && !t.Failed(); n++ {
				if n%10 == 0 {
					b = newBattle(t, s, f, sum)
				}
				b.round()
			}
			if t.Failed() {
				t.Logf("the service said:\n%s", s.log())
				return
			}
			if !felt() {
				t.Error("nobody felt it: nothing was tested")
			}
			if soakRounds(0) == 0 && i < len(faults)-1 {
				return
			}
			s.sweep(t)
			waitFor(t, time.Minute, func() bool { return s.left(t) == 0 })
			if sum.left = s.left(t); sum.left != 0 {
				t.Errorf("one sweep leaves %d behind", sum.left)
			}
			s.check(t)
		})
	}
}
