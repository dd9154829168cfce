package vault

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Dependency is a store that the service needs, by the name it has in
// readiness: catalog, keys or objects.
type Dependency struct {
	Name string
	Err  error // nil: it answers
}

// NotReadyError says which stores do not answer. It is ErrUnavailable.
type NotReadyError struct{ Dependencies []Dependency }

func (e *NotReadyError) Error() string {
	var down []string
	for _, d := range e.Dependencies {
		if d.Err != nil {
			down = append(down, fmt.Sprintf("%s: %v", d.Name, d.Err))
		}
	}
	return ErrUnavailable.Error() + ": " + strings.Join(down, "; ")
}

func (e *NotReadyError) Unwrap() error { return ErrUnavailable }

// readyWithin is how long a store may take to say that it is there.
const readyWithin = 3 * time.Second

// Ready asks every store at the same time. Errors: NotReadyError.
func (s *Service) Ready(ctx context.Context) ([]Dependency, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	asked := []struct {
		name  string
		ready func(context.Context) error
	}{{"catalog", s.Catalogs.Ready}, {"keys", s.Keys.Ready}, {"objects", s.Blobs.Ready}}
	out := make([]Dependency, len(asked))
	var wg sync.WaitGroup
	for i, d := range asked {
		wg.Go(func() { out[i] = Dependency{d.name, d.ready(ctx)} })
	}
	wg.Wait()
	if out[0].Err == nil {
		out[0].Err = s.allStalled(ctx)
	}
	for _, d := range out {
		if d.Err != nil {
			return out, &NotReadyError{out}
		}
	}
	return out, nil
}
