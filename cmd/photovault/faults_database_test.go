package main

import (
	"net"
	"strconv"
	"testing"
	"time"

	"photovault/vault/vaulttest/devstack"
	"photovault/vault/vaulttest/faultproxy"
)

// PostgreSQL stands still, crashes, is restarted, slow, or out of reach.
func TestSoakFaultsOfTheDatabase(t *testing.T) {
	t.Parallel()
	own := devstack.Need(t).OwnPostgres(t)
	on := sharedGround(t)
	on.place = own.Place(t)
	proxy := faultproxy.New(t, net.JoinHostPort(own.Host, strconv.Itoa(own.Port)))
	_, port, err := net.SplitHostPort(proxy.Addr)
	if err != nil {
		t.Fatal(err)
	}
	on.way = func(_ int, at *ways) { at.database, _ = strconv.Atoi(port) } // a listener's port is a number
	c := newClusterOn(t, 2, on)
	endure(t, c.site(), []fault{
		{name: "PostgreSQL is stopped (SIGSTOP), and goes on", lasts: 1500 * time.Millisecond,
			begin: func(t *testing.T) { own.Freeze(t) },
			heal:  func(t *testing.T) { own.Thaw(t) }},
		{name: "PostgreSQL is stopped for longer than clients wait", lasts: patience, long: true,
			begin: func(t *testing.T) { own.Freeze(t) },
			heal:  func(t *testing.T) { own.Thaw(t) }},
		{name: "PostgreSQL crashes, and recovers", lasts: 500 * time.Millisecond,
			begin: func(t *testing.T) { own.Kill(t) },
			heal:  func(t *testing.T) { own.Start(t) }},
		{name: "PostgreSQL is restarted", lasts: 500 * time.Millisecond,
			begin: func(t *testing.T) { own.Stop(t) },
			heal:  func(t *testing.T) { own.Start(t) }},
		{name: "PostgreSQL is cut off", lasts: 1500 * time.Millisecond,
			begin: func(*testing.T) { proxy.Refuse(true); proxy.Cut() },
			heal:  func(*testing.T) { proxy.Refuse(false) }},
		{name: "PostgreSQL's connections are reset", lasts: 10 * time.Millisecond,
			begin: func(*testing.T) {
				for range 10 {
					proxy.Cut()
					time.Sleep(50 * time.Millisecond) // the pace is the fault
				}
			},
			heal: func(*testing.T) {}},
		{name: "PostgreSQL is slow", lasts: 2 * time.Second,
			begin: func(*testing.T) { proxy.Delay(100 * time.Millisecond) },
			heal:  func(*testing.T) { proxy.Delay(0) }},
	})
}
