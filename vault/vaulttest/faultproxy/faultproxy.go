// Package faultproxy stands between a client and a real server and breaks
// the connection in the ways networks do: resets, silence, delay, refusal.
package faultproxy

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy forwards TCP connections to one server and injects faults. Its
// methods may be called at any time; they act on connections that are open
// and on those to come.
type Proxy struct {
	Addr string // host:port on loopback

	target   string
	listener net.Listener
	mu       sync.Mutex
	conns    map[*net.TCPConn]struct{}
	refuse   bool
	delay    time.Duration
	limits   func() int64  // of a new connection: bytes from the client until a reset; -1: none
	flow     chan struct{} // closed while bytes flow
	until    int64         // bytes that clients still send before they flow no more; -1: no end
	stalled  chan struct{} // closed at that end
}

// New begins to forward to target, host:port. It ends with the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, listener: l, conns: map[*net.TCPConn]struct{}{}, limits: func() int64 { return -1 }, flow: make(chan struct{}), until: -1}
	close(p.flow)
	var done sync.WaitGroup
	done.Go(func() { p.accept(&done) })
	t.Cleanup(func() {
		_ = l.Close()
		p.Stall(false)
		p.Cut()
		done.Wait()
	})
	return p
}

// Cut resets every open connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		reset(c)
	}
}

// CutAfter resets each connection when its client has sent n bytes, counted
// from its first; -1 ends that. It holds for connections made from now on.
func (p *Proxy) CutAfter(n int64) { p.CutEach(func() int64 { return n }) }

// CutEach does as CutAfter, after as many bytes as limit says of each
// connection; it is asked for one at a time.
func (p *Proxy) CutEach(limit func() int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limits = limit
}

// Refuse resets new connections at once.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Delay waits before each piece is forwarded, in both directions.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Stall keeps connections open and forwards nothing until it is ended.
func (p *Proxy) Stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.flow:
		if on {
			p.flow = make(chan struct{})
		}
	default:
		if !on {
			close(p.flow)
		}
	}
}

// StallAfter stalls when clients have sent n more bytes, over all connections
// together. The channel that it returns is closed then.
func (p *Proxy) StallAfter(n int64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until, p.stalled = n, make(chan struct{})
	return p.stalled
}

// sent counts what a client sent, and stalls if that is enough.
func (p *Proxy) sent(n int) {
	if p.until < 0 {
		return
	}
	if p.until -= int64(n); p.until >= 0 {
		return
	}
	select {
	case <-p.flow:
		p.flow = make(chan struct{})
	default: // stalled already
	}
	close(p.stalled)
}

func (p *Proxy) accept(done *sync.WaitGroup) {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		done.Go(func() { p.serve(c.(*net.TCPConn)) })
	}
}

func (p *Proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	refuse, limit := p.refuse, p.limits()
	p.mu.Unlock()
	if refuse {
		reset(client)
		return
	}
	c, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		reset(client)
		return
	}
	server := c.(*net.TCPConn)
	p.mu.Lock()
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() {
		if p.forward(server, client, limit, p.sent) {
			reset(client)
			reset(server)
		}
	})
	both.Go(func() { p.forward(client, server, -1, func(int) {}) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
	_, _ = client.Close(), server.Close()
}

// forward copies until one end is gone, and tells whether limit was reached.
// count is called with the lock held.
func (p *Proxy) forward(to, from *net.TCPConn, limit int64, count func(int)) bool {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		count(n)
		flow, delay := p.flow, p.delay
		p.mu.Unlock()
		<-flow
		time.Sleep(delay)
		if limit >= 0 && int64(n) >= limit {
			_, _ = to.Write(buffer[:limit])
			return true
		}
		if limit >= 0 {
			limit -= int64(n)
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				reset(from)
				return false
			}
		}
		switch err {
		case nil:
		case io.EOF:
			_ = to.CloseWrite()
			return false
		default:
			reset(to)
			return false
		}
	}
}

// reset closes with RST: what is on the way is lost, as on a network that dies.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}
