package sealer_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"photovault/vault/envelope"
	"photovault/vault/id"
	"photovault/vault/seal"
)

func (c *clinic) open(sealed []byte, capture id.Capture) ([]byte, error) {
	r, err := envelope.Open(bytes.NewReader(sealed), c.find, c.practice, capture)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

type sealCase struct {
	Suite  envelope.Suite `json:"suite"`
	Size   int            `json:"size"`
	Slices [][2]int64     `json:"slices"`
}

func TestTheServiceOpensWhatTheSealerSealed(t *testing.T) {
	a := newApp(t)
	c := newClinic(t, time.Now().Add(time.Hour))
	random := rand.New(rand.NewPCG(1, 2))
	var cases []sealCase
	for _, s := range suites {
		for _, n := range []int{0, 1, seal.ChunkSize - 1, seal.ChunkSize, seal.ChunkSize + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3_333_333} {
			k := sealCase{Suite: s, Size: n}
			size := envelope.SealedSize(s, int64(n))
			header := int64(envelope.HeaderSize(s))
			k.Slices = [][2]int64{{0, 0}, {size, size}, {0, 1}, {size - 1, size}, {header - 1, header + 1}, {header + 55, header + 57}}
			for range 20 {
				at := random.Int64N(size + 1)
				k.Slices = append(k.Slices, [2]int64{at, at + random.Int64N(size-at+1)})
			}
			cases = append(cases, k)
		}
	}
	type result struct {
		File, Capture, UploadKey string
		Size, Predicted          int64
		Ways                     map[string]string
		Slices                   []string
	}
	results := run[[]result](a, map[string]any{"folder": t.TempDir(), "enrolment": c.enrolment(), "cases": cases}, "seal.mjs")
	if len(results) != len(cases) {
		t.Fatalf("%d answers to %d cases", len(results), len(cases))
	}
	captures := map[string]bool{}
	for i, k := range cases {
		t.Run(fmt.Sprintf("%s/%d", k.Suite, k.Size), func(t *testing.T) {
			r := results[i]
			capture, err := id.Parse[id.Capture](r.Capture)
			must(t, err)
			if captures[r.Capture] {
				t.Error("a capture id came twice")
			}
			captures[r.Capture] = true
			sealed, err := os.ReadFile(r.File)
			must(t, err)
			if want := envelope.SealedSize(k.Suite, int64(k.Size)); int64(len(sealed)) != want || r.Size != want || r.Predicted != want {
				t.Errorf("%d bytes, size %d, predicted %d; SealedSize says %d", len(sealed), r.Size, r.Predicted, want)
			}
			streamed, err := os.ReadFile(r.File + ".streamed")
			must(t, err)
			for name, b := range map[string][]byte{"blob": sealed, "stream": streamed} {
				if plain, err := c.open(b, capture); err != nil || !bytes.Equal(plain, patterned(k.Size)) {
					t.Errorf("sealed from a %s: %d bytes, %v", name, len(plain), err)
				}
				_, err := c.open(b, id.New[id.Capture]())
				refused(t, "another capture", err)
				_, err = c.open(b[:len(b)-1], capture)
				refused(t, "cut", err)
			}
			if n := envelope.HeaderSize(k.Suite); bytes.Equal(sealed[80:n], streamed[80:n]) || bytes.Equal(sealed[n:n+24], streamed[n:n+24]) {
				t.Error("two sealed files share an encapsulated key or a salt")
			}
			if c.keys[id.UploadKey(r.UploadKey)].Suite() != k.Suite {
				t.Error("sealed to the key of another suite")
			}
			for way, got := range r.Ways {
				if got != digest(sealed) {
					t.Errorf("%s: other bytes", way)
				}
			}
			for j, s := range k.Slices {
				if r.Slices[j] != digest(sealed[s[0]:s[1]]) {
					t.Errorf("slice %d to %d: other bytes than the whole has there", s[0], s[1])
				}
			}
		})
	}
}
