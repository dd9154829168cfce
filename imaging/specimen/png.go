package specimen

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image/color"
)

// PNGOptions describe a PNG. Zero values mean 8-bit RGB of 64×48 pixels.
type PNGOptions struct {
	Width, Height int
	Seed          uint64
	Kind, Depth   byte // colour type and bits per sample (PNG 11.2.1)
	Interlaced    bool
	Transparent   bool // a tRNS chunk, where the kind admits one
	Level         int  // of zlib; 0: the default
	// Chunks stand between the header and the picture, Behind between the picture and the end.
	Chunks, Behind []byte
	// Extra is inflated image data behind the last row; Slack stands behind the zlib stream, in the
	// same chunk; Trailer behind the end of the file.
	Extra, Slack, Trailer []byte
	// Split cuts the image data into chunks of so many bytes, Between is put after each.
	Split   int
	Between []byte
	// Padding sets the bits behind the last pixel of each row.
	Padding bool
}

const pngSignature = "\x89PNG\r\n\x1a\n"

// PNGSamples is how many samples a pixel of a colour type has.
func PNGSamples(kind byte) int { return map[byte]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind] }

// PNG makes the picture.
func PNG(o PNGOptions) []byte {
	if o.Width == 0 {
		o.Width, o.Height = 64, 48
	}
	if o.Depth == 0 {
		o.Kind, o.Depth = 2, 8
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(o.Width))
	head = binary.BigEndian.AppendUint32(head, uint32(o.Height))
	head = append(head, o.Depth, o.Kind, 0, 0, 0)
	if o.Interlaced {
		head[12] = 1
	}
	out := Chunk([]byte(pngSignature), "IHDR", head)
	out = append(out, o.Chunks...)
	if o.Kind == 3 {
		out = Chunk(out, "PLTE", o.palette())
	}
	if o.Transparent {
		switch o.Kind {
		case 0:
			out = Chunk(out, "tRNS", []byte{0, 1})
		case 2:
			out = Chunk(out, "tRNS", []byte{0, 1, 0, 2, 0, 3})
		case 3:
			out = Chunk(out, "tRNS", []byte{0x00, 0x80})
		}
	}
	data := append(o.deflated(), o.Slack...)
	if o.Split == 0 {
		o.Split = len(data)
	}
	for i := 0; i < len(data); i += o.Split {
		out = Chunk(out, "IDAT", data[i:min(i+o.Split, len(data))])
		out = append(out, o.Between...)
	}
	out = append(out, o.Behind...)
	return append(Chunk(out, "IEND", nil), o.Trailer...)
}

// Chunk appends a chunk of a PNG.
func Chunk(out []byte, name string, body []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
	at := len(out)
	out = append(append(out, name...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[at:]))
}

// EXIFChunk is a chunk that gives an orientation.
func EXIFChunk(orientation int) []byte {
	return Chunk(nil, "eXIf", Options{Orientation: orientation}.exif(nil))
}

// palette uses each colour a pixel can name.
func (o PNGOptions) palette() (p []byte) {
	for i := range 1 << o.Depth {
		p = append(p, byte(i*37), byte(i*11+3), byte(255-i*53))
	}
	return p
}

// deflated is the image data: every filter in turn, then compressed.
func (o PNGOptions) deflated() []byte {
	level := zlib.DefaultCompression
	if o.Level != 0 {
		level = o.Level
	}
	var buf bytes.Buffer
	z, err := zlib.NewWriterLevel(&buf, level)
	if err != nil {
		panic("specimen: " + err.Error())
	}
	pic := Picture(o.Width, o.Height, o.Seed, false)
	passes := [][4]int{{0, 0, 1, 1}}
	if o.Interlaced {
		passes = [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}
	}
	bpp := max(1, PNGSamples(o.Kind)*int(o.Depth)/8)
	for _, p := range passes {
		var prev []byte
		for y, n := p[1], 0; y < o.Height && p[0] < o.Width; y, n = y+p[3], n+1 {
			var row []byte
			bits := 0
			for x := p[0]; x < o.Width; x += p[2] {
				c := color.NRGBAModel.Convert(pic.At(x, y)).(color.NRGBA)
				for _, v := range o.samples(c, x, y) {
					if o.Depth == 16 {
						row = binary.BigEndian.AppendUint16(row, v)
						continue
					}
					if bits%8 == 0 {
						row = append(row, 0)
					}
					row[len(row)-1] |= byte(v) << (8 - int(o.Depth) - bits%8)
					bits += int(o.Depth)
				}
			}
			if o.Padding && bits%8 != 0 {
				row[len(row)-1] |= 0xFF >> (bits % 8)
			}
			if prev == nil {
				prev = make([]byte, len(row))
			}
			_, _ = z.Write(filtered(byte(n%5), row, prev, bpp))
			prev = row
		}
	}
	_, _ = z.Write(o.Extra)
	_ = z.Close()
	return buf.Bytes()
}

// samples are the values of one pixel as they are coded.
func (o PNGOptions) samples(c color.NRGBA, x, y int) []uint16 {
	deep := func(v byte) uint16 {
		if o.Depth == 16 {
			return uint16(v)<<8 | uint16(byte(x*31+y*17))
		}
		return uint16(v) >> (8 - o.Depth)
	}
	switch alpha := byte(x * 7); o.Kind {
	case 0:
		return []uint16{deep(c.G)}
	case 2:
		return []uint16{deep(c.R), deep(c.G), deep(c.B)}
	case 3:
		return []uint16{uint16(x+y) & (1<<o.Depth - 1)}
	case 4:
		return []uint16{deep(c.G), deep(alpha)}
	default:
		return []uint16{deep(c.R), deep(c.G), deep(c.B), deep(alpha)}
	}
}

func filtered(kind byte, row, prev []byte, bpp int) []byte {
	out := []byte{kind}
	for i, v := range row {
		var left, up, corner int
		up = int(prev[i])
		if i >= bpp {
			left, corner = int(row[i-bpp]), int(prev[i-bpp])
		}
		switch kind {
		case 1:
			v -= byte(left)
		case 2:
			v -= byte(up)
		case 3:
			v -= byte((left + up) / 2)
		case 4:
			d := [3]int{up - corner, left - corner, left + up - 2*corner}
			for k := range d {
				d[k] = max(d[k], -d[k])
			}
			switch {
			case d[0] <= d[1] && d[0] <= d[2]:
				v -= byte(left)
			case d[1] <= d[2]:
				v -= byte(up)
			default:
				v -= byte(corner)
			}
		}
		out = append(out, v)
	}
	return out
}
