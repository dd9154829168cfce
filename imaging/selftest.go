package imaging

import (
	"context"
	"fmt"

	"photovault/imaging/internal/wire"
)

// selfTest has one worker greet and try what its fences forbid.
func (p *Pool) selfTest() error {
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.WallClock)
	defer cancel()
	w, err := p.take(ctx, p.cfg.UsualBytes, false)
	if err != nil {
		return err
	}
	a, err := w.ask(ctx, wire.Request{Mode: wire.Probe}, 0)
	if err != nil {
		return fmt.Errorf("%w: self-test: %w", ErrMachine, err)
	}
	held := w.fences | a.Held
	// A limit that was set but did not hold when tried does not count.
	if a.Held&wire.MemoryLimit == 0 {
		held &^= wire.MemoryLimit
	}
	p.fences = newFences(held)
	return nil
}
