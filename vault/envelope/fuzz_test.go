package envelope_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"photovault/vault/envelope"
)

// FuzzOpen tries hostile envelopes on the keys of the vectors: those open,
// and nothing else does.
func FuzzOpen(f *testing.F) {
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		f.Fatal(err)
	}
	var short []vector
	var openers []tablet
	for _, v := range parseVectors(f, raw) {
		if v.Size != 1 {
			continue
		}
		short, openers = append(short, v), append(openers, v.opener(f))
		f.Add(v.Envelope)
		f.Add(v.Envelope[:len(v.Envelope)-1])
		f.Add(v.Envelope[:envelope.HeaderSize(v.Suite)])
	}
	f.Add([]byte("PVEN\x00\x01\x00\x10"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		for i, x := range openers {
			if len(b) >= 80 { // the ids are made right, so that the fuzzer gets past them
				b = bytes.Clone(b)
				copy(b[8:44], x.key.ID())
				copy(b[44:80], x.capture)
			}
			_, err := x.open(bytes.NewReader(b))
			switch {
			case err == nil && !bytes.Equal(b, short[i].Envelope):
				t.Fatalf("%x opens and was never sealed", b)
			case err != nil && !errors.Is(err, envelope.ErrFormat) && !errors.Is(err, envelope.ErrRefused):
				t.Fatal(err)
			}
		}
	})
}
