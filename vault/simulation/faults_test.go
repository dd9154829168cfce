package simulation_test

import (
	"errors"
	"fmt"
	"time"

	"photovault/vault"
)

// fault is what may become of a call.
type fault int

const (
	none       fault = iota
	gone             // its replica is dead: nothing happens
	failed           // nothing happened, and the caller is told so
	unknown          // it happened, and the caller is told that it failed
	late             // the caller is told that it failed; it happens later
	delayed          // it begins later
	answered         // it happens now, and its answer comes later
	frozen           // the whole replica stands still for a while
	crashed          // the replica dies before it happens
	crashAfter       // the replica dies when it has happened
	flipped          // a bit of the answer is another
	cut              // the answer is shorter than what is stored
	swapped          // the answer is another object's
	older            // the answer is an earlier object of the same photo
	missing          // the object is said not to be there
	broken           // the media worker cannot be started
)

var allFaults = []fault{failed, unknown, late, delayed, answered, frozen, crashed, crashAfter, flipped, cut, swapped, older, missing, broken}

func (f fault) String() string {
	return []string{"done", "gone", "failed before", "failed after", "done late", "delayed", "answered late", "frozen", "crash before",
		"crash after", "bit flipped", "cut short", "swapped", "rolled back", "missing", "no media worker"}[f]
}

// What may become of each kind of call.
var (
	onRead   = []fault{failed, failed, delayed, answered, frozen, crashed, crashAfter}
	onWrite  = []fault{failed, unknown, unknown, delayed, answered, answered, frozen, crashed, crashAfter}
	onCommit = append([]fault{late, late}, onWrite...) // its arguments outlive the caller
	onGet    = append([]fault{flipped, cut, swapped, older, missing}, onRead...)
	onMedia  = []fault{broken, delayed, answered, crashed, crashAfter}
)

// delay is how long something takes that takes long: mostly shortly, now and
// then longer than any patience.
func delay(pick uint64) time.Duration {
	span := []time.Duration{time.Second, time.Second, 4 * time.Second, 12 * time.Second, 45 * time.Second}[pick%5]
	return (time.Duration(pick>>8) % span).Truncate(quantum) + quantum
}

var (
	// errInjected is what a caller is told of a call that failed.
	errInjected = errors.New("simulation: no answer")
	// errGone is what a dead replica is told, and what those who talk to it see.
	errGone = fmt.Errorf("%w: simulation: the replica is dead", vault.ErrUnavailable)
)
