package api_test

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"photovault/api"
)

// exhausted is a listener of a process that has no more file descriptors for a while.
type exhausted struct {
	net.Listener
	left atomic.Int64
}

func (l *exhausted) Accept() (net.Conn, error) {
	if l.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// Whoever holds so many connections open that no more can be accepted does not
// end the service.
func TestAServerWithoutFileDescriptorsGoesOn(t *testing.T) {
	s := newStack(t)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	l := &exhausted{Listener: inner}
	l.left.Store(3)
	server := api.New(api.Config{Service: s.service, Auth: s.auth, TLS: s.ca.server})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l, time.Second) }()
	s.eventually("the server accepts", func() bool {
		select {
		case err := <-served:
			t.Fatalf("the server ended: %v", err)
		default:
		}
		return l.left.Load() < 0
	})
	stop()
	if err := <-served; err != nil {
		t.Errorf("asked to end: %v", err)
	}
}
