package transit_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"photovault/vault/keys"
	"photovault/vault/keys/transit"
	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest"
	"photovault/vault/vaulttest/devstack"
)

// TestMain lets more tests run at a time than there are cores: those that are
// parallel wait most of the time, for tokens to end and servers to come back.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func open(t testing.TB, o transit.Options) *transit.Service {
	t.Helper()
	s, err := transit.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// patient is o with limits that only end a hang.
func patient(o transit.Options) transit.Options {
	o.Timeout, o.Budget = never, 2*never
	return o
}

// never is how long nothing takes that is served at all.
const never = 30 * time.Second

// openInTime opens a service whose limits are to be run into, or whose token
// hardly lasts: a slow machine may need more than one try, and then has more
// time. before is called before each.
func openInTime(t *testing.T, o transit.Options, before func()) *transit.Service {
	t.Helper()
	for began := time.Now(); ; o.Timeout, o.Budget = min(2*o.Timeout, never), min(2*o.Budget, 2*never) {
		before()
		s, err := transit.Open(t.Context(), o)
		if err == nil {
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
		if !errors.Is(err, keys.ErrUnavailable) || time.Since(began) > 4*never {
			t.Fatal(err)
		}
	}
}

// failsToOpen returns why a service does not open whose every login fails in
// the same way. It does not wait for the budget: of what passes by itself the
// first report is of a login, and by the second its failure is known.
func failsToOpen(t *testing.T, o transit.Options) error {
	t.Helper()
	ctx, enough := context.WithCancel(t.Context())
	defer enough()
	var reports atomic.Int64
	o = patient(o)
	o.Report = func(error) {
		if reports.Add(1) == 2 {
			enough()
		}
	}
	s, err := transit.Open(ctx, o)
	if err == nil {
		s.Close()
	}
	return err
}

// until waits for a condition.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 4*never {
			t.Fatal("not yet: " + what)
		}
	}
}

func openOperator(t testing.TB, o transit.Options) *transit.Operator {
	t.Helper()
	p, err := transit.OpenOperator(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestConformance(t *testing.T) {
	server := devstack.Need(t).Transit
	fresh := func(t *testing.T) keys.Service {
		service, _ := transittest.New(t, server)
		return open(t, service)
	}
	vaulttest.Keys(t, fresh)
}

func TestOperatorConformance(t *testing.T) {
	server := devstack.Need(t).Transit
	vaulttest.KeysOperator(t, func(t *testing.T) (keys.Service, keys.Operator) {
		service, operator := transittest.New(t, server)
		return open(t, service), openOperator(t, operator)
	})
}
