package codec

import (
	"encoding/binary"
	"hash/crc32"

	"photovault/imaging/internal/wire"
)

// pngSignature is what every PNG begins with (PNG third edition 5.2).
const pngSignature = "\x89PNG\r\n\x1a\n"

// Colour types (PNG 11.2.1).
const (
	pngGray, pngRGB, pngPalette, pngGrayAlpha, pngRGBA = 0, 2, 3, 4, 6
)

// pngHeader is an IHDR chunk.
type pngHeader struct {
	width, height int
	depth, kind   byte
	interlaced    bool
}

// pngLayout is what a PNG consists of once everything that is not needed to show it is left out. Its
// slices point into the input.
type pngLayout struct {
	pngHeader
	palette []byte   // RGB triples
	trns    []byte   // as in a tRNS chunk
	data    [][]byte // bodies of IDAT chunks
	used    [256]bool
	keyed   bool // some pixel has the colour that trns makes transparent

	source pngColour
	colour colours
	// Bytes of chunks about colour: counted once it is known which are written.
	profiled, described int
	exif                []byte
	xmpGPS              bool
	inflated            int // bytes of XMP, to look for a position
	removed             removals
	size                int // of the input
}

// IsPNG reports whether data begins as a PNG does, even where a transfer in text mode has damaged the
// rest of the signature.
func IsPNG(data []byte) bool { return len(data) >= 4 && string(data[:4]) == pngSignature[:4] }

// parsePNG reads the structure of a PNG without inflating it. Only what is on the allow-list enters
// the layout; everything else is counted and forgotten.
func parsePNG(in []byte, lim wire.Limits) (*pngLayout, error) {
	if len(in) < len(pngSignature) {
		return nil, refuse(CodeTruncated, "ends inside the signature")
	}
	if string(in[:len(pngSignature)]) != pngSignature {
		return nil, refuse(CodeCorrupt, "the signature is damaged, as by a transfer in text mode")
	}
	l := &pngLayout{size: len(in)}
	pos := len(pngSignature)
	for {
		if len(in)-pos < 12 {
			return nil, refuse(CodeTruncated, "no end of image")
		}
		n := int64(binary.BigEndian.Uint32(in[pos:]))
		if n > 1<<31-1 {
			return nil, refuse(CodeCorrupt, "a chunk of %d bytes", n)
		}
		if n > int64(len(in)-pos-12) {
			return nil, refuse(CodeTruncated, "ends inside a chunk")
		}
		name, body := string(in[pos+4:pos+8]), in[pos+8:pos+8+int(n)]
		if crc32.ChecksumIEEE(in[pos+4:pos+8+int(n)]) != binary.BigEndian.Uint32(in[pos+8+int(n):]) {
			return nil, refuse(CodeCorrupt, "a chunk's checksum does not match")
		}
		first := pos == len(pngSignature)
		pos += 12 + int(n)
		if first != (name == "IHDR") {
			return nil, headerMissing(name, first)
		}
		if name == "IEND" {
			l.removed.add("trailer", len(in)-pos+int(n))
			return l, l.finish()
		}
		if err := l.chunk(name, body, lim); err != nil {
			return nil, err
		}
	}
}

func headerMissing(name string, first bool) error {
	switch {
	case first && name == "CgBI":
		return refuse(CodeCoding, "a PNG made for one maker's devices only")
	case first:
		return refuse(CodeCorrupt, "does not begin with its header")
	}
	return refuse(CodeCorrupt, "two headers")
}

// chunk takes one chunk other than the end.
func (l *pngLayout) chunk(name string, body []byte, lim wire.Limits) error {
	size := len(body) + 12
	switch name {
	case "IHDR":
		return l.header(body, lim)
	case "PLTE":
		return l.paletteChunk(body, size)
	case "tRNS":
		return l.transparency(body)
	case "IDAT":
		l.data = append(l.data, body)
		return nil
	case "iCCP", "cICP", "sRGB", "gAMA", "cHRM":
		if l.palette != nil || l.data != nil {
			// Too late to count (PNG 5.6): every reader has its colours by now.
			l.removed.add("colour description", size)
			return nil
		}
		if err := l.source.chunk(name, body); err != nil {
			return err
		}
		if name == "iCCP" {
			l.profiled += size
		} else {
			l.described += size
		}
		return nil
	case "eXIf":
		if l.exif == nil {
			l.exif = body
		}
		l.removed.add("EXIF", size)
		return nil
	}
	if name[0]&0x20 == 0 {
		// A critical chunk: its meaning is needed to show the picture (PNG 5.4).
		return refuse(CodeCoding, "a critical chunk that is not known")
	}
	l.removed.add(l.kindOf(name, body), size)
	return nil
}

// kindOf names an ancillary chunk that is left out.
func (l *pngLayout) kindOf(name string, body []byte) string {
	switch name {
	case "tEXt", "zTXt", "iTXt":
		if isXMPChunk(body) {
			l.xmpGPS = l.xmpGPS || l.mentionsGPS(body)
			return "XMP"
		}
		return "text"
	case "tIME":
		return "time stamp"
	case "acTL", "fcTL", "fdAT":
		return "animation"
	case "sBIT", "bKGD", "pHYs", "hIST", "sPLT", "oFFs", "pCAL", "sCAL", "sTER", "mDCV", "cLLI":
		return "display hints"
	}
	return "unknown chunks"
}

// samples is how many samples a pixel has as it is coded.
func (h pngHeader) samples() int {
	switch h.kind {
	case pngRGB:
		return 3
	case pngGrayAlpha:
		return 2
	case pngRGBA:
		return 4
	}
	return 1
}

// rowBytes is the size of a row of w pixels without its filter byte.
func (h pngHeader) rowBytes(w int) int { return (w*h.samples()*int(h.depth) + 7) / 8 }

// pixelBytes is the distance of bytes that filters compare (PNG 9.2).
func (h pngHeader) pixelBytes() int { return max(1, h.samples()*int(h.depth)/8) }

func (l *pngLayout) header(body []byte, lim wire.Limits) error {
	if len(body) != 13 {
		return refuse(CodeCorrupt, "a header of %d bytes", len(body))
	}
	w, h := int64(binary.BigEndian.Uint32(body)), int64(binary.BigEndian.Uint32(body[4:]))
	if w == 0 || h == 0 || w > 1<<31-1 || h > 1<<31-1 {
		return refuse(CodeCorrupt, "%d×%d pixels", w, h)
	}
	if max(w, h) > lim.MaxSide || w*h > lim.MaxPixels {
		return refuse(CodePixels, "%d×%d pixels", w, h)
	}
	l.pngHeader = pngHeader{int(w), int(h), body[8], body[9], body[12] == 1}
	allowed := map[byte]uint32{pngGray: 1<<1 | 1<<2 | 1<<4 | 1<<8 | 1<<16, pngRGB: 1<<8 | 1<<16,
		pngPalette: 1<<1 | 1<<2 | 1<<4 | 1<<8, pngGrayAlpha: 1<<8 | 1<<16, pngRGBA: 1<<8 | 1<<16}
	if l.depth > 16 || allowed[l.kind]&(1<<l.depth) == 0 || body[10] != 0 || body[11] != 0 || body[12] > 1 {
		return refuse(CodeCorrupt, "no such kind of PNG")
	}
	return nil
}

func (l *pngLayout) paletteChunk(body []byte, size int) error {
	if len(body) == 0 || len(body)%3 != 0 || len(body) > 768 || l.palette != nil || l.data != nil || l.kind == pngGray || l.kind == pngGrayAlpha {
		return refuse(CodeCorrupt, "a palette that cannot be")
	}
	if l.kind != pngPalette {
		l.removed.add("display hints", size) // a suggestion for screens of few colours
		return nil
	}
	if len(body)/3 > 1<<l.depth {
		return refuse(CodeCorrupt, "more colours than pixels can name")
	}
	l.palette = body
	return nil
}

func (l *pngLayout) transparency(body []byte) error {
	ok := l.trns == nil && l.data == nil
	switch l.kind {
	case pngGray:
		ok = ok && len(body) == 2
	case pngRGB:
		ok = ok && len(body) == 6
	case pngPalette:
		ok = ok && len(body) > 0 && 3*len(body) <= len(l.palette)
	default:
		ok = false
	}
	if !ok {
		return refuse(CodeCorrupt, "a transparency that cannot be")
	}
	l.trns = append([]byte(nil), body...)
	if l.kind != pngPalette && l.depth < 16 {
		// Only the low bits are compared; the others would be free text.
		for i := 0; i < len(body); i += 2 {
			v := binary.BigEndian.Uint16(body[i:]) & (1<<l.depth - 1)
			binary.BigEndian.PutUint16(l.trns[i:], v)
		}
	}
	return nil
}

// finish settles what can only be known once the end of the image was seen.
func (l *pngLayout) finish() (err error) {
	if len(l.data) == 0 || l.kind == pngPalette && l.palette == nil {
		return refuse(CodeCorrupt, "no image data")
	}
	if l.colour, err = l.source.judge(l.kind == pngGray || l.kind == pngGrayAlpha); err != nil {
		return err
	}
	switch l.colour.tag() {
	case tagSRGB:
		l.described -= len(srgbChunk)
	case tagP3:
		l.profiled -= len(displayP3Chunk())
	}
	l.removed.add("ICC profile", max(0, l.profiled))
	l.removed.add("colour description", max(0, l.described))
	return nil
}
