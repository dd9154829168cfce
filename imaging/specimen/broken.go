package specimen

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// Broken is a file that must be refused, with the code it must be refused with.
type Broken struct {
	Name, Code string
	Data       []byte
}

// Bombs are small files that ask for much.
func Bombs() []Broken {
	plain := JPEG(Options{Width: 64, Height: 64})
	return []Broken{
		{"65500×65500 pixels", "too_many_pixels", withSize(plain, 65500, 65500)},
		{"12000×12000 pixels", "too_many_pixels", withSize(plain, 12000, 12000)},
		{"a side of 65535", "too_many_pixels", withSize(plain, 65535, 16)},
		{"progressive, 8000×6000", "too_complex", progressive(8000, 6000, 2)},
		{"progressive, 100 empty scans", "corrupt", progressive(1000, 1000, 100)},
		{"more scans than the standard has bits", "too_complex", progressive(16, 16, 200)},
		{"wide but empty", "truncated", withSize(plain, 4000, 3000)},
		{"wider and empty", "truncated", withSize(plain, 6000, 4000)},
	}
}

// Malformed are files that a tolerant decoder would open and that hide something or cannot be right.
func Malformed() []Broken {
	plain := JPEG(Options{Width: 64, Height: 48})
	sof := find(plain, 0xC0)
	sos := find(plain, 0xDA)
	end := len(plain) - 2
	replace := func(at int, b ...byte) []byte {
		out := append([]byte(nil), plain...)
		copy(out[at:], b)
		return out
	}
	insert := func(at int, b ...byte) []byte {
		out := append([]byte(nil), plain[:at]...)
		return append(append(out, b...), plain[at:]...)
	}
	scan := plain[sos:end]
	return []Broken{
		{"nothing", "unsupported_format", nil},
		{"start of image alone", "truncated", plain[:2]},
		{"no scan", "corrupt", append(append([]byte(nil), plain[:sos]...), 0xFF, 0xD9)},
		{"no end of image", "truncated", plain[:end]},
		{"the same scan twice", "corrupt", insert(end, scan...)},
		{"an image within the image", "corrupt", insert(sos, plain...)},
		{"two frames", "corrupt", insert(sos, plain[sof:sos]...)},
		{"no height", "unsupported_coding", replace(sof+5, 0, 0)},
		{"no width", "corrupt", replace(sof+7, 0, 0)},
		{"12 bits", "unsupported_coding", replace(sof+4, 12)},
		{"arithmetic coding", "unsupported_coding", replace(sof, 0xFF, 0xC9)},
		{"lossless", "unsupported_coding", replace(sof, 0xFF, 0xC3)},
		{"JPEG-LS", "unsupported_coding", insert(2, segment(nil, 0xF7, []byte{8, 0, 48, 0, 64, 1, 1, 0x11, 0})...)},
		{"lines defined later", "unsupported_coding", insert(end, 0xFF, 0xDC, 0, 4, 0, 48)},
		{"sampling of zero", "corrupt", replace(sof+11, 0)},
		{"sampling of three", "unsupported_coding", replace(sof+11, 0x31)},
		{"a table with a tail", "corrupt", insert(2, segment(nil, 0xDB, make([]byte, 70))...)},
		{"an empty Huffman table", "corrupt", insert(2, segment(nil, 0xC4, make([]byte, 17))...)},
		{"Huffman values twice", "corrupt", insert(2, segment(nil, 0xC4, append([]byte{0, 0, 2}, make([]byte, 16)...))...)},
		{"a segment longer than the file", "truncated", insert(2, 0xFF, 0xE1, 0xFF, 0xFF)},
		{"a segment of length one", "corrupt", insert(2, 0xFF, 0xE1, 0, 1)},
		{"a reserved marker", "corrupt", insert(2, 0xFF, 0x02, 0, 4, 0, 0)},
		{"restarts that never come", "corrupt", insert(sos, 0xFF, 0xDD, 0, 4, 0, 1)},
		{"four components, halved oddly", "unsupported_coding", fourComponents(plain, sof, sos)},
	}
}

// Cuts returns the photo cut off at n places spread over its length, never behind its end marker.
func Cuts(photo []byte, n int) [][]byte {
	var out [][]byte
	for i := range n {
		out = append(out, photo[:2+(len(photo)-4)*i/n])
	}
	return out
}

// Mutants returns n damaged copies: bytes overwritten, bits flipped, parts cut out, repeated or
// moved, lengths changed.
func Mutants(photo []byte, n int, seed uint64) [][]byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([][]byte, n)
	for i := range out {
		m := append([]byte(nil), photo...)
		for range 1 + rng.IntN(4) {
			at := rng.IntN(len(m) - 8)
			if rng.IntN(2) == 0 {
				at = rng.IntN(min(len(m)-8, 2048)) // headers are where it hurts
			}
			switch rng.IntN(6) {
			case 0:
				m[at] = byte(rng.Uint32())
			case 1:
				m[at] ^= 1 << rng.IntN(8)
			case 2:
				k := 1 + rng.IntN(min(200, len(m)-at-4))
				m = append(m[:at:at], m[at+k:]...)
			case 3:
				k := 1 + rng.IntN(min(200, len(m)-at-4))
				m = append(m[:at+k:at+k], m[at:]...)
			case 4:
				binary.BigEndian.PutUint16(m[at:], []uint16{0, 1, 2, 0xFFFF, 0x8000}[rng.IntN(5)])
			case 5:
				m[at], m[at+1] = 0xFF, byte(0xC0+rng.IntN(64))
			}
		}
		out[i] = m
	}
	return out
}

// HostileEXIF are TIFF blocks built against EXIF readers.
func HostileEXIF() map[string][]byte {
	le := binary.LittleEndian
	block := func(next uint32, entries ...[12]byte) []byte {
		b := []byte("II*\x00\x08\x00\x00\x00")
		b = le.AppendUint16(b, uint16(len(entries)))
		for _, e := range entries {
			b = append(b, e[:]...)
		}
		return append(le.AppendUint32(b, next), make([]byte, 64)...)
	}
	entry := func(tag, typ uint16, count, value uint32) (e [12]byte) {
		le.PutUint16(e[0:], tag)
		le.PutUint16(e[2:], typ)
		le.PutUint32(e[4:], count)
		le.PutUint32(e[8:], value)
		return e
	}
	many := []byte("II*\x00\x08\x00\x00\x00\xFF\xFF")
	overlap := make([][12]byte, 400)
	for i := range overlap {
		overlap[i] = entry(uint16(0x9000+i), 5, 600, 0)
	}
	out := map[string][]byte{
		"size × count overflows 32 bits": block(0, entry(0x9000, 5, 0x20000001, 8)),
		"count of 4 billion":             block(0, entry(0x9000, 1, 0xFFFFFFFE, 8)),
		"directory points to itself":     block(8),
		"sub-directory points to itself": block(0, entry(0x8769, 4, 1, 8)),
		"sub-directory outside":          block(0, entry(0x8825, 4, 1, 0xFFFFFFF0)),
		"65535 entries":                  append(many, make([]byte, 4096)...),
		"values that overlap":            append(block(0, overlap...), make([]byte, 600)...),
		"unknown type":                   block(0, entry(0x9000, 99, 1, 0)),
		"empty":                          []byte("II*\x00"),
		"no TIFF":                        []byte("hello, world: not a TIFF header"),
	}
	chain := []byte("II*\x00\x08\x00\x00\x00")
	for i := range 200 {
		chain = le.AppendUint16(chain, 0)
		chain = le.AppendUint32(chain, uint32(8+6*(i+1)))
	}
	out["200 directories in a chain"] = append(chain, make([]byte, 16)...)
	return out
}

// WithEXIF gives a photo an EXIF block of any content.
func WithEXIF(plain, tiff []byte) []byte {
	out := segment(append([]byte(nil), plain[:2]...), 0xE1, append([]byte("Exif\x00\x00"), tiff...))
	return append(out, plain[2:]...)
}

// find returns where the first segment with the given marker begins.
func find(jpeg []byte, marker byte) int {
	for at := 2; at+4 <= len(jpeg); at += 2 + int(binary.BigEndian.Uint16(jpeg[at+2:])) {
		if jpeg[at+1] == marker {
			return at
		}
	}
	panic(fmt.Sprintf("specimen: no segment %02X", marker))
}

// withSize makes the frame header claim another size.
func withSize(plain []byte, w, h int) []byte {
	out := append([]byte(nil), plain...)
	at := find(out, 0xC0)
	binary.BigEndian.PutUint16(out[at+5:], uint16(h))
	binary.BigEndian.PutUint16(out[at+7:], uint16(w))
	return out
}

// progressive makes a file of n scans that each say "nothing changes" in as few bytes as can be.
func progressive(w, h, n int) []byte {
	out := []byte{0xFF, 0xD8}
	out = segment(out, 0xDB, append([]byte{0}, make([]byte, 64)...))
	out = segment(out, 0xC2, []byte{8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0})
	out = segment(out, 0xC4, append([]byte{0x00, 1}, make([]byte, 16)...))
	// One AC code: a run of 32767 blocks without coefficients.
	ac := append([]byte{0x10, 1}, make([]byte, 15)...)
	out = segment(out, 0xC4, append(ac, 0xE0))
	for i := range n {
		out = segment(out, 0xDA, []byte{1, byte(1 + i%3), 0, byte(1 + i/3%63), byte(1 + i/3%63), 0})
		out = append(out, 0x7F, 0x7F, 0x7F, 0x7F)
	}
	return append(out, 0xFF, 0xD9)
}

// fourComponents claims a fourth component.
func fourComponents(plain []byte, sof, sos int) []byte {
	body := append([]byte(nil), plain[sof+4:sof+4+15]...)
	body[5] = 4
	body = append(body, 4, 0x11, 0)
	out := segment(append([]byte(nil), plain[:sof]...), 0xC0, body)
	return append(out, plain[sof+2+17:]...)
}
