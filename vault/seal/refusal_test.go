package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"photovault/vault/seal"
)

func TestEveryBitCounts(t *testing.T) {
	for _, n := range []int{0, 1, 100} {
		c := sealed(t, n)
		for i := range len(c) * 8 {
			c[i/8] ^= 1 << (i % 8)
			refused(t, key, context, c, plain(n), fmt.Sprintf("%d bytes, bit %d flipped", n, i))
			c[i/8] ^= 1 << (i % 8)
		}
	}
	n := 3*seal.ChunkSize + 77
	c := sealed(t, n)
	for i := 0; i < len(c)*8; i += 4999 {
		c[i/8] ^= 1 << (i % 8)
		refused(t, key, context, c, plain(n), fmt.Sprintf("bit %d flipped", i))
		c[i/8] ^= 1 << (i % 8)
	}
}

func TestRearranged(t *testing.T) {
	n := 3*seal.ChunkSize + 77
	c := sealed(t, n)
	chunk := func(i int) []byte {
		return c[seal.HeaderSize+i*sealedChunk : min(len(c), seal.HeaderSize+(i+1)*sealedChunk)]
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	header := c[:seal.HeaderSize]
	other := sealed(t, n)
	for name, bad := range map[string][]byte{
		"swapped":                join(header, chunk(1), chunk(0), chunk(2), chunk(3)),
		"repeated":               join(header, chunk(0), chunk(0), chunk(1), chunk(2), chunk(3)),
		"dropped":                join(header, chunk(0), chunk(2), chunk(3)),
		"last dropped":           join(header, chunk(0), chunk(1), chunk(2)),
		"last repeated":          join(c, chunk(3)),
		"extended":               join(c, []byte{0}),
		"extended by an empty":   join(c, make([]byte, seal.Overhead)),
		"chunk of another":       join(header, other[seal.HeaderSize:seal.HeaderSize+sealedChunk], chunk(1), chunk(2), chunk(3)),
		"header of another":      join(other[:seal.HeaderSize], chunk(0), chunk(1), chunk(2), chunk(3)),
		"salt of another":        join(other[:24], c[24:]),
		"commitment of another":  join(c[:24], other[24:seal.HeaderSize], c[seal.HeaderSize:]),
		"nothing":                nil,
		"full chunk as the last": sealed(t, 2*seal.ChunkSize)[:seal.HeaderSize+2*sealedChunk],
	} {
		refused(t, key, context, bad, plain(n), name)
	}
}

func TestTruncated(t *testing.T) {
	n := 3*seal.ChunkSize + 77
	c := sealed(t, n)
	for cut := 0; cut < len(c); cut += 331 {
		refused(t, key, context, c[:cut], plain(n), fmt.Sprintf("cut at %d", cut))
	}
	for k := range 4 { // around the end of every chunk
		for d := -20; d <= 20; d++ {
			cut := seal.HeaderSize + k*sealedChunk + d
			refused(t, key, context, c[:cut], plain(n), fmt.Sprintf("cut at %d", cut))
		}
	}
	for _, n := range []int{0, 1, 40} {
		short := sealed(t, n)
		for cut := range short {
			refused(t, key, context, short[:cut], plain(n), fmt.Sprintf("%d bytes, cut at %d", n, cut))
		}
	}
}

func TestExtended(t *testing.T) {
	for _, n := range []int{0, 40, seal.ChunkSize - 1, seal.ChunkSize, seal.ChunkSize + 1} {
		c := sealed(t, n)
		for _, more := range []int{1, 2, seal.Overhead - 1, seal.Overhead, seal.Overhead + 1, seal.ChunkSize - 1, seal.ChunkSize, sealedChunk, 3 * sealedChunk} {
			what := fmt.Sprintf("%d bytes and %d behind", n, more)
			refused(t, key, context, append(bytes.Clone(c), make([]byte, more)...), plain(n), what)
		}
		refused(t, key, context, append(bytes.Clone(c), c...), plain(n), fmt.Sprintf("%d bytes twice", n))
	}
}

func TestWrongKeyOrContext(t *testing.T) {
	c := sealed(t, 20_000)
	for name, k := range map[string][2][]byte{
		"key":            {bytes.Repeat([]byte{8}, 32), context},
		"context":        {key, []byte("practice, photo, renditioN")},
		"no context":     {key, nil},
		"longer context": {key, append(bytes.Clone(context), 0)},
	} {
		refused(t, k[0], k[1], c, nil, "another "+name) // not a byte
	}
}

// A key of the wrong size is the caller's mistake, not a forged container.
func TestKeySize(t *testing.T) {
	c := sealed(t, 5)
	for _, n := range []int{0, 16, 31, 33, 64} {
		key := make([]byte, n)
		_, sealErr := seal.Seal(nil, key, nil, nil)
		_, writerErr := seal.NewWriter(io.Discard, key, nil)
		_, openErr := seal.Open(nil, key, context, c)
		_, readerErr := seal.NewReader(bytes.NewReader(c), key, context)
		_, readerAtErr := seal.NewReaderAt(bytes.NewReader(c), int64(len(c)), key, context)
		for way, err := range map[string]error{"Seal": sealErr, "NewWriter": writerErr, "Open": openErr, "NewReader": readerErr, "NewReaderAt": readerAtErr} {
			if err == nil || errors.Is(err, seal.ErrAuth) {
				t.Errorf("%s took a key of %d bytes: %v", way, n, err)
			}
		}
	}
}

// What does not authenticate is neither returned nor left lying in the
// caller's memory, and memory that was not lent is not touched.
func TestNothingUnauthenticatedIsLeftBehind(t *testing.T) {
	n := 2*seal.ChunkSize + 100
	truth, c := plain(n), sealed(t, n)
	for _, broken := range []int{0, 1, 2} {
		bad := bytes.Clone(c)
		bad[min(len(bad), seal.HeaderSize+(broken+1)*sealedChunk)-1] ^= 1
		good := broken * seal.ChunkSize
		clean := func(way string, p []byte) {
			t.Helper()
			for i, b := range p {
				if b != 0 && b != 0xEE {
					t.Errorf("%s, chunk %d broken: byte %d behind what was given out is %#x", way, broken, i, b)
					return
				}
			}
		}
		lent := func() []byte { return bytes.Repeat([]byte{0xEE}, 4*seal.ChunkSize) }

		p := lent()
		if _, err := seal.Open(p[:10:10+n], key, context, bad); err != seal.ErrAuth {
			t.Errorf("Open: %v", err)
		}
		clean("Open", p)
		if !bytes.Equal(p[:10], lent()[:10]) || !bytes.Equal(p[10+n:], lent()[10+n:]) {
			t.Error("Open wrote to memory that was not lent")
		}
		p = lent()
		if _, err := seal.Open(p[:10], key, context, bad); err != seal.ErrAuth {
			t.Errorf("Open: %v", err)
		}
		if !bytes.Equal(p[10+n:], lent()[10+n:]) {
			t.Error("Open wiped memory behind the plaintext's place")
		}

		p = lent()
		r, err := seal.NewReader(bytes.NewReader(bad), key, context)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadFull(r, p)
		if err != seal.ErrAuth || got != good || !bytes.Equal(p[:good], truth[:good]) {
			t.Errorf("Reader gave out %d bytes, %v", got, err)
		}
		clean("Reader", p[good:])

		at, err := seal.NewReaderAt(bytes.NewReader(bad), int64(len(bad)), key, context)
		if broken == 2 {
			if err != seal.ErrAuth {
				t.Errorf("NewReaderAt: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		p = lent()
		if got, err := at.ReadAt(p[:n], 0); err != seal.ErrAuth || got != good || !bytes.Equal(p[:good], truth[:good]) {
			t.Errorf("ReaderAt gave out %d bytes, %v", got, err)
		}
		clean("ReaderAt", p[good:])
	}
}
