package imaging_test

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// meter reads from the pool's log what workers have cost: each is a process of its own, so that neither
// the load of the machine nor the test beside it counts.
type meter struct {
	mu   sync.Mutex
	seen cost
}

// cost is what the workers of one photo took: processor time of all together, and the most that one
// had resident. A worker that was ended told nothing of its memory, which its limit bounds.
type cost struct {
	cpu     time.Duration
	peak    int64
	workers int
}

func (m *meter) logger() *slog.Logger { return slog.New(m) }

func (m *meter) Enabled(context.Context, slog.Level) bool { return true }
func (m *meter) WithAttrs([]slog.Attr) slog.Handler       { return m }
func (m *meter) WithGroup(string) slog.Handler            { return m }

func (m *meter) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "imaging: media worker ended" {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen.workers++
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "cpu":
			m.seen.cpu += a.Value.Duration()
		case "resident":
			m.seen.peak = max(m.seen.peak, a.Value.Int64())
		}
		return true
	})
	return nil
}

// take returns what was spent since it was last asked.
func (m *meter) take() cost {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.seen
	m.seen = cost{}
	return c
}
