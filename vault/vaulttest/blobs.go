package vaulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"photovault/vault/blobs"
	"photovault/vault/id"
)

// Blobs is the conformance suite of blobs.Store. open returns a store that
// nobody else writes to; what it opens is closed by t.Cleanup.
func Blobs(t *testing.T, open func(t *testing.T) blobs.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, blobs.Store)
	}{
		{"what was put is got, at every size", testPutGet},
		{"a range is got exactly, one that leaves the object is refused", testRanges},
		{"an absent object is not found", testAbsent},
		{"an object is never changed", testExists},
		{"of 8 puts under one name one wins", testPutRace},
		{"a reader of another length leaves nothing", testPutSize},
		{"a reader that fails leaves nothing", testPutBroken},
		{"readers may be slow and odd", testPutOddReaders},
		{"a cancelled put leaves nothing", testPutCancelled},
		{"a cancelled call is unavailable", testBlobsCancelled},
		{"deleted is gone, and deleting again is no error", testDelete},
		{"list tells every object of one practice and area with its size", testList},
		{"list stops with the caller's error", testListStops},
		{"malformed names are refused", testNames},
		{"8 goroutines at once", testBlobsConcurrently},
		{"ready when it serves", func(t *testing.T, s blobs.Store) {
			if err := s.Ready(t.Context()); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func newName() blobs.Name {
	return blobs.Name{Practice: id.New[id.Practice](), Area: blobs.Photos, Object: id.New[id.Object]()}
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	_, _ = r.Read(b) // never fails
	return b
}

func put(t *testing.T, s blobs.Store, name blobs.Name, b []byte) {
	t.Helper()
	if err := s.Put(t.Context(), name, bytes.NewReader(b), int64(len(b))); err != nil {
		t.Fatal(err)
	}
}

// get returns a range; it also checks the whole size.
func get(t *testing.T, s blobs.Store, name blobs.Name, off, n, whole int64) []byte {
	t.Helper()
	r, size, err := s.Get(t.Context(), name, off, n)
	if err != nil {
		t.Fatalf("get %d from %d: %v", n, off, err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("get %d from %d: %v", n, off, err)
	}
	if size != whole {
		t.Errorf("whole size %d, want %d", size, whole)
	}
	return b
}

// absent checks that nothing is visible under name, by Get or by List.
func absent(t *testing.T, s blobs.Store, name blobs.Name) {
	t.Helper()
	if r, _, err := s.Get(t.Context(), name, 0, -1); !errors.Is(err, blobs.ErrNotFound) {
		t.Errorf("get: %v, want ErrNotFound", err)
		if err == nil {
			r.Close()
		}
	}
	if _, ok := list(t, s, name.Practice, name.Area)[name]; ok {
		t.Error("it is listed")
	}
}

func list(t *testing.T, s blobs.Store, p id.Practice, a blobs.Area) map[blobs.Name]int64 {
	t.Helper()
	found := map[blobs.Name]int64{}
	if err := s.List(t.Context(), p, a, func(n blobs.Name, size int64) error {
		if _, twice := found[n]; twice {
			t.Errorf("%s listed twice", n)
		}
		found[n] = size
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

func testPutGet(t *testing.T, s blobs.Store) {
	for _, area := range []blobs.Area{blobs.Photos, blobs.Staging} {
		for _, n := range []int{0, 1, 56 + 16, 1 << 20, 1<<20 + 1, 5<<20 - 1} {
			name, b := newName(), noise(n)
			name.Area = area
			put(t, s, name, b)
			for range 2 {
				if got := get(t, s, name, 0, -1, int64(n)); !bytes.Equal(got, b) {
					t.Errorf("%s: %d bytes put, %d others got", area, n, len(got))
				}
			}
		}
	}
}

func testRanges(t *testing.T, s blobs.Store) {
	const size = 1000
	name, b := newName(), noise(size)
	put(t, s, name, b)
	for _, x := range []struct{ off, n int64 }{
		{0, -1}, {0, 0}, {0, 1}, {0, 500}, {0, size}, {1, -1}, {1, size - 1}, {499, 2}, {size - 1, 1}, {size - 1, -1},
		{size, -1}, {size, 0}, {500, math.MinInt64},
	} {
		end := x.off + x.n
		if x.n < 0 {
			end = size
		}
		if got := get(t, s, name, x.off, x.n, size); !bytes.Equal(got, b[x.off:end]) {
			t.Errorf("%d from %d: got %d bytes, not the ones put", x.n, x.off, len(got))
		}
	}
	empty := newName()
	put(t, s, empty, nil)
	for _, n := range []int64{0, -1} {
		if got := get(t, s, empty, 0, n, 0); len(got) != 0 {
			t.Errorf("%d bytes of nothing", len(got))
		}
	}
	for _, x := range []struct {
		name   blobs.Name
		off, n int64
	}{
		{name, -1, -1}, {name, -1, 1}, {name, 0, size + 1}, {name, 1, size}, {name, size - 1, 2}, {name, size, 1},
		{name, size + 1, -1}, {name, size + 1, 0}, {name, 1, math.MaxInt64}, {name, math.MaxInt64, 1}, {name, math.MaxInt64, math.MaxInt64},
		{name, math.MinInt64, -1}, {empty, 0, 1}, {empty, 1, -1},
	} {
		r, _, err := s.Get(t.Context(), x.name, x.off, x.n)
		if !errors.Is(err, blobs.ErrSize) {
			t.Errorf("%d from %d: %v, want ErrSize", x.n, x.off, err)
		}
		if err == nil {
			r.Close()
		}
	}
}

func testAbsent(t *testing.T, s blobs.Store) {
	there := newName()
	put(t, s, there, noise(10))
	for _, change := range []func(*blobs.Name){
		func(n *blobs.Name) { n.Practice = id.New[id.Practice]() },
		func(n *blobs.Name) { n.Area = blobs.Staging },
		func(n *blobs.Name) { n.Object = id.New[id.Object]() },
	} {
		name := there
		change(&name)
		absent(t, s, name)
		if r, _, err := s.Get(t.Context(), name, 5, 2); !errors.Is(err, blobs.ErrNotFound) {
			t.Errorf("a range: %v", err)
			if err == nil {
				r.Close()
			}
		}
	}
}

func testDelete(t *testing.T, s blobs.Store) {
	name := newName()
	beside := name
	beside.Object = id.New[id.Object]()
	other := name
	other.Area = blobs.Staging
	put(t, s, name, noise(100))
	put(t, s, beside, noise(200))
	put(t, s, other, noise(300))
	for range 3 {
		if err := s.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		absent(t, s, name)
	}
	get(t, s, beside, 0, -1, 200)
	get(t, s, other, 0, -1, 300)
	if err := s.Delete(t.Context(), newName()); err != nil {
		t.Errorf("an object that never was: %v", err)
	}
}

func testList(t *testing.T, s blobs.Store) {
	want := map[blobs.Name]map[blobs.Name]int64{} // by practice and area
	for range 2 {
		practice := id.New[id.Practice]()
		for _, area := range []blobs.Area{blobs.Photos, blobs.Staging} {
			group := map[blobs.Name]int64{}
			for i := range 12 {
				n := blobs.Name{Practice: practice, Area: area, Object: id.New[id.Object]()}
				put(t, s, n, noise(i*100))
				group[n] = int64(i * 100)
			}
			want[blobs.Name{Practice: practice, Area: area}] = group
		}
	}
	for g, objects := range want {
		got := list(t, s, g.Practice, g.Area)
		if len(got) != len(objects) {
			t.Errorf("%s of %s: %d objects, want %d", g.Area, g.Practice, len(got), len(objects))
		}
		for n, size := range objects {
			if gotSize, ok := got[n]; !ok || gotSize != size {
				t.Errorf("%s: %d bytes, %t; want %d", n, gotSize, ok, size)
			}
		}
	}
	if got := list(t, s, id.New[id.Practice](), blobs.Photos); len(got) != 0 {
		t.Errorf("%d objects of a practice that has none", len(got))
	}
}

func testListStops(t *testing.T, s blobs.Store) {
	first := newName()
	for range 5 {
		n := first
		n.Object = id.New[id.Object]()
		put(t, s, n, nil)
	}
	enough := errors.New("enough")
	calls := 0
	err := s.List(t.Context(), first.Practice, first.Area, func(blobs.Name, int64) error {
		if calls++; calls == 2 {
			return enough
		}
		return nil
	})
	if err != enough || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func testNames(t *testing.T, s blobs.Store) {
	const good = "3b7c4de2-0a51-4c1f-9d2e-6f1b8a7c5e40"
	hostile := []string{"", ".", "..", "/", "../../../../../../../../../tmp/owned", good + "/", "/" + good, good[:35] + "/", good + "\x00",
		"3B7C4DE2-0A51-4C1F-9D2E-6F1B8A7C5E40", "3b7c4de2-0a51-1c1f-9d2e-6f1b8a7c5e40", "3b7c4de2-0a51-4c1f-9d2e-6f1b8a7c5e4", "..%2f..", "tmp",
		"../" + good[3:], good[:8] + "/../../" + good[15:], "con", "*", "%"}
	var names []blobs.Name
	for _, h := range hostile {
		names = append(names,
			blobs.Name{Practice: id.Practice(h), Area: blobs.Photos, Object: good},
			blobs.Name{Practice: good, Area: blobs.Photos, Object: id.Object(h)},
			blobs.Name{Practice: good, Area: blobs.Area(h), Object: good})
	}
	for _, n := range names {
		what := fmt.Sprintf("%q", n)
		if err := s.Put(t.Context(), n, bytes.NewReader(nil), 0); !errors.Is(err, blobs.ErrName) {
			t.Errorf("put %s: %v", what, err)
		}
		if r, _, err := s.Get(t.Context(), n, 0, -1); !errors.Is(err, blobs.ErrName) {
			t.Errorf("get %s: %v", what, err)
			if err == nil {
				r.Close()
			}
		}
		if err := s.Delete(t.Context(), n); !errors.Is(err, blobs.ErrName) {
			t.Errorf("delete %s: %v", what, err)
		}
		if !id.Valid(string(n.Object)) {
			continue
		}
		err := s.List(t.Context(), n.Practice, n.Area, func(blobs.Name, int64) error { t.Errorf("%s: listed", what); return nil })
		if !errors.Is(err, blobs.ErrName) {
			t.Errorf("list %s: %v", what, err)
		}
	}
}

func testBlobsConcurrently(t *testing.T, s blobs.Store) {
	practice := id.New[id.Practice]()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 8 {
				name := blobs.Name{Practice: practice, Area: blobs.Photos, Object: id.New[id.Object]()}
				b := noise(g*10_000 + i)
				if err := s.Put(t.Context(), name, bytes.NewReader(b), int64(len(b))); err != nil {
					t.Error(err)
					return
				}
				r, size, err := s.Get(t.Context(), name, 0, -1)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(r)
				if err := errors.Join(err, r.Close()); err != nil || size != int64(len(b)) || !bytes.Equal(got, b) {
					t.Errorf("%d bytes of %d, %v", len(got), size, err)
				}
				if i%2 == 0 {
					if err := s.Delete(t.Context(), name); err != nil {
						t.Error(err)
					}
				}
				if err := s.List(t.Context(), practice, blobs.Photos, func(blobs.Name, int64) error { return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := list(t, s, practice, blobs.Photos); len(got) != 8*4 {
		t.Errorf("%d objects left, want %d", len(got), 8*4)
	}
}

func testBlobsCancelled(t *testing.T, s blobs.Store) {
	name := newName()
	put(t, s, name, noise(4<<20))
	ctx, cancel := context.WithCancel(t.Context())
	r, _, err := s.Get(ctx, name, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := io.Copy(io.Discard, r); err == nil {
		t.Errorf("a cancelled reader gave out %d bytes and then io.EOF", n)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, blobs.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want ErrUnavailable and context.Canceled", what, err)
		}
	}
	_, _, err = s.Get(ctx, name, 0, -1)
	check("get", err)
	check("delete", s.Delete(ctx, name))
	check("list", s.List(ctx, name.Practice, name.Area, func(blobs.Name, int64) error { return nil }))
	check("ready", s.Ready(ctx))
	get(t, s, name, 0, -1, 4<<20)
}
