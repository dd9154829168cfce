package catalog

import (
	"maps"
	"sync"
	"time"
)

// memory is the newest version of rows that this process has seen. A database
// put back to yesterday behind its back shows by them.
type memory struct {
	mu    sync.Mutex
	marks map[markKey]mark
	sweep time.Time // when marks that end were last removed
}

type markKey struct{ table, practice, id string }

type mark struct {
	version int64
	until   time.Time // zero: as long as the process lives
}

// sighting is one row's version as read.
type sighting struct {
	markKey
	mark
}

func saw[P, I ~string](table string, practice P, id I, version int64) sighting {
	return sighting{markKey{table, string(practice), string(id)}, mark{version: version}}
}

func (m *memory) note(now time.Time, s ...sighting) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.marks == nil {
		m.marks = map[markKey]mark{}
	}
	if now.Sub(m.sweep) > time.Minute {
		m.sweep = now
		maps.DeleteFunc(m.marks, func(_ markKey, k mark) bool { return !k.until.IsZero() && k.until.Before(now) })
	}
	for _, s := range s {
		if s.version >= m.marks[s.markKey].version {
			m.marks[s.markKey] = s.mark
		}
	}
}

// older reports whether any of the rows is older than its mark.
func (m *memory) older(s []sighting) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range s {
		if s.version < m.marks[s.markKey].version {
			return true
		}
	}
	return false
}

// watched reads with f and refuses rows older than what was seen before f
// began. A row that merely changed while f ran is read again: on the second
// reading, only marks set before it count.
func watched[T any](d *DB, f func() (T, []sighting, error)) (T, error) {
	v, s, err := f()
	if err != nil {
		return v, err
	}
	if d.seen.older(s) {
		floor := d.seen.copyOf(s)
		if v, s, err = f(); err != nil {
			return v, err
		}
		for _, s := range s {
			if s.version < floor[s.markKey] {
				var none T
				return none, errRow(s.table)
			}
		}
	}
	d.seen.note(d.now(), s...)
	return v, nil
}

func (m *memory) copyOf(s []sighting) map[markKey]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[markKey]int64{}
	for _, s := range s {
		out[s.markKey] = m.marks[s.markKey].version
	}
	return out
}
