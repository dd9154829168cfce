package vaulttest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/secret"
)

// Keys is the conformance suite of keys.Service. open returns a service with
// key-encryption keys of its own; what it opens is closed by t.Cleanup.
func Keys(t *testing.T, open func(t *testing.T) keys.Service) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, keys.Service)
	}{
		{"a wrapped key unwraps to the key, again and again", testUnwrap},
		{"every data key is fresh", testFresh},
		{"a key is owned by the caller", testOwned},
		{"a wrapped key is refused in any other context", testContext},
		{"a context's fields do not run into each other", testContextFields},
		{"a wrapped key is refused with any bit flipped", testWrappedFlipped},
		{"a wrapped key is refused cut, extended or made up", testWrappedCut},
		{"parts of two wrapped keys do not combine", testWrappedSpliced},
		{"8 goroutines at once", testKeysConcurrently},
		{"a cancelled context is unavailable, not refused", testKeysCancelled},
		{"ready when it serves", func(t *testing.T, s keys.Service) {
			if err := s.Ready(t.Context()); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
	KeysRewrap(t, open)
	t.Run("another service's wrapped key is refused", func(t *testing.T) {
		a, b := open(t), open(t)
		c := keyContext()
		_, wrapped := newDataKey(t, a, c)
		refuse(t, "foreign", b, c, wrapped, nil)
	})
}

func keyContext() keys.Context {
	return keys.Context{Purpose: keys.Photo, Practice: id.New[id.Practice](), Subject: string(id.New[id.Photo]()),
		Authorization: id.New[id.Authorization]()}
}

func newDataKey(t *testing.T, s keys.Service, c keys.Context) (*secret.Key, []byte) {
	t.Helper()
	k, wrapped, err := s.NewDataKey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(wrapped) == 0 || len(wrapped) > keys.MaxWrapped {
		t.Fatalf("wrapped key of %d bytes", len(wrapped))
	}
	t.Cleanup(k.Destroy)
	return k, wrapped
}

func unwrap(t *testing.T, s keys.Service, c keys.Context, wrapped []byte) *secret.Key {
	t.Helper()
	k, err := s.UnwrapDataKey(t.Context(), c, wrapped)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Destroy)
	return k
}

// refuse wants ErrRefused, and nothing of the key or its wrapped form in it.
func refuse(t *testing.T, name string, s keys.Service, c keys.Context, wrapped []byte, key *secret.Key) {
	t.Helper()
	k, err := s.UnwrapDataKey(t.Context(), c, wrapped)
	if !errors.Is(err, keys.ErrRefused) || errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("%s: %v, want ErrRefused", name, err)
		return
	}
	if k != nil {
		t.Errorf("%s: a key beside the error", name)
	}
	quiet(t, name, err, wrapped)
	if key != nil {
		quiet(t, name, err, key.Bytes())
	}
}

// quiet checks that an error shows no part of b in any usual notation.
func quiet(t *testing.T, name string, err error, b []byte) {
	t.Helper()
	if len(b) < 16 {
		return
	}
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	part := b[len(b)-12:]
	std, url := base64.RawStdEncoding.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b)
	for _, form := range []string{string(part), hex.EncodeToString(part), std[4:20], url[4:20]} {
		if strings.Contains(text, form) {
			t.Errorf("%s: the error shows key bytes: %s", name, text)
		}
	}
}

func testUnwrap(t *testing.T, s keys.Service) {
	for _, c := range []keys.Context{
		keyContext(),
		{Purpose: keys.Photo, Practice: id.New[id.Practice](), Subject: string(id.New[id.Photo]())},
		{Purpose: keys.Catalog, Practice: id.New[id.Practice](), Subject: "1"},
		{Purpose: keys.Index, Practice: id.New[id.Practice]()},
	} {
		k, wrapped := newDataKey(t, s, c)
		for range 3 {
			if !unwrap(t, s, c, wrapped).Equal(k) {
				t.Errorf("%+v: another key", c)
			}
		}
	}
}

func testFresh(t *testing.T, s keys.Service) {
	c := keyContext()
	seen := map[string]bool{}
	for range 50 {
		k, wrapped := newDataKey(t, s, c)
		if seen[string(k.Bytes())] || seen[string(wrapped)] {
			t.Fatal("a key twice")
		}
		seen[string(k.Bytes())], seen[string(wrapped)] = true, true
		if bytes.Contains(wrapped, k.Bytes()) {
			t.Fatal("the wrapped key shows the key")
		}
	}
}

func testOwned(t *testing.T, s keys.Service) {
	c := keyContext()
	k, wrapped := newDataKey(t, s, c)
	want := k.Clone()
	k.Destroy()
	first := unwrap(t, s, c, wrapped)
	if !first.Equal(want) {
		t.Error("destroying the caller's key changed what unwraps")
	}
	given := bytes.Clone(wrapped)
	second := unwrap(t, s, c, given)
	first.Destroy()
	clear(given)
	if !second.Equal(want) {
		t.Error("two callers share a key")
	}
}

func testContext(t *testing.T, s keys.Service) {
	c := keyContext()
	k, wrapped := newDataKey(t, s, c)
	for name, change := range map[string]func(*keys.Context){
		"practice":              func(c *keys.Context) { c.Practice = id.New[id.Practice]() },
		"no practice":           func(c *keys.Context) { c.Practice = "" },
		"subject":               func(c *keys.Context) { c.Subject = string(id.New[id.Photo]()) },
		"a letter of a subject": func(c *keys.Context) { c.Subject += "0" },
		"no subject":            func(c *keys.Context) { c.Subject = "" },
		"authorization":         func(c *keys.Context) { c.Authorization = id.New[id.Authorization]() },
		"no authorization":      func(c *keys.Context) { c.Authorization = "" },
		"nothing":               func(c *keys.Context) { *c = keys.Context{} },
	} {
		other := c
		change(&other)
		refuse(t, name, s, other, wrapped, k)
	}
	for _, p := range []keys.Purpose{keys.Catalog, keys.Index, keys.Audit, keys.Checkpoint, keys.Upload, keys.UploadSigning, "", "PHOTO"} {
		other := c
		other.Purpose = p
		refuse(t, "purpose "+string(p), s, other, wrapped, k)
	}
	if !unwrap(t, s, c, wrapped).Equal(k) {
		t.Error("no longer unwraps after refusals")
	}
}

func testContextFields(t *testing.T, s keys.Service) {
	a := keys.Context{Purpose: "p", Practice: "q", Subject: "xy", Authorization: "z"}
	k, wrapped := newDataKey(t, s, a)
	for _, b := range []keys.Context{
		{Purpose: "p", Practice: "q", Subject: "x", Authorization: "yz"},
		{Purpose: "p", Practice: "q", Subject: "xyz"},
		{Purpose: "p", Practice: "qx", Subject: "y", Authorization: "z"},
		{Purpose: "pq", Subject: "xy", Authorization: "z"},
		{Purpose: "q", Practice: "p", Subject: "xy", Authorization: "z"},
		{Purpose: "p", Practice: "q", Subject: "xy", Authorization: "z\x00"},
	} {
		refuse(t, fmt.Sprintf("%+v", b), s, b, wrapped, k)
	}
}

func testWrappedFlipped(t *testing.T, s keys.Service) {
	c := keyContext()
	k, wrapped := newDataKey(t, s, c)
	for at := range wrapped {
		for bit := range 8 {
			forged := bytes.Clone(wrapped)
			forged[at] ^= 1 << bit
			refuse(t, fmt.Sprintf("bit %d of byte %d", bit, at), s, c, forged, k)
		}
	}
}

func testWrappedCut(t *testing.T, s keys.Service) {
	c := keyContext()
	k, wrapped := newDataKey(t, s, c)
	for n := range wrapped {
		refuse(t, fmt.Sprintf("%d bytes of %d", n, len(wrapped)), s, c, wrapped[:n], k)
		refuse(t, fmt.Sprintf("without the first %d bytes", n+1), s, c, wrapped[n+1:], k)
	}
	refuse(t, "nil", s, c, nil, k)
	for _, more := range [][]byte{{0}, {'='}, {'\n'}, wrapped, make([]byte, 4096)} {
		refuse(t, fmt.Sprintf("%d bytes more", len(more)), s, c, append(bytes.Clone(wrapped), more...), k)
	}
	refuse(t, "zeros", s, c, make([]byte, len(wrapped)), k)
	refuse(t, "the key itself", s, c, k.Bytes(), nil)
}

func testWrappedSpliced(t *testing.T, s keys.Service) {
	c := keyContext()
	_, a := newDataKey(t, s, c)
	_, b := newDataKey(t, s, c)
	for n := range min(len(a), len(b)) {
		mixed := append(bytes.Clone(a[:n]), b[n:]...)
		if !bytes.Equal(mixed, a) && !bytes.Equal(mixed, b) {
			refuse(t, fmt.Sprintf("spliced at %d", n), s, c, mixed, nil)
		}
	}
}

func testKeysConcurrently(t *testing.T, s keys.Service) {
	shared := keyContext()
	sharedKey, sharedWrapped := newDataKey(t, s, shared)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				c := keyContext()
				k, wrapped, err := s.NewDataKey(t.Context(), c)
				if err != nil {
					t.Error(err)
					return
				}
				for _, x := range []struct {
					c       keys.Context
					wrapped []byte
					want    *secret.Key
				}{{c, wrapped, k}, {shared, sharedWrapped, sharedKey}} {
					got, err := s.UnwrapDataKey(t.Context(), x.c, x.wrapped)
					if err != nil {
						t.Error(err)
						return
					}
					if !got.Equal(x.want) {
						t.Error("another goroutine's key")
					}
					got.Destroy()
				}
				if _, err := s.UnwrapDataKey(t.Context(), c, sharedWrapped); !errors.Is(err, keys.ErrRefused) {
					t.Errorf("another context's key: %v", err)
				}
				k.Destroy()
			}
		})
	}
	wg.Wait()
}

func testKeysCancelled(t *testing.T, s keys.Service) {
	c := keyContext()
	key, wrapped := newDataKey(t, s, c)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check := func(name string, k *secret.Key, err error) {
		t.Helper()
		if !errors.Is(err, keys.ErrUnavailable) || !errors.Is(err, context.Canceled) || errors.Is(err, keys.ErrRefused) {
			t.Errorf("%s: %v, want ErrUnavailable and context.Canceled", name, err)
		}
		if k != nil {
			t.Errorf("%s: a key beside the error", name)
		}
	}
	k, w, err := s.NewDataKey(ctx, c)
	check("NewDataKey", k, err)
	if w != nil {
		t.Error("NewDataKey: a wrapped key beside the error")
	}
	k, err = s.UnwrapDataKey(ctx, c, wrapped)
	check("UnwrapDataKey", k, err)
	check("Ready", nil, s.Ready(ctx))
	if !unwrap(t, s, c, wrapped).Equal(key) {
		t.Error("no longer unwraps after a cancelled call")
	}
}
