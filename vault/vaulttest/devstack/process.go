package devstack

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// process is a server that a test has started.
type process struct {
	*exec.Cmd
	output bytes.Buffer  // what it says of itself; to be read when it has ended
	ended  chan struct{} // closed when it has
	err    error         // of Wait, then
}

// launch starts it.
func launch(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = &p.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p
}

// await waits until it answers, for two minutes at most. taken: it has ended
// because its port is somebody else's.
func (p *process) await(ctx context.Context, answers func(context.Context) error) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		if err = answers(ctx); err == nil {
			return false, nil
		}
		select {
		case <-p.ended:
			said := p.output.String()
			return strings.Contains(strings.ToLower(said), "address already in use"), fmt.Errorf("%w: it has ended: %w\n%s", err, p.err, said)
		case <-ctx.Done():
			return false, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// tries bounds the starts of a server that finds its port taken: a port that
// was free may be so no longer, of a server that has not run yet and of one
// that is down for a moment.
const tries = 60

// again is waited between them where the port must stay the same.
const again = 500 * time.Millisecond

// freePort is one that nobody listens on now.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
