package dir_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"photovault/vault/blobs"
	"photovault/vault/id"
)

const benchSize = 1 << 20

// BenchmarkPut compares a durable Put with what the file system asks for the
// same: the floor writes and syncs a file and no more, so that a crash may
// still lose its name; the peer makes the name durable too. The three take
// turns, as a disk's mood changes by the second, and medians are compared.
func BenchmarkPut(b *testing.B) {
	data := make([]byte, benchSize)
	s, _ := newStore(b)
	name := newName()
	for i := range 256 { // a folder's first use costs a sync more
		name.Object = id.Object(fmt.Sprintf("%02x", i)) + newName().Object[2:]
		put(b, s, name, nil)
	}
	folder := b.TempDir()
	n := 0
	steps := []struct {
		name string
		once func()
		took []time.Duration
	}{
		{name: "store", once: func() {
			name.Object = newName().Object
			put(b, s, name, data)
		}},
		{name: "floor", once: func() {
			must(b, writeSync(filepath.Join(folder, strconv.Itoa(n)), data))
		}},
		{name: "peer", once: func() {
			final := filepath.Join(folder, strconv.Itoa(n)+".named")
			must(b, writeSync(final+".new", data))
			must(b, os.Rename(final+".new", final))
			d, err := os.Open(folder)
			must(b, err)
			must(b, d.Sync())
			must(b, d.Close())
		}},
	}
	for ; b.Loop(); n++ {
		for i := range steps {
			start := time.Now()
			steps[i].once()
			steps[i].took = append(steps[i].took, time.Since(start))
		}
	}
	median := map[string]float64{}
	for _, step := range steps {
		slices.Sort(step.took)
		median[step.name] = step.took[len(step.took)/2].Seconds()
		b.ReportMetric(1000*median[step.name], step.name+"-ms")
	}
	b.ReportMetric(median["store"]/median["floor"], "store/floor")
	b.ReportMetric(median["store"]/median["peer"], "store/peer")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPutAllocations counts what a Put allocates.
func BenchmarkPutAllocations(b *testing.B) {
	s, _ := newStore(b)
	data := make([]byte, benchSize)
	name := newName()
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		name.Object = newName().Object
		put(b, s, name, data)
	}
}

func BenchmarkGet(b *testing.B) {
	s, folder := newStore(b)
	name := newName()
	put(b, s, name, make([]byte, benchSize))
	buffer := make([]byte, 64<<10)
	b.Run("store", func(b *testing.B) {
		b.SetBytes(benchSize)
		b.ReportAllocs()
		for b.Loop() {
			r, _, err := s.Get(b.Context(), name, 0, -1)
			must(b, err)
			read(b, r, buffer)
		}
	})
	b.Run("floor: open, read", func(b *testing.B) {
		b.SetBytes(benchSize)
		b.ReportAllocs()
		for b.Loop() {
			f, err := os.Open(pathOf(folder, name))
			must(b, err)
			read(b, f, buffer)
		}
	})
}

func BenchmarkDelete(b *testing.B) {
	s, _ := newStore(b)
	name := newName()
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		name.Object = newName().Object
		put(b, s, name, nil)
		b.StartTimer()
		must(b, s.Delete(b.Context(), name))
	}
}

func BenchmarkList1000(b *testing.B) {
	s, folder := newStore(b)
	name := newName()
	put(b, s, name, nil)
	for range 999 { // not through Put: durability is not what is measured
		n := name
		n.Object = newName().Object
		must(b, os.MkdirAll(filepath.Dir(pathOf(folder, n)), 0o700))
		must(b, os.WriteFile(pathOf(folder, n), nil, 0o600))
	}
	b.ReportAllocs()
	for b.Loop() {
		found := 0
		must(b, s.List(b.Context(), name.Practice, name.Area, func(blobs.Name, int64) error { found++; return nil }))
		if found != 1000 {
			b.Fatal(found)
		}
	}
}

func writeSync(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, bytes.NewReader(data)); err != nil {
		return err
	}
	return f.Sync()
}

func read(b *testing.B, r io.ReadCloser, buffer []byte) {
	for {
		_, err := r.Read(buffer)
		if err == io.EOF {
			break
		}
		must(b, err)
	}
	must(b, r.Close())
}

func must(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}
