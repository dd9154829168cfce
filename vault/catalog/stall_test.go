package catalog_test

import (
	"context"
	"testing"
	"time"

	"photovault/vault/id"
	"photovault/vault/keys"
)

// A database that says nothing holds up whoever asks it, as long as they will
// wait, and nobody who only needs what is in memory.
func TestADatabaseThatStandsStillHoldsUpNobodyElse(t *testing.T) {
	s := newServer(t)
	proxy := s.behindProxy(t)
	db := s.open(t)
	_, err := db.PracticeKey(t.Context(), s.practice, keys.Audit) // is in memory from now on
	must(t, err)

	proxy.Stall(true)
	refresh, stop := context.WithCancel(t.Context())
	refreshed := make(chan error, 1)
	go func() { refreshed <- db.RefreshKeys(refresh) }()
	began := time.Now()
	for time.Since(began) < 500*time.Millisecond {
		asked := time.Now()
		if _, err := db.PracticeKey(t.Context(), s.practice, keys.Audit); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(asked); took > 10*time.Second {
			t.Fatalf("a key in memory took %v", took)
		}
		time.Sleep(10 * time.Millisecond) // the refresh is somewhere else each time
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	asked := time.Now()
	if _, err := db.PracticeKey(ctx, id.New[id.Practice](), keys.Audit); err == nil {
		t.Error("a practice that nobody has heard of has a key")
	}
	if took := time.Since(asked); took > 30*time.Second {
		t.Errorf("a caller who waits for 200 ms was held for %v", took)
	}
	select {
	case err := <-refreshed:
		t.Errorf("the refresh has ended: %v", err)
	default:
	}
	stop()
	proxy.Stall(false)
	<-refreshed
}
