package vaulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/secret"
)

// KeysRewrap is the part of the conformance suite of keys.Service about
// versions and rewrapping. Keys calls it.
func KeysRewrap(t *testing.T, open func(t *testing.T) keys.Service) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, keys.Service)
	}{
		{"a rewrapped key is the same key in the same context, in order", testRewrap},
		{"an item that alone is refused does not stop the others", testRewrapRefused},
		{"nothing to rewrap is no error", testRewrapNothing},
		{"as many keys as are allowed, and not one more", testRewrapMost},
		{"what was handed in is neither kept nor changed", testRewrapOwned},
		{"a cancelled context is unavailable, not refused", testRewrapCancelled},
		{"a fresh key is under the newest version", testVersion},
		{"what is no wrapped key has no version", testVersionRefused},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// wrappedKey is a data key with what it takes to have it again.
type wrappedKey struct {
	keys.Wrapped
	clear *secret.Key
}

func wrapMany(t *testing.T, s keys.Service, n int) ([]wrappedKey, []keys.Wrapped) {
	t.Helper()
	all, items := make([]wrappedKey, n), make([]keys.Wrapped, n)
	for i := range all {
		c := keyContext()
		switch i % 4 {
		case 1:
			c = keys.Context{Purpose: keys.Catalog, Practice: id.New[id.Practice](), Subject: "1"}
		case 2:
			c = keys.Context{Purpose: keys.Index, Practice: id.New[id.Practice]()}
		}
		k, wrapped := newDataKey(t, s, c)
		items[i] = keys.Wrapped{Context: c, Key: wrapped}
		all[i] = wrappedKey{items[i], k}
	}
	return all, items
}

func rewrap(t *testing.T, s keys.Service, items []keys.Wrapped) []keys.Rewrapped {
	t.Helper()
	out, err := s.Rewrap(t.Context(), items)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != len(items) {
		t.Fatalf("%d answers for %d keys", len(out), len(items))
	}
	return out
}

// opens wants the key of w, by the wrapped key it is given.
func opens(t *testing.T, name string, s keys.Service, w wrappedKey, wrapped []byte) {
	t.Helper()
	got, err := s.UnwrapDataKey(t.Context(), w.Context, wrapped)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	defer got.Destroy()
	if !got.Equal(w.clear) {
		t.Errorf("%s: another key", name)
	}
}

func testRewrap(t *testing.T, s keys.Service) {
	all, items := wrapMany(t, s, 12)
	for i, r := range rewrap(t, s, items) {
		if r.Err != nil || len(r.Key) == 0 || len(r.Key) > keys.MaxWrapped {
			t.Fatalf("%d: %d bytes, %v", i, len(r.Key), r.Err)
		}
		if bytes.Contains(r.Key, all[i].clear.Bytes()) {
			t.Fatal("the wrapped key shows the key")
		}
		opens(t, fmt.Sprint(i), s, all[i], r.Key)
		opens(t, fmt.Sprintf("%d, as it was", i), s, all[i], items[i].Key)
		other := items[i].Context
		other.Subject += "0"
		refuse(t, fmt.Sprintf("%d in another context", i), s, other, r.Key, all[i].clear)
	}
	again := rewrap(t, s, []keys.Wrapped{items[0], items[0]})
	for i, r := range again {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		opens(t, fmt.Sprintf("twice in one call, %d", i), s, all[0], r.Key)
	}
}

func testRewrapRefused(t *testing.T, s keys.Service) {
	all, items := wrapMany(t, s, 9)
	damaged := bytes.Clone(items[1].Key)
	damaged[len(damaged)/2] ^= 1
	bad := map[int]keys.Wrapped{
		1: {Context: items[1].Context, Key: damaged},
		2: {Context: items[3].Context, Key: items[2].Key},
		4: {Context: items[4].Context},
		5: {Context: items[5].Context, Key: items[5].Key[:len(items[5].Key)-1]},
		7: {Context: items[7].Context, Key: append(bytes.Clone(items[7].Key), '\n')},
		8: {Key: items[8].Key},
	}
	mixed := replaced(items, bad)
	for i, r := range rewrap(t, s, mixed) {
		if _, is := bad[i]; !is {
			if r.Err != nil {
				t.Errorf("%d: %v", i, r.Err)
				continue
			}
			opens(t, fmt.Sprint(i), s, all[i], r.Key)
			continue
		}
		if !errors.Is(r.Err, keys.ErrRefused) || errors.Is(r.Err, keys.ErrUnavailable) || r.Key != nil {
			t.Errorf("%d: %d bytes, %v, want ErrRefused", i, len(r.Key), r.Err)
			continue
		}
		quiet(t, fmt.Sprint(i), r.Err, mixed[i].Key)
		quiet(t, fmt.Sprint(i), r.Err, all[i].clear.Bytes())
	}
	for i, r := range rewrap(t, s, []keys.Wrapped{bad[1], bad[4]}) { // and nothing else
		if !errors.Is(r.Err, keys.ErrRefused) {
			t.Errorf("alone, %d: %v", i, r.Err)
		}
	}
}

// replaced is items with some of them replaced.
func replaced(items []keys.Wrapped, by map[int]keys.Wrapped) []keys.Wrapped {
	out := append([]keys.Wrapped(nil), items...)
	for i, w := range by {
		out[i] = w
	}
	return out
}

func testRewrapNothing(t *testing.T, s keys.Service) {
	for _, items := range [][]keys.Wrapped{nil, {}} {
		if out := rewrap(t, s, items); len(out) != 0 {
			t.Errorf("%d answers", len(out))
		}
	}
}

func testRewrapMost(t *testing.T, s keys.Service) {
	all, few := wrapMany(t, s, 10)
	items := make([]keys.Wrapped, keys.MaxRewrap)
	for i := range items {
		items[i] = few[i%len(few)]
	}
	for i, r := range rewrap(t, s, items) {
		if r.Err != nil {
			t.Fatalf("%d: %v", i, r.Err)
		}
		if i%97 == 0 {
			opens(t, fmt.Sprint(i), s, all[i%len(few)], r.Key)
		}
	}
	out, err := s.Rewrap(t.Context(), append(items, few[0]))
	if err == nil || errors.Is(err, keys.ErrRefused) || errors.Is(err, keys.ErrUnavailable) || out != nil {
		t.Errorf("one more: %d answers, %v", len(out), err)
	}
}

func testRewrapOwned(t *testing.T, s keys.Service) {
	all, items := wrapMany(t, s, 2)
	before := bytes.Clone(items[0].Key)
	out := rewrap(t, s, items)
	if !bytes.Equal(items[0].Key, before) {
		t.Error("what was handed in has changed")
	}
	clear(items[0].Key)
	clear(out[1].Key)
	if out[0].Err != nil {
		t.Fatal(out[0].Err)
	}
	opens(t, "after what was handed in is gone", s, all[0], out[0].Key)
}

func testRewrapCancelled(t *testing.T, s keys.Service) {
	_, items := wrapMany(t, s, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, given := range [][]keys.Wrapped{items, items[:1]} {
		out, err := s.Rewrap(ctx, given)
		if !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, context.Canceled) || errors.Is(err, keys.ErrRefused) || out != nil {
			t.Errorf("%d answers, %v, want ErrUnavailable and context.Canceled", len(out), err)
		}
	}
	if v, err := s.Versions(ctx); !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, context.Canceled) || v != (keys.Versions{}) {
		t.Errorf("Versions: %+v, %v, want ErrUnavailable and context.Canceled", v, err)
	}
}

func testVersion(t *testing.T, s keys.Service) {
	v, err := s.Versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v.Oldest < 1 || v.Newest < v.Oldest {
		t.Fatalf("versions %+v", v)
	}
	_, items := wrapMany(t, s, 1)
	out := rewrap(t, s, items)
	for name, wrapped := range map[string][]byte{"fresh": items[0].Key, "rewrapped": out[0].Key} {
		if got, err := s.Version(wrapped); err != nil || got != v.Newest {
			t.Errorf("%s: version %d, %v, want %d", name, got, err, v.Newest)
		}
	}
}

func testVersionRefused(t *testing.T, s keys.Service) {
	_, items := wrapMany(t, s, 1)
	wrapped := items[0].Key
	for name, b := range map[string][]byte{
		"nil": nil, "empty": {}, "zeros": make([]byte, len(wrapped)), "cut": wrapped[:len(wrapped)-1], "the end": wrapped[1:],
		"extended": append(bytes.Clone(wrapped), '\n'), "twice": append(bytes.Clone(wrapped), wrapped...), "text": []byte("not a wrapped key"),
	} {
		if v, err := s.Version(b); !errors.Is(err, keys.ErrRefused) || v != 0 {
			t.Errorf("%s: version %d, %v, want ErrRefused", name, v, err)
		}
	}
}
