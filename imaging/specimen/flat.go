package specimen

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"math/rand/v2"
	"slices"
)

// Flat pictures are sound and show one colour: as many pixels in as few bytes as their format admits. They
// cost what pixels cost, whatever the size of the file.

// Plain are flat pictures of every format and kind that may have so many pixels and no more: what costs
// most for its bytes of all that is opened. Those of HEIC are apart, since not every build opens them.
func Plain() map[string][]byte {
	table := TableProfile("RGB ", TableMixed, 17, LabOfSRGB)
	inks := TableProfile("CMYK", TableMixed, 9, LabOfInks)
	turned := EXIFChunk(6)
	return map[string][]byte{
		"JPEG, grey":                                    FlatJPEG(3550, 3540, 1),
		"JPEG as it lies":                               FlatJPEG(7090, 7100, 3),
		"JPEG, turned and converted":                    Decorate(FlatJPEG(3550, 3540, 3), Options{Orientation: 6, ICC: table}),
		"JPEG of four inks, turned and converted":       Decorate(FlatJPEG(2170, 2170, 4), Options{Orientation: 6, ICC: inks}),
		"progressive JPEG, 14 scans of all":             FlatProgressive(1),
		"PNG of one bit":                                FlatPNG(3550, 3540, 0, 1, false),
		"PNG, RGB":                                      FlatPNG(3070, 3070, 2, 8, false),
		"PNG, interlaced and turned":                    FlatPNG(3070, 3070, 2, 8, true, turned),
		"PNG of 16 bits, interlaced, turned, converted": FlatPNG(2170, 2170, 6, 16, true, turned, ICCP("x", table)),
		"WebP without loss, turned":                     Extended(FlatWebP(2500, 2500), 2500, 2500, WebPEXIF, nil, RIFFChunk(nil, "EXIF", Options{Orientation: 6}.exif(nil))),
	}
}

// Plainer are flat pictures with more pixels than that.
func Plainer() []Broken {
	const code = "too_complex"
	return []Broken{
		{"grey JPEG, 79 megapixels", code, FlatJPEG(8900, 8900, 1)},
		{"JPEG, 51 megapixels", code, FlatJPEG(7150, 7150, 3)},
		{"JPEG, 13 megapixels, turned", code, Decorate(FlatJPEG(3600, 3600, 3), Options{Orientation: 6})},
		{"JPEG of four inks, 5 megapixels", code, FlatJPEG(2250, 2250, 4)},
		{"progressive JPEG, 14 scans of 73 megapixels", code, FlatProgressive(7)},
		{"PNG of one bit, 79 megapixels", code, FlatPNG(8900, 8900, 0, 1, false)},
		{"PNG, 10 megapixels, interlaced", code, FlatPNG(3200, 3200, 2, 8, true)},
		{"PNG of 16 bits, 5 megapixels", code, FlatPNG(2250, 2250, 6, 16, false)},
		{"WebP without loss, 79 megapixels in 50 bytes", code, FlatWebP(8900, 8900)},
	}
}

// FlatPNG makes one of a colour type and depth; every row is filtered, so that each byte is computed.
func FlatPNG(w, h int, kind, depth byte, interlaced bool, chunks ...[]byte) []byte {
	head := slices.Concat(be32(w), be32(h), []byte{depth, kind, 0, 0, 0})
	passes := [][4]int{{0, 0, 1, 1}}
	if interlaced {
		head[12] = 1
		passes = [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}
	}
	out := Chunk([]byte(pngSignature), "IHDR", head)
	out = append(out, slices.Concat(chunks...)...)
	if kind == 3 {
		out = Chunk(out, "PLTE", []byte{200, 180, 170})
	}
	var buf bytes.Buffer
	z, err := zlib.NewWriterLevel(&buf, 9)
	if err != nil {
		panic("specimen: " + err.Error())
	}
	for _, p := range passes {
		n := (w - p[0] + p[2] - 1) / p[2]
		row := make([]byte, 1+(n*PNGSamples(kind)*int(depth)+7)/8)
		row[0] = 4
		for y := p[1]; y < h; y += p[3] {
			_, _ = z.Write(row)
		}
	}
	_ = z.Close()
	return Chunk(Chunk(out, "IDAT", buf.Bytes()), "IEND", nil)
}

// FlatJPEG makes one of so many components, none of them halved: two bits a block.
func FlatJPEG(w, h, components int) []byte {
	out := flatJPEGHead(0xC0, w, h, components)
	blocks := ((w + 7) / 8) * ((h + 7) / 8) * components
	out = append(out, make([]byte, (blocks+3)/4)...)
	return append(out, 0xFF, 0xD9)
}

// flatJPEGHead is all up to the data of the first scan. Each table has one code, of one bit.
func flatJPEGHead(frame byte, w, h, components int) []byte {
	out := segment([]byte{0xFF, 0xD8}, 0xDB, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...))
	sof := []byte{8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), byte(components)}
	sos := []byte{byte(components)}
	for i := range components {
		sof = append(sof, byte(1+i), 0x11, 0)
		sos = append(sos, byte(1+i), 0)
	}
	out = segment(out, frame, sof)
	one := append([]byte{1}, make([]byte, 15)...)
	out = segment(out, 0xC4, slices.Concat([]byte{0}, one, []byte{0}))
	if frame == 0xC0 {
		out = segment(out, 0xC4, slices.Concat([]byte{0x10}, one, []byte{0}))
		return segment(out, 0xDA, append(sos, 0, 63, 0))
	}
	out = segment(out, 0xC4, slices.Concat([]byte{0x10}, one, []byte{0xE0}))
	return segment(out, 0xDA, append(sos, 0, 0, 0))
}

// FlatProgressive makes a grey one of 8680×1208·n pixels whose scans refine every coefficient of every
// block thirteen times, two bytes for 32767 blocks.
func FlatProgressive(n int) []byte {
	const across, down = 1085, 151 // blocks; 1085·151 is five runs of 32767
	out := flatJPEGHead(0xC2, 8*across, 8*down*n, 1)
	out = append(out, make([]byte, (across*down*n+7)/8)...)
	for al := 13; al >= 0; al-- {
		ah := al + 1
		if al == 13 {
			ah = 0
		}
		out = segment(out, 0xDA, []byte{1, 1, 0, 1, 63, byte(ah<<4 | al)})
		// A run of 2^14 blocks and fourteen bits more; the bits of one run follow those of the last.
		acc, bits := uint64(0), 0
		for range 5 * n {
			acc, bits = acc<<15|0x3FFF, bits+15
			for ; bits >= 8; bits -= 8 {
				if out = append(out, byte(acc>>(bits-8))); out[len(out)-1] == 0xFF {
					out = append(out, 0)
				}
			}
		}
		if bits > 0 {
			if out = append(out, byte(acc<<(8-bits))|0xFF>>bits); out[len(out)-1] == 0xFF {
				out = append(out, 0)
			}
		}
	}
	return append(out, 0xFF, 0xD9)
}

// FlatWebP makes a lossless one in some forty bytes: with one symbol in each code, a pixel takes no bits
// (RFC 9649 3.7.2.1.1). All transforms are there that have to be undone for each pixel.
func FlatWebP(w, h int) []byte {
	var b []byte
	bits := 0
	put := func(v, n int) {
		for i := range n {
			if bits%8 == 0 {
				b = append(b, 0)
			}
			b[len(b)-1] |= byte(v>>i&1) << (bits % 8)
			bits++
		}
	}
	image := func(green int, main bool) {
		put(0, 1) // no colour cache
		if main {
			put(0, 1) // no meta prefix codes
		}
		for _, symbol := range []int{green, 0, 0, 255, 0} {
			put(1, 1) // a simple code
			put(0, 1) // of one symbol
			put(1, 1) // of eight bits
			put(symbol, 8)
		}
	}
	put(0x2F, 8)
	put(w-1, 14)
	put(h-1, 14)
	put(0, 4) // no alpha, version 0
	put(1, 1)
	put(0, 2) // predictors,
	put(7, 3) // one for 512 by 512 pixels
	image(13, false)
	put(1, 1)
	put(1, 2) // across colours
	put(7, 3)
	image(3, false)
	put(1, 1)
	put(2, 2) // green subtracted
	put(0, 1)
	image(1, true)
	return WebPFile(RIFFChunk(nil, "VP8L", b))
}

// FlatHEIC shows one coded picture of 512×512 pixels in every cell of a grid.
func FlatHEIC(across, down int) []byte {
	flat, err := coded.ReadFile("coded/flat-512.hevc")
	if err != nil {
		panic("specimen: " + err.Error()) // a name of our own
	}
	return GridHEIC([][]byte{flat}, 512, across, down)
}

// GridHEIC shows coded pictures of side×side pixels, which are in the form of the folder coded, in the cells
// of a grid: each in turn, as often as it takes.
func GridHEIC(tiles [][]byte, side, across, down int) []byte {
	f := &heifFile{rng: rand.New(rand.NewPCG(0, 3))}
	var cells []int
	size, configs := f.prop(ispe(side, side)), map[string]int{}
	for _, t := range tiles {
		n := binary.BigEndian.Uint32(t)
		config := string(t[4 : 4+n])
		if configs[config] == 0 {
			configs[config] = f.prop(isoBox("hvcC", t[4:4+n]))
		}
		cells = append(cells, f.add(&heifItem{kind: "hvc1", hidden: true, parts: [][]byte{t[4+n:]}, props: []int{-configs[config], size}}))
	}
	for i := len(cells); i < across*down; i++ {
		cells = append(cells, cells[i-len(tiles)])
	}
	w, h := side*across, side*down
	f.primary = f.add(&heifItem{kind: "grid", method: 1,
		parts: [][]byte{slices.Concat([]byte{0, 0, byte(down - 1), byte(across - 1)}, be16(w), be16(h))}, props: []int{f.prop(ispe(w, h))}})
	f.refer("dimg", f.primary, cells...)
	return f.write()
}

// Coded takes the one coded picture out of a HEIC file, in the form of the folder coded: uint32 length of a
// decoder configuration record, the record, and the slices, each behind a uint32 length.
func Coded(file []byte) []byte {
	body := func(kind string) []byte {
		at := bytes.Index(file, []byte(kind))
		if at < 4 {
			panic("specimen: no box " + kind)
		}
		return file[at+4 : at-4+int(binary.BigEndian.Uint32(file[at-4:]))]
	}
	config, data := body("hvcC"), body("mdat")
	out := append(binary.BigEndian.AppendUint32(nil, uint32(len(config))), config...)
	for len(data) > 4 {
		n := 4 + int(binary.BigEndian.Uint32(data))
		if data[4]>>1 < 32 { // slices
			out = append(out, data[:n]...)
		}
		data = data[n:]
	}
	if len(out) == 4+len(config) {
		panic("specimen: no picture in it")
	}
	return out
}

// TinyTiles is a grid of small pictures, each an item of its own, which has to be decoded by itself.
func TinyTiles(across, down int) []byte {
	var tiles [][]byte
	for i := range across * down {
		b, err := coded.ReadFile("coded/tile-" + string(rune('0'+i%4)) + ".hevc")
		if err != nil {
			panic("specimen: " + err.Error()) // a name of our own
		}
		tiles = append(tiles, b)
	}
	return GridHEIC(tiles, 64, across, down)
}
