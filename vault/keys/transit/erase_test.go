package transit_test

import (
	"errors"
	"net/http"
	"testing"

	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/keys/transit"
	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest/devstack"
)

func photoContext() keys.Context {
	return keys.Context{Purpose: keys.Photo, Practice: id.New[id.Practice](), Subject: string(id.New[id.Photo]())}
}

// A dump of the database from before an erasure holds old wrapped keys. Not
// even the server's root can make the engine open them again.
func TestErasedVersionsNeverOpenAgain(t *testing.T) {
	x := transittest.Make(t, devstack.Need(t).Transit, transittest.Settings{})
	s, o := open(t, x.Service), openOperator(t, x.Operator)
	c := photoContext()
	key, old, err := s.NewDataKey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Destroy()
	if _, err := o.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	moved, err := s.Rewrap(t.Context(), []keys.Wrapped{{Context: c, Key: old}})
	if err != nil || moved[0].Err != nil {
		t.Fatal(err, moved)
	}
	refused := func(when string) {
		t.Helper()
		if k, err := s.UnwrapDataKey(t.Context(), c, old); !errors.Is(err, keys.ErrRefused) || k != nil {
			t.Errorf("%s: %v, want ErrRefused", when, err)
		}
	}
	opened := func(when string, wrapped []byte) {
		t.Helper()
		k, err := s.UnwrapDataKey(t.Context(), c, wrapped)
		if err != nil || !k.Equal(key) {
			t.Errorf("%s: %v", when, err)
		}
	}
	config := x.Mount + "/keys/" + x.Key + "/config"
	lower := func(version int) int {
		t.Helper()
		status, _, err := x.Root.Do(t.Context(), http.MethodPost, config, map[string]any{"min_decryption_version": version})
		if err != nil {
			t.Fatal(err)
		}
		return status
	}

	// Raising the minimum alone destroys nothing.
	if status := lower(2); status >= 300 {
		t.Fatal(status)
	}
	refused("minimum raised")
	if status := lower(1); status >= 300 {
		t.Fatal(status)
	}
	opened("minimum lowered again: the version was only archived", old)

	if v, err := o.Erase(t.Context(), 2); err != nil || v != (keys.Versions{Oldest: 2, Newest: 2}) {
		t.Fatalf("%+v, %v", v, err)
	}
	refused("erased")
	for _, version := range []int{1, 0} {
		if status := lower(version); status != http.StatusBadRequest {
			t.Errorf("the minimum was lowered to %d: %d", version, status)
		}
	}
	for name, change := range map[string]map[string]any{
		"both minima": {"min_decryption_version": 1, "min_encryption_version": 1},
		"none":        {"min_decryption_version": 0, "min_encryption_version": 0},
	} {
		if status, _, err := x.Root.Do(t.Context(), http.MethodPost, config, change); err != nil || status != http.StatusBadRequest {
			t.Errorf("%s: %d, %v", name, status, err)
		}
	}
	for _, version := range []int{0, 1} {
		if status, _, err := x.Root.Do(t.Context(), http.MethodPost, x.Mount+"/keys/"+x.Key+"/trim",
			map[string]any{"min_available_version": version}); err != nil || status != http.StatusBadRequest {
			t.Errorf("the trim was taken back to %d: %d, %v", version, status, err)
		}
	}
	refused("erased, and root has tried")
	opened("rewrapped in time", moved[0].Key)
}

// A crash between the steps leaves a key that the service warns of and that
// the next Erase finishes.
func TestAnErasureCutOffIsFinished(t *testing.T) {
	stack := devstack.Need(t)
	for name, step := range map[string]string{"before the trim": "/trim", "before anything": "/config"} {
		t.Run(name, func(t *testing.T) {
			x := transittest.Make(t, stack.Transit, transittest.Settings{})
			s := open(t, x.Service)
			p := newProxy(t, stack, stack.Transit.Address)
			through := x.Operator
			through.Address = p.address
			o := openOperator(t, through)
			c := photoContext()
			key, old, err := s.NewDataKey(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			key.Destroy()
			if _, err := o.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.set(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/v1/"+x.Mount+"/keys/"+x.Key+step {
					panic(http.ErrAbortHandler)
				}
				return false
			})
			if _, err := o.Erase(t.Context(), 2); !errors.Is(err, keys.ErrUnavailable) {
				t.Fatalf("%v, want ErrUnavailable", err)
			}
			if step == "/trim" {
				if w := open(t, x.Service).Warnings(); len(w) != 1 {
					t.Errorf("warnings %q", w)
				}
			}
			p.set(nil)
			if v, err := o.Erase(t.Context(), 2); err != nil || v != (keys.Versions{Oldest: 2, Newest: 2}) {
				t.Fatalf("%+v, %v", v, err)
			}
			if _, err := s.UnwrapDataKey(t.Context(), c, old); !errors.Is(err, keys.ErrRefused) {
				t.Errorf("%v, want ErrRefused", err)
			}
			if w := open(t, x.Service).Warnings(); len(w) != 0 {
				t.Errorf("warnings %q", w)
			}
		})
	}
}

func TestAVersionThatThereIsNotIsNamed(t *testing.T) {
	_, operator := transittest.New(t, devstack.Need(t).Transit)
	if _, err := openOperator(t, operator).Erase(t.Context(), 2); !errors.Is(err, transit.ErrRange) {
		t.Errorf("%v, want ErrRange", err)
	}
}
