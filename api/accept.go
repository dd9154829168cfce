package api

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// persistent goes on accepting where the process, or the machine, has run out of
// what a connection takes. fasthttp would end the server: whoever holds enough
// connections open would end it for everybody.
type persistent struct{ net.Listener }

// acceptAgain is how long after that it tries again.
const acceptAgain = 50 * time.Millisecond

func (p persistent) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		switch {
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM),
			errors.Is(err, syscall.ECONNABORTED): // accept(2)
			time.Sleep(acceptAgain) // a listener that is closed says so when it is asked
		default:
			return c, err
		}
	}
}
