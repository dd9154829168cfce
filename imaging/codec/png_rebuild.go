package codec

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"sync"
)

// appendChunk writes one chunk.
func appendChunk(out []byte, name string, body []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
	start := len(out)
	out = append(append(out, name...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[start:]))
}

var (
	pngEnd    = appendChunk(nil, "IEND", nil)
	srgbChunk = appendChunk(nil, "sRGB", []byte{0}) // perceptual, which is for photos
)

// pngTag is what a PNG written here says of its colours.
type pngTag byte

const (
	tagNone pngTag = iota // nothing, which every reader takes for sRGB
	tagSRGB
	tagP3
)

// displayP3Chunk is the canonical profile as an iCCP chunk.
var displayP3Chunk = sync.OnceValue(func() []byte {
	buf := bytes.NewBufferString("Display P3\x00\x00")
	z := zlib.NewWriter(buf)
	_, _ = z.Write(canonicalDisplayP3) // a buffer takes everything
	_ = z.Close()
	return appendChunk(nil, "iCCP", buf.Bytes())
})

// head composes everything ahead of the image data.
func (h pngHeader) head(tag pngTag) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(h.width))
	b = binary.BigEndian.AppendUint32(b, uint32(h.height))
	b = append(b, h.depth, h.kind, 0, 0, 0)
	if h.interlaced {
		b[12] = 1
	}
	out := appendChunk([]byte(pngSignature), "IHDR", b)
	switch tag {
	case tagSRGB:
		out = append(out, srgbChunk...)
	case tagP3:
		out = append(out, displayP3Chunk()...)
	}
	return out
}

// tag is what a picture whose samples are kept says of its colours.
func (c colours) tag() pngTag {
	switch {
	case c.p3:
		return tagP3
	case c.class == "none":
		return tagNone
	}
	return tagSRGB
}

// head composes what stands ahead of the image data.
func (l *pngLayout) head() []byte {
	out := l.pngHeader.head(l.colour.tag())
	if l.palette != nil {
		out = appendChunk(out, "PLTE", l.palette)
	}
	if len(l.trns) > 0 {
		out = appendChunk(out, "tRNS", l.trns)
	}
	return out
}

// tidyPalette is called once walk knows which colours pixels name. Others would be free text: they
// become black, or are left off at the end.
func (l *pngLayout) tidyPalette() {
	n := 0
	for i, u := range l.used {
		if u {
			n = i + 1
		}
	}
	unused := len(l.palette) - 3*n + max(0, len(l.trns)-n)
	l.palette = append([]byte(nil), l.palette[:3*n]...)
	l.trns = l.trns[:min(n, len(l.trns))]
	for i := range n {
		if l.used[i] {
			continue
		}
		if c := l.palette[3*i : 3*i+3]; string(c) != "\x00\x00\x00" {
			copy(c, "\x00\x00\x00")
			unused += 3
		}
		if i < len(l.trns) && l.trns[i] != 0xFF {
			l.trns[i] = 0xFF
			unused++
		}
	}
	for len(l.trns) > 0 && l.trns[len(l.trns)-1] == 0xFF {
		l.trns = l.trns[:len(l.trns)-1]
	}
	l.removed.add("unused tables", unused)
}

// idat collects the body of an IDAT chunk in pieces, up to a bound.
type idat struct {
	done pieces
	part []byte
	left int64
}

func (d *idat) Write(p []byte) (int, error) {
	if d.left -= int64(len(p)); d.left < 0 {
		return 0, refuse(CodeComplex, "image data that grows beyond bounds when it is coded anew")
	}
	for rest := p; len(rest) > 0; {
		if len(d.part) == cap(d.part) {
			d.done = append(d.done, d.part)
			d.part = make([]byte, 0, chunkSize)
		}
		n := min(len(rest), cap(d.part)-len(d.part))
		d.part = append(d.part, rest[:n]...)
		rest = rest[n:]
	}
	return len(p), nil
}

// finish makes a PNG of a head and the data collected.
func (d *idat) finish(head []byte) pieces {
	body := append(d.done, d.part)
	crc := crc32.ChecksumIEEE([]byte("IDAT"))
	for _, p := range body {
		crc = crc32.Update(crc, crc32.IEEETable, p)
	}
	head = binary.BigEndian.AppendUint32(head, uint32(body.size()))
	out := append(pieces{append(head, "IDAT"...)}, body...)
	return append(out, append(binary.BigEndian.AppendUint32(nil, crc), pngEnd...))
}
