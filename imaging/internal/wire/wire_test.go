package wire_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"photovault/imaging/internal/wire"
)

var answer = wire.Answer{
	Findings: wire.Findings{Format: "jpeg", Width: 3, Height: 4, CaptureTime: "2026:03:14 09:26:53", Orientation: 6,
		HadGPS: true, EXIFUnreadable: true, Removed: []wire.Removed{{Kind: "EXIF", Bytes: 12}, {Kind: "trailer", Bytes: 1 << 40}},
		CodedDataKept: true, OrientationBaked: true, ColourConverted: true, SourceProfile: "Display P3",
		Pixels: wire.Pixels{Decoded: [32]byte{1}, Encoded: [32]byte{2}}},
	Renditions: []wire.Rendition{{Name: "original", ContentType: "image/jpeg", Width: 4, Height: 3, Data: []byte("abc")},
		{Name: "web", ContentType: "image/jpeg", Width: 4, Height: 3, Data: []byte("de")}},
	Seen: []wire.Seen{{ContentType: "image/jpeg", Width: 1, Height: 2, Pixels: [32]byte{3}}},
	Held: wire.Seccomp | wire.OpenDenied,
	Need: 1 << 40,
	HEVC: true,
}

func encode(t testing.TB, a wire.Answer) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := wire.WriteAnswer(&b, a); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestMessagesArriveAsSent(t *testing.T) {
	var b bytes.Buffer
	q := wire.Request{Mode: wire.Scan, Limits: wire.Limits{MaxPixels: 1, MaxSide: 2, MemoryBytes: 3}, Regions: []wire.Region{{Shape: wire.Ellipse, X: 1, Y: 2, Width: 3, Height: 9998}},
		Blobs: [][]byte{[]byte("one"), {}, []byte("three")}}
	if err := errors.Join(wire.WriteHello(&b, wire.Hello{Fences: wire.Landlock}), wire.WriteRequest(&b, q), wire.WriteAnswer(&b, answer)); err != nil {
		t.Fatal(err)
	}
	if h, err := wire.ReadHello(&b); err != nil || h.Fences != wire.Landlock {
		t.Errorf("hello %v, %v", h, err)
	}
	gotQ, err := wire.ReadRequest(&b, 100)
	if diff := cmp.Diff(q, gotQ); err != nil || diff != "" {
		t.Errorf("request: %v\n%s", err, diff)
	}
	gotA, err := wire.ReadAnswer(&b, 100)
	if diff := cmp.Diff(answer, gotA); err != nil || diff != "" {
		t.Errorf("answer: %v\n%s", err, diff)
	}
	if err := wire.ReadEnd(&b); err != nil {
		t.Error(err)
	}
}

func TestPiecesArriveAsOne(t *testing.T) {
	a := answer
	a.Renditions = append([]wire.Rendition(nil), answer.Renditions...)
	a.Renditions[0].Data = nil
	a.Pieces = [][][]byte{{[]byte("a"), nil, []byte("bc")}}
	got, err := wire.ReadAnswer(bytes.NewReader(encode(t, a)), 100)
	if diff := cmp.Diff(answer, got); err != nil || diff != "" {
		t.Errorf("answer: %v\n%s", err, diff)
	}
}

func TestEveryCutIsNoticed(t *testing.T) {
	whole := encode(t, answer)
	for n := range whole {
		if _, err := wire.ReadAnswer(bytes.NewReader(whole[:n]), 100); err == nil {
			t.Errorf("cut at %d: accepted", n)
		} else if n > 8 && errors.Is(err, io.EOF) {
			t.Errorf("cut at %d: reads as a clean end", n)
		}
	}
}

func TestBoundsAreKept(t *testing.T) {
	if _, err := wire.ReadAnswer(bytes.NewReader(encode(t, answer)), 4); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("more blobs than admitted: %v", err)
	}
	// A head that promises 4 GiB costs nothing.
	if _, err := wire.ReadAnswer(bytes.NewReader([]byte("pvA1\xFF\xFF\xFF\xFF")), 100); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("huge head: %v", err)
	}
	if err := wire.ReadEnd(bytes.NewReader([]byte("x"))); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("more data: %v", err)
	}
}

func TestTextIsMadePrintable(t *testing.T) {
	a := wire.Answer{Code: "x\x00\x1b[31m\nü", Detail: string(bytes.Repeat([]byte("y"), 1000))}
	got, err := wire.ReadAnswer(bytes.NewReader(encode(t, a)), 0)
	if err != nil || got.Code != "x??[31m???" || len(got.Detail) != 256 {
		t.Errorf("%q %d %v", got.Code, len(got.Detail), err)
	}
	// A worker that does not make it so is refused.
	raw := bytes.Replace(encode(t, wire.Answer{Code: "abc"}), []byte("abc"), []byte("a\x1bc"), 1)
	if _, err := wire.ReadAnswer(bytes.NewReader(raw), 0); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("control characters: %v", err)
	}
}

// Reading is the inverse of writing, and hostile frames cost no more than their bounds.
func FuzzReadAnswer(f *testing.F) {
	f.Add(encode(f, answer))
	f.Add(encode(f, wire.Answer{Code: "truncated", Detail: "no end of image"}))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		a, err := wire.ReadAnswer(r, 1<<20)
		if err != nil {
			return
		}
		if got := encode(t, a); !bytes.Equal(got, in[:len(in)-r.Len()]) {
			t.Errorf("read and written back differs:\n%x\n%x", in, got)
		}
	})
}
