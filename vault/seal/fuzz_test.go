package seal_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"photovault/vault/seal"
)

// canonical fails if what opens is not what sealing the plaintext makes.
func canonical(t *testing.T, key, context, container []byte) (opened bool) {
	t.Helper()
	p, _, err := agree(t, key, context, container)
	if err != nil {
		return false
	}
	again, err := seal.SealWith(nil, key, context, p, container[:24])
	if err != nil || !bytes.Equal(again, container) {
		t.Fatal("a container opens that sealing would not have made")
	}
	return true
}

func FuzzMalleability(f *testing.F) {
	for _, n := range []int{0, 1, 100, seal.ChunkSize, seal.ChunkSize + 1} {
		f.Add(sealed(f, n))
	}
	f.Fuzz(func(t *testing.T, c []byte) { canonical(t, key, context, c) })
}

// FuzzForeignFraming makes containers with the right key and any framing, so
// that what decides is the framing alone: four bytes are a chunk's size, modulo
// a little more than there may be, and number.
func FuzzForeignFraming(f *testing.F) {
	full := []byte{0x40, 0} // 16384
	number := func(n byte) []byte { return []byte{0, n} }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	f.Add(join([]byte{0, 100}, number(0)))
	f.Add(join(full, number(0), []byte{0, 0}, number(1)))
	f.Add(join(full, number(0)))
	f.Add(join([]byte{0x40, 1}, number(0)))
	f.Add(join([]byte{0x3f, 0xff}, number(0), []byte{0, 1}, number(1)))
	f.Add(join(full, number(1), full, number(0), []byte{0, 5}, number(2)))
	salt := bytes.Repeat([]byte{5}, 24)
	f.Fuzz(func(t *testing.T, script []byte) {
		var frames []frame
		total := 0
		wanted := false // whether it may open: all full but the last, in order
		for ; len(script) >= 4 && len(frames) < 8; script = script[4:] {
			fr := frame{int(binary.BigEndian.Uint16(script)) % (sealedChunk + 2), uint64(binary.BigEndian.Uint16(script[2:]))}
			inOrder := fr.number == uint64(len(frames))
			for _, before := range frames {
				inOrder = inOrder && before.size == seal.ChunkSize
			}
			for i, before := range frames {
				inOrder = inOrder && before.number == uint64(i)
			}
			wanted = inOrder && fr.size < seal.ChunkSize
			frames, total = append(frames, fr), total+fr.size
		}
		c := forge(t, key, context, salt, plain(total), frames)
		if opened := canonical(t, key, context, c); opened != wanted {
			t.Fatalf("%v opens: %v, want %v", frames, opened, wanted)
		}
	})
}

// FuzzOpenHostile tries any bytes as a file, and behind a header that is right
// also as chunks, with any size said of them.
func FuzzOpenHostile(f *testing.F) {
	f.Add([]byte{}, int64(0))
	f.Add(bytes.Repeat([]byte{1}, seal.HeaderSize+seal.Overhead), int64(72))
	f.Add(bytes.Repeat([]byte{1}, sealedChunk), int64(seal.HeaderSize+sealedChunk))
	f.Add(bytes.Repeat([]byte{1}, 2*sealedChunk+20), int64(1)<<62)
	salt := bytes.Repeat([]byte{5}, 24)
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		header := forge(t, key, context, salt, nil, nil)
		for _, c := range [][]byte{b, append(header, b...)} {
			agree(t, key, context, c)
			r, err := seal.NewReaderAt(bytes.NewReader(c), size, key, context)
			if err != nil {
				if err != seal.ErrAuth {
					t.Fatalf("%v is more than ErrAuth", err)
				}
				continue
			}
			if r.Size() > int64(len(c)) || size != seal.SealedSize(r.Size()) {
				t.Fatalf("%d bytes are opened as %d that hold %d", len(c), size, r.Size())
			}
		}
	})
}
