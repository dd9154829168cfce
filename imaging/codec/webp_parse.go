package codec

import (
	"bytes"
	"encoding/binary"

	"photovault/imaging/internal/wire"
)

// webpLayout is what a WebP consists of once everything that is not needed to show its first picture
// is left out. Its slices point into the input.
type webpLayout struct {
	width, height int
	lossy         []byte // a VP8 frame, or
	lossless      []byte // a VP8L stream
	alpha         []byte // an ALPH chunk beside a frame
	icc           []byte
	colour        colours
	exif          []byte
	xmpGPS        bool
	iccSize       int // bytes of ICCP chunks: counted once it is known whether one is written
	removed       removals
	size          int // of the input
}

// IsWebP reports whether data begins as a WebP does.
func IsWebP(data []byte) bool {
	return len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP"
}

// riffChunk is one chunk of a RIFF file.
type riffChunk struct {
	name string
	body []byte
	size int // in the file, with its header and padding
}

// nextRIFF takes the first chunk off p. A padding byte at the very end may be missing.
func nextRIFF(p []byte, removed *removals) (c riffChunk, rest []byte, err error) {
	if len(p) < 8 {
		return c, nil, refuse(CodeTruncated, "ends inside a chunk")
	}
	n := int64(binary.LittleEndian.Uint32(p[4:]))
	if n > int64(len(p)-8) {
		return c, nil, refuse(CodeTruncated, "ends inside a chunk")
	}
	c = riffChunk{string(p[:4]), p[8 : 8+n], 8 + int(n)}
	rest = p[8+n:]
	if n%2 == 1 && len(rest) > 0 {
		if rest[0] != 0 {
			removed.add("padding", 1)
		}
		rest = rest[1:]
	}
	return c, rest, nil
}

// parseWebP reads the structure of a WebP without decoding it (RFC 9649). Only what is on the
// allow-list enters the layout; everything else is counted and forgotten.
func parseWebP(in []byte, lim wire.Limits) (*webpLayout, error) {
	if !IsWebP(in) {
		return nil, refuse(CodeFormat, "not a WebP")
	}
	l := &webpLayout{size: len(in)}
	end := 8 + int64(binary.LittleEndian.Uint32(in[4:]))
	if end > int64(len(in)) {
		return nil, refuse(CodeTruncated, "ends before its header says")
	}
	if end < 12 {
		return nil, refuse(CodeCorrupt, "a file of %d bytes", end)
	}
	l.removed.add("trailer", len(in)-int(end))
	var canvas []byte
	for p := in[12:end]; len(p) > 0; {
		c, rest, err := nextRIFF(p, &l.removed)
		if err != nil {
			return nil, err
		}
		if p = rest; c.name == "VP8X" {
			if len(c.body) != 10 || canvas != nil {
				return nil, refuse(CodeCorrupt, "a canvas that cannot be")
			}
			canvas = c.body
			continue
		}
		if err := l.chunk(c, canvas); err != nil {
			return nil, err
		}
	}
	return l, l.finish(canvas, lim)
}

// chunk takes one chunk other than the canvas.
func (l *webpLayout) chunk(c riffChunk, canvas []byte) error {
	switch c.name {
	case "VP8 ", "VP8L", "ALPH":
		l.picture(c)
	case "ANMF":
		return l.frame(c)
	case "ANIM":
		l.removed.add("animation", c.size)
	case "ICCP":
		if l.icc == nil {
			l.icc = c.body
		}
		l.iccSize += c.size
	case "EXIF":
		l.removed.add("EXIF", c.size)
		if l.exif == nil {
			l.exif = c.body
		}
	case "XMP ":
		l.removed.add("XMP", c.size)
		l.xmpGPS = l.xmpGPS || bytes.Contains(c.body, []byte("GPSLatitude"))
	default:
		l.removed.add("unknown chunks", c.size)
	}
	return nil
}

// picture takes coded pictures: the first stays.
func (l *webpLayout) picture(c riffChunk) {
	switch have := l.lossy != nil || l.lossless != nil; {
	case have:
		l.removed.add("further images", c.size)
	case c.name == "VP8 ":
		l.lossy = c.body
	case c.name == "VP8L":
		l.lossless = c.body
		if l.alpha != nil { // which such a stream brings itself
			l.removed.add("alpha channel", len(l.alpha)+8)
			l.alpha = nil
		}
	case l.alpha == nil:
		l.alpha = c.body
	default:
		l.removed.add("alpha channel", c.size)
	}
}

// frame takes one frame of an animation; the picture of the first stays (RFC 9649 2.7.1.1).
func (l *webpLayout) frame(c riffChunk) error {
	if l.lossy != nil || l.lossless != nil {
		l.removed.add("animation", c.size)
		return nil
	}
	if len(c.body) < 16 {
		return refuse(CodeTruncated, "ends inside a frame")
	}
	l.removed.add("animation", 8+16)
	for p := c.body[16:]; len(p) > 0; {
		sub, rest, err := nextRIFF(p, &l.removed)
		if err != nil {
			return err
		}
		if p = rest; sub.name == "VP8 " || sub.name == "VP8L" || sub.name == "ALPH" {
			l.picture(sub)
		} else {
			l.removed.add("unknown chunks", sub.size)
		}
	}
	return nil
}

// finish settles size and colours.
func (l *webpLayout) finish(canvas []byte, lim wire.Limits) error {
	switch {
	case l.lossy != nil:
		h, _, err := vp8FrameHeader(l.lossy)
		if err != nil {
			return err
		}
		l.width, l.height = h.width, h.height
	case l.lossless != nil:
		p := l.lossless // RFC 9649 3.4
		if len(p) < 5 {
			return refuse(CodeTruncated, "ends inside the picture's header")
		}
		v := binary.LittleEndian.Uint32(p[1:])
		if p[0] != 0x2F || v>>29 != 0 {
			return refuse(CodeCorrupt, "not a lossless picture")
		}
		l.width, l.height = int(v&0x3FFF)+1, int(v>>14&0x3FFF)+1
	default:
		return refuse(CodeCorrupt, "no picture")
	}
	if canvas != nil && canvas[0]&2 == 0 {
		if canvas[0]&0x10 == 0 && l.alpha != nil {
			// A still picture whose canvas knows of no transparency is shown without.
			l.removed.add("alpha channel", len(l.alpha)+8)
			l.alpha = nil
		}
		w, h := int(uint24(canvas[4:]))+1, int(uint24(canvas[7:]))+1
		if w != l.width || h != l.height {
			return refuse(CodeCorrupt, "a canvas of another size than the picture")
		}
	}
	if int64(max(l.width, l.height)) > lim.MaxSide || int64(l.width)*int64(l.height) > lim.MaxPixels {
		return refuse(CodePixels, "%d×%d pixels", l.width, l.height)
	}
	l.colour = colours{class: "none"}
	if l.icc != nil {
		var err error
		if l.colour, err = judgeICC(l.icc, modelRGB); err != nil {
			return err
		}
	}
	return nil
}

func uint24(p []byte) uint32 { return uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 }

// appendRIFF writes one chunk in pieces: its header, its body as it lies, its padding.
func appendRIFF(out pieces, name string, body []byte) pieces {
	head := binary.LittleEndian.AppendUint32([]byte(name), uint32(len(body)))
	out = append(out, head, body)
	if len(body)%2 == 1 {
		out = append(out, []byte{0})
	}
	return out
}

// rebuildWebP composes a file of a frame, an alpha plane where there is one, and our own profile where
// the colours are Display P3.
func rebuildWebP(frame *vp8Frame, alpha []byte, p3 bool) pieces {
	var chunks pieces
	if alpha != nil || p3 {
		x := make([]byte, 10)
		w, h := frame.width-1, frame.height-1
		copy(x[4:], []byte{byte(w), byte(w >> 8), 0, byte(h), byte(h >> 8), 0})
		if p3 {
			x[0] |= 0x20
		}
		if alpha != nil {
			x[0] |= 0x10
		}
		chunks = appendRIFF(chunks, "VP8X", x)
		if p3 {
			chunks = appendRIFF(chunks, "ICCP", canonicalDisplayP3)
		}
		if alpha != nil {
			chunks = appendRIFF(chunks, "ALPH", alpha)
		}
	}
	chunks = appendRIFF(chunks, "VP8 ", frame.coded)
	head := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+chunks.size()))
	return append(pieces{append(head, "WEBP"...)}, chunks...)
}
