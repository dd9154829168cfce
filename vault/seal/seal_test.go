package seal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"testing"
	"testing/iotest"

	"photovault/vault/seal"
)

var (
	key     = bytes.Repeat([]byte{7}, seal.KeySize)
	context = []byte("practice, photo, rendition")
)

func plain(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*31 + (i>>8)*17 + 7)
	}
	return b
}

func sealed(t testing.TB, n int) []byte {
	t.Helper()
	b, err := seal.Seal(nil, key, context, plain(n))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// opens tries all three ways of opening; they must agree. Whatever is given
// out before a refusal must be a prefix of the truth.
func opens(t testing.TB, key, context, container, truth []byte) error {
	t.Helper()
	whole, err := seal.Open([]byte("prefix"), key, context, container)
	if err != nil && whole != nil {
		t.Fatal("Open returned bytes beside an error")
	}
	if err == nil && !bytes.Equal(whole, append([]byte("prefix"), truth...)) {
		t.Fatal("Open returned other bytes")
	}
	var streamed []byte
	r, streamErr := seal.NewReader(bytes.NewReader(container), key, context)
	if streamErr == nil {
		streamed, streamErr = io.ReadAll(r)
	}
	if !bytes.HasPrefix(truth, streamed) {
		t.Fatal("Reader gave out bytes that were never sealed")
	}
	var random []byte
	at, atErr := seal.NewReaderAt(bytes.NewReader(container), int64(len(container)), key, context)
	if atErr == nil {
		random = make([]byte, at.Size())
		_, atErr = io.ReadFull(io.NewSectionReader(at, 0, at.Size()), random)
	}
	if atErr == nil && !bytes.Equal(random, truth) {
		t.Fatal("ReaderAt returned other bytes")
	}
	for way, e := range map[string]error{"Reader": streamErr, "ReaderAt": atErr} {
		if (e == nil) != (err == nil) {
			t.Fatalf("Open says %v, %s says %v", err, way, e)
		}
		if e != nil && !errors.Is(e, seal.ErrAuth) {
			t.Fatalf("%s: %v is not ErrAuth", way, e)
		}
	}
	return err
}

func TestVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Verdict, Key, Context, Salt, Sealed string
		Size                                      int
		SealedSize                                int64  `json:"sealed_size"`
		SHA256                                    string `json:"sealed_sha256"`
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	opened := 0
	for _, v := range vectors {
		if v.Verdict == "refused" {
			if err := opens(t, unhex(v.Key), unhex(v.Context), unhex(v.Sealed), plain(v.Size)); !errors.Is(err, seal.ErrAuth) {
				t.Errorf("%s: %v", v.Name, err)
			}
			continue
		}
		restore := seal.SetSalt(unhex(v.Salt))
		got, err := seal.Seal(nil, unhex(v.Key), unhex(v.Context), plain(v.Size))
		restore()
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != v.SHA256 || int64(len(got)) != v.SealedSize {
			t.Errorf("%s: sealed otherwise than the vector", v.Name)
		}
		if err := opens(t, unhex(v.Key), unhex(v.Context), got, plain(v.Size)); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
		opened++
	}
	if opened != 21 {
		t.Errorf("%d vectors opened, want 7 sizes × 3 contexts", opened)
	}
}

func TestSizesAndSteps(t *testing.T) {
	for _, n := range []int{0, 1, 15, seal.ChunkSize - 1, seal.ChunkSize, seal.ChunkSize + 1, 2*seal.ChunkSize - 1, 2 * seal.ChunkSize, 3*seal.ChunkSize + 1} {
		for _, step := range []int{1, 1000, seal.ChunkSize - 1, seal.ChunkSize, seal.ChunkSize + 1, 1 << 20} {
			if step == 1 && n > seal.ChunkSize+1 {
				continue
			}
			var b bytes.Buffer
			w, err := seal.NewWriter(&b, key, context)
			if err != nil {
				t.Fatal(err)
			}
			for p := plain(n); len(p) > 0; {
				k := min(step, len(p))
				if _, err := w.Write(p[:k]); err != nil {
					t.Fatal(err)
				}
				p = p[k:]
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte{0}); err == nil {
				t.Error("a write after Close was taken")
			}
			if int64(b.Len()) != seal.SealedSize(int64(n)) {
				t.Errorf("%d bytes in steps of %d: %d sealed, SealedSize says %d", n, step, b.Len(), seal.SealedSize(int64(n)))
			}
			if size, err := seal.PlaintextSize(int64(b.Len())); err != nil || size != int64(n) {
				t.Errorf("PlaintextSize(%d) = %d, %v", b.Len(), size, err)
			}
			if err := opens(t, key, context, b.Bytes(), plain(n)); err != nil {
				t.Errorf("%d bytes in steps of %d: %v", n, step, err)
			}
			r, err := seal.NewReader(iotest.OneByteReader(bytes.NewReader(b.Bytes())), key, context)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(iotest.HalfReader(r)); err != nil || !bytes.Equal(got, plain(n)) {
				t.Errorf("byte by byte: %v", err)
			}
		}
	}
}

func TestSizeArithmetic(t *testing.T) {
	for sealedSize := range int64(4 * seal.ChunkSize) {
		n, err := seal.PlaintextSize(sealedSize)
		if err == nil && seal.SealedSize(n) != sealedSize {
			t.Fatalf("PlaintextSize(%d) = %d, but SealedSize(%d) = %d", sealedSize, n, n, seal.SealedSize(n))
		}
	}
	for _, bad := range []int64{-1, math.MinInt64, 0, seal.HeaderSize, seal.HeaderSize + seal.Overhead - 1, seal.HeaderSize + seal.ChunkSize + seal.Overhead,
		seal.HeaderSize + seal.ChunkSize + 2*seal.Overhead - 1} {
		if n, err := seal.PlaintextSize(bad); err == nil {
			t.Errorf("PlaintextSize(%d) = %d", bad, n)
		}
	}
	if n, err := seal.PlaintextSize(math.MaxInt64); err == nil && seal.SealedSize(n) != math.MaxInt64 {
		t.Error("overflow")
	}
	for _, bad := range []int64{-1, math.MaxInt64, math.MaxInt64 - 56} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("SealedSize(%d) did not panic", bad)
				}
			}()
			seal.SealedSize(bad)
		}()
	}
}

func TestEveryBitCounts(t *testing.T) {
	for _, n := range []int{0, 1, 100} {
		c := sealed(t, n)
		for i := range len(c) * 8 {
			c[i/8] ^= 1 << (i % 8)
			if err := opens(t, key, context, c, plain(n)); !errors.Is(err, seal.ErrAuth) {
				t.Fatalf("%d bytes, bit %d flipped: %v", n, i, err)
			}
			c[i/8] ^= 1 << (i % 8)
		}
	}
	c := sealed(t, 3*seal.ChunkSize+77)
	for i := 0; i < len(c)*8; i += 4999 {
		c[i/8] ^= 1 << (i % 8)
		if err := opens(t, key, context, c, plain(3*seal.ChunkSize+77)); !errors.Is(err, seal.ErrAuth) {
			t.Fatalf("bit %d flipped: %v", i, err)
		}
		c[i/8] ^= 1 << (i % 8)
	}
}

func TestRearranged(t *testing.T) {
	const whole = seal.ChunkSize + seal.Overhead
	n := 3*seal.ChunkSize + 77
	c := sealed(t, n)
	chunk := func(i int) []byte { return c[seal.HeaderSize+i*whole : min(len(c), seal.HeaderSize+(i+1)*whole)] }
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
		"chunk of another":       join(header, other[seal.HeaderSize:seal.HeaderSize+whole], chunk(1), chunk(2), chunk(3)),
		"header of another":      join(other[:seal.HeaderSize], chunk(0), chunk(1), chunk(2), chunk(3)),
		"salt of another":        join(other[:24], c[24:]),
		"commitment of another":  join(c[:24], other[24:seal.HeaderSize], c[seal.HeaderSize:]),
		"nothing":                nil,
		"full chunk as the last": sealed(t, 2*seal.ChunkSize)[:seal.HeaderSize+2*whole],
	} {
		if err := opens(t, key, context, bad, plain(n)); !errors.Is(err, seal.ErrAuth) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for cut := 0; cut < len(c); cut += 331 {
		if err := opens(t, key, context, c[:cut], plain(n)); !errors.Is(err, seal.ErrAuth) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
	short := sealed(t, 40)
	for cut := range short {
		if err := opens(t, key, context, short[:cut], plain(40)); !errors.Is(err, seal.ErrAuth) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
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
		if err := opens(t, k[0], k[1], c, plain(20_000)); !errors.Is(err, seal.ErrAuth) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	for _, n := range []int{0, 16, 31, 33, 64} {
		if _, err := seal.Seal(nil, make([]byte, n), nil, nil); err == nil {
			t.Errorf("a key of %d bytes was taken", n)
		}
	}
}

// A source that breaks off says so with an error that wraps io.ErrUnexpectedEOF.
func TestBrokenOffIsNotTruncated(t *testing.T) {
	c := sealed(t, 40_000)
	broken := fmt.Errorf("connection lost: %w", io.ErrUnexpectedEOF)
	r, err := seal.NewReader(io.MultiReader(bytes.NewReader(c[:30_000]), iotest.ErrReader(broken)), key, context)
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if errors.Is(err, seal.ErrAuth) {
		t.Error("a store that breaks off makes the container look forged")
	}
}

// A source that fails is not a container that lies.
func TestSourceErrorsAreTheirOwn(t *testing.T) {
	c := sealed(t, 40_000)
	broken := errors.New("disk on fire")
	for _, at := range []int{0, 10, seal.HeaderSize, seal.HeaderSize + 5, seal.HeaderSize + 20_000} {
		r, err := seal.NewReader(io.MultiReader(bytes.NewReader(c[:at]), iotest.ErrReader(broken)), key, context)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, broken) || errors.Is(err, seal.ErrAuth) {
			t.Errorf("failing at byte %d: %v", at, err)
		}
	}
}

func TestReaderAtPlaces(t *testing.T) {
	n := 3*seal.ChunkSize + 77
	want, c := plain(n), sealed(t, n)
	r, err := seal.NewReaderAt(bytes.NewReader(c), int64(len(c)), key, context)
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int{0, 1, seal.ChunkSize - 1, seal.ChunkSize, seal.ChunkSize + 1, 2 * seal.ChunkSize, n - 1} {
		for _, size := range []int{0, 1, 100, seal.ChunkSize, 2*seal.ChunkSize + 5} {
			p := make([]byte, size)
			got, err := r.ReadAt(p, int64(off))
			end := min(n, off+size)
			if got != end-off || !bytes.Equal(p[:got], want[off:end]) || (err == nil) != (got == size) || err != nil && err != io.EOF {
				t.Errorf("ReadAt(%d, %d) = %d, %v", off, size, got, err)
			}
		}
	}
	if _, err := r.ReadAt(make([]byte, 1), int64(n)); err != io.EOF {
		t.Errorf("behind the end: %v", err)
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("before the beginning")
	}
	done := make(chan error)
	for i := range 8 {
		go func() {
			p := make([]byte, n)
			_, err := r.ReadAt(p, 0)
			if err == nil && !bytes.Equal(p, want) {
				err = fmt.Errorf("goroutine %d read other bytes", i)
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A length that is lied about is found before a byte is given out.
func TestReaderAtAuthenticatesTheLength(t *testing.T) {
	c := sealed(t, 3*seal.ChunkSize+77)
	for _, lie := range []int{len(c) - 1, len(c) - 77, len(c) - 77 - seal.Overhead, seal.HeaderSize + seal.ChunkSize + 2*seal.Overhead, seal.HeaderSize + seal.Overhead} {
		if _, err := seal.NewReaderAt(bytes.NewReader(c), int64(lie), key, context); !errors.Is(err, seal.ErrAuth) {
			t.Errorf("opened as %d bytes of %d: %v", lie, len(c), err)
		}
	}
	if _, err := seal.NewReaderAt(bytes.NewReader(c), int64(len(c))+100, key, context); !errors.Is(err, seal.ErrAuth) {
		t.Error("opened as longer than it is")
	}
}

func FuzzMalleability(f *testing.F) {
	for _, n := range []int{0, 1, 100, seal.ChunkSize, seal.ChunkSize + 1} {
		b, err := seal.Seal(nil, key, context, plain(n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, c []byte) {
		p, err := seal.Open(nil, key, context, c)
		if err != nil {
			return
		}
		restore := seal.SetSalt(c[:24])
		defer restore()
		again, err := seal.Seal(nil, key, context, p)
		if err != nil || !bytes.Equal(again, c) {
			t.Fatal("a container opens that sealing would not have made")
		}
	})
}

func FuzzOpenHostile(f *testing.F) {
	f.Add([]byte{}, int64(0))
	f.Add(bytes.Repeat([]byte{1}, seal.HeaderSize+seal.Overhead), int64(72))
	f.Fuzz(func(t *testing.T, c []byte, size int64) {
		if err := opens(t, key, context, c, nil); err == nil {
			t.Skip() // the corpus may hold a real one
		}
		if r, err := seal.NewReaderAt(bytes.NewReader(c), size, key, context); err == nil && r.Size() > int64(len(c)) {
			t.Fatal("a container is larger inside than outside")
		}
	})
}
