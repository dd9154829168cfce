package vaulttest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"photovault/vault/keys"
)

// KeysOperator is the conformance suite of keys.Operator, beside a
// keys.Service of the same key-encryption key. open returns both with a key of
// their own, of one version; what it opens is closed by t.Cleanup.
func KeysOperator(t *testing.T, open func(t *testing.T) (keys.Service, keys.Operator)) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, keys.Service, keys.Operator)
	}{
		{"a new version wraps, older ones still open", testRotate},
		{"rewrapping moves to the newest version", testRewrapMoves},
		{"what was not rewrapped is refused after its version is erased, and nothing else", testErase},
		{"erasing may be done again, and below what is there", testEraseAgain},
		{"the newest version is never erased", testEraseNewest},
		{"a cancelled context changes nothing", testOperatorCancelled},
		{"keys open all the while a version is made, rewrapped to and erased", testRotateWhileServing},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // where the service follows a file, most of the time is waiting
			s, o := open(t)
			test.run(t, s, o)
		})
	}
}

func rotate(t *testing.T, s keys.Service, o keys.Operator) keys.Versions {
	t.Helper()
	v, err := o.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settle(t, s, o, v)
	return v
}

func erase(t *testing.T, s keys.Service, o keys.Operator, below uint32) keys.Versions {
	t.Helper()
	v, err := o.Erase(t.Context(), below)
	if err != nil {
		t.Fatal(err)
	}
	settle(t, s, o, v)
	return v
}

// settle waits until the service sees what the operator has done: at once, or
// within seconds where it follows a file.
func settle(t *testing.T, s keys.Service, o keys.Operator, want keys.Versions) {
	t.Helper()
	if got, err := o.Versions(t.Context()); err != nil || got != want {
		t.Fatalf("the operator reads %+v, %v, after %+v", got, err, want)
	}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		got, err := s.Versions(t.Context())
		if err == nil && got == want {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the service sees %+v, %v, not %+v", got, err, want)
		}
	}
}

func testRotate(t *testing.T, s keys.Service, o keys.Operator) {
	before, err := o.Versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if before.Oldest != before.Newest {
		t.Fatalf("versions %+v of a new key", before)
	}
	all, items := wrapMany(t, s, 3)
	for n := before.Newest + 1; n < before.Newest+4; n++ {
		if v := rotate(t, s, o); v != (keys.Versions{Oldest: before.Oldest, Newest: n}) {
			t.Fatalf("versions %+v, want up to %d", v, n)
		}
		more, wrapped := wrapMany(t, s, 1)
		if v, err := s.Version(wrapped[0].Key); err != nil || v != n {
			t.Errorf("wrapped under version %d, %v, want %d", v, err, n)
		}
		all, items = append(all, more...), append(items, wrapped...)
		for i := range all {
			opens(t, "after a rotation", s, all[i], items[i].Key)
		}
	}
}

func testRewrapMoves(t *testing.T, s keys.Service, o keys.Operator) {
	all, items := wrapMany(t, s, 3)
	rotate(t, s, o)
	more, later := wrapMany(t, s, 2)
	all, items = append(all, more...), append(items, later...)
	v := rotate(t, s, o)
	for i, r := range rewrap(t, s, items) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if got, err := s.Version(r.Key); err != nil || got != v.Newest {
			t.Errorf("%d: version %d, %v, want %d", i, got, err, v.Newest)
		}
		opens(t, "rewrapped", s, all[i], r.Key)
		opens(t, "as it was", s, all[i], items[i].Key)
	}
}

func testErase(t *testing.T, s keys.Service, o keys.Operator) {
	first, _ := wrapMany(t, s, 2)
	rotate(t, s, o)
	second, _ := wrapMany(t, s, 2)
	v := rotate(t, s, o)
	third, _ := wrapMany(t, s, 1)
	moved := rewrap(t, s, []keys.Wrapped{first[0].Wrapped})

	if got := erase(t, s, o, v.Newest-1); got != (keys.Versions{Oldest: v.Newest - 1, Newest: v.Newest}) {
		t.Fatalf("versions %+v", got)
	}
	for _, w := range first {
		refuse(t, "of the erased version", s, w.Context, w.Key, w.clear)
	}
	for _, w := range second {
		opens(t, "of the version after it", s, w, w.Key)
	}
	for i, r := range rewrap(t, s, []keys.Wrapped{first[1].Wrapped, second[0].Wrapped}) {
		if (i == 0) != errors.Is(r.Err, keys.ErrRefused) {
			t.Errorf("rewrap %d: %v", i, r.Err)
		}
	}
	if got := erase(t, s, o, v.Newest); got != (keys.Versions{Oldest: v.Newest, Newest: v.Newest}) {
		t.Fatalf("versions %+v", got)
	}
	for _, w := range append(first, second...) {
		refuse(t, "of an erased version", s, w.Context, w.Key, w.clear)
	}
	opens(t, "rewrapped in time", s, first[0], moved[0].Key)
	opens(t, "of the newest version", s, third[0], third[0].Key)
}

func testEraseAgain(t *testing.T, s keys.Service, o keys.Operator) {
	start, err := o.Versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, below := range []uint32{0, start.Oldest} {
		if v := erase(t, s, o, below); v != start {
			t.Errorf("below %d: versions %+v, want %+v", below, v, start)
		}
	}
	rotate(t, s, o)
	v := rotate(t, s, o)
	all, _ := wrapMany(t, s, 1)
	want := keys.Versions{Oldest: v.Newest, Newest: v.Newest}
	for _, below := range []uint32{v.Newest, v.Newest, v.Newest - 1, 0} {
		if got := erase(t, s, o, below); got != want {
			t.Errorf("below %d: versions %+v, want %+v", below, got, want)
		}
	}
	opens(t, "of the newest version", s, all[0], all[0].Key)
	if got := rotate(t, s, o); got != (keys.Versions{Oldest: v.Newest, Newest: v.Newest + 1}) {
		t.Errorf("a version after an erased one: %+v", got)
	}
}

func testEraseNewest(t *testing.T, s keys.Service, o keys.Operator) {
	all, _ := wrapMany(t, s, 1)
	v := rotate(t, s, o)
	for _, below := range []uint32{v.Newest + 1, v.Newest + 100, 1<<32 - 1} {
		got, err := o.Erase(t.Context(), below)
		if err == nil || errors.Is(err, keys.ErrUnavailable) || got != (keys.Versions{}) {
			t.Errorf("below %d: versions %+v, %v, want an error that stays", below, got, err)
		}
	}
	settle(t, s, o, v)
	opens(t, "after a refused erasure", s, all[0], all[0].Key)
}

func testOperatorCancelled(t *testing.T, s keys.Service, o keys.Operator) {
	v := rotate(t, s, o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() (keys.Versions, error){
		"Versions": func() (keys.Versions, error) { return o.Versions(ctx) },
		"Rotate":   func() (keys.Versions, error) { return o.Rotate(ctx) },
		"Erase":    func() (keys.Versions, error) { return o.Erase(ctx, v.Newest) },
	} {
		got, err := call()
		if !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, context.Canceled) || got != (keys.Versions{}) {
			t.Errorf("%s: %+v, %v, want ErrUnavailable and context.Canceled", name, got, err)
		}
	}
	settle(t, s, o, v)
}

// testRotateWhileServing does what a nightly erasure does, under load: every
// reader holds the current wrapped key and never meets a refusal.
func testRotateWhileServing(t *testing.T, s keys.Service, o keys.Operator) {
	all, _ := wrapMany(t, s, 8)
	var mu sync.RWMutex // of the wrapped keys, as a database would hold them
	read := func(i int) wrappedKey {
		mu.RLock()
		defer mu.RUnlock()
		return all[i%len(all)]
	}
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for n := range 4 {
		readers.Go(func() {
			for i := n; ctx.Err() == nil; i++ {
				w := read(i)
				got, err := s.UnwrapDataKey(t.Context(), w.Context, w.Key)
				if err != nil {
					// The wrapped key may have been replaced and its version
					// erased since it was read: then the newer one opens.
					w = read(i)
					if got, err = s.UnwrapDataKey(t.Context(), w.Context, w.Key); err != nil {
						t.Error(err)
						return
					}
				}
				if !got.Equal(w.clear) {
					t.Error("another key")
				}
				got.Destroy()
			}
		})
	}
	for range 2 {
		v := rotate(t, s, o)
		items := make([]keys.Wrapped, len(all))
		for i := range all {
			items[i] = all[i].Wrapped
		}
		moved := rewrap(t, s, items)
		mu.Lock()
		for i, r := range moved {
			if r.Err != nil {
				t.Error(r.Err)
				continue
			}
			all[i].Key = r.Key
		}
		mu.Unlock()
		erase(t, s, o, v.Newest)
	}
	stop()
	readers.Wait()
}
