package specimen

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// Planted is a photo with one random canary in one carrier, in every form of Forms.
type Planted struct {
	Format, Carrier, Text string
	Data                  []byte
}

// carrier plants a canary: text alone where only text fits, else the block of all its forms.
type carrier struct {
	name  string
	plant func(block []byte, text string) []byte
}

// PlantAll makes one photo for each carrier of each format. The seed decides the canaries.
func PlantAll(seed uint64) (all []Planted) {
	rng := rand.New(rand.NewPCG(seed, 0xCA4A87))
	for _, f := range []struct {
		name     string
		carriers []carrier
	}{{"jpeg", jpegCarriers()}, {"png", pngCarriers()}, {"webp", webpCarriers()}} {
		for _, c := range f.carriers {
			text := fmt.Sprintf("canary-%016x-%016x", rng.Uint64(), rng.Uint64())
			all = append(all, Planted{f.name, c.name, text, c.plant(Options{Canary: text}.canary(), text)})
		}
	}
	return all
}

// exifSpots are the places of an EXIF block that can hold what somebody wrote, each a block of its own.
func exifSpots() []carrier {
	block := func(ifd0 []field) []byte {
		w := &tiffWriter{b: []byte("MM\x00*\x00\x00\x00\x08")}
		w.directory(ifd0)
		return w.b
	}
	second := func(fields []field, tail []byte) []byte {
		w := &tiffWriter{b: []byte("MM\x00*\x00\x00\x00\x08")}
		next := w.directory([]field{short(0x0112, 1)})
		binary.BigEndian.PutUint32(w.b[next:], uint32(len(w.b)))
		for i := range fields {
			if fields[i].tag == 0x0201 { // the thumbnail's offset
				binary.BigEndian.PutUint32(fields[i].value, uint32(len(w.b)+2+12*len(fields)+4))
			}
		}
		w.directory(fields)
		return append(w.b, tail...)
	}
	long := func(tag uint16, v uint32) field {
		return field{tag: tag, typ: tLong, count: 1, value: binary.BigEndian.AppendUint32(nil, v)}
	}
	return []carrier{
		{"EXIF IFD0", func(b []byte, s string) []byte {
			return block([]field{undefined(0x010E, b), ascii(0x0110, s), ascii(0x013B, s), ascii(0x8298, s)})
		}},
		{"EXIF IFD0, little-endian", func(_ []byte, s string) []byte { return littleEndian(s) }},
		{"EXIF user comment", func(b []byte, _ string) []byte {
			return block([]field{directory(0x8769, []field{undefined(0x9286, append([]byte("ASCII\x00\x00\x00"), b...))})})
		}},
		{"EXIF serial numbers", func(_ []byte, s string) []byte {
			return block([]field{directory(0x8769, []field{ascii(0xA430, s), ascii(0xA431, s), ascii(0xA435, s)})})
		}},
		{"EXIF maker note", func(b []byte, _ string) []byte {
			return block([]field{directory(0x8769, []field{undefined(0x927C, b)})})
		}},
		{"EXIF GPS", func(b []byte, s string) []byte {
			return block([]field{directory(0x8825, []field{undefined(0x001B, b), ascii(0x001C, s)})})
		}},
		{"EXIF Interoperability", func(b []byte, s string) []byte {
			return block([]field{directory(0x8769, []field{directory(0xA005, []field{ascii(1, s), undefined(0x1000, b)})})})
		}},
		{"EXIF XP tags and XMP in TIFF", func(b []byte, _ string) []byte {
			return block([]field{undefined(0x02BC, b), undefined(0x9C9B, b), undefined(0x9C9D, b)})
		}},
		{"EXIF IFD1", func(b []byte, s string) []byte { return second([]field{undefined(0x010E, b), ascii(0x0131, s)}, nil) }},
		{"EXIF thumbnail", func(b []byte, _ string) []byte {
			thumb := tinyJPEG(b)
			return second([]field{long(0x0201, 0), long(0x0202, uint32(len(thumb)))}, thumb)
		}},
		{"EXIF behind its directories", func(b []byte, _ string) []byte { return append(block([]field{short(0x0112, 1)}), b...) }},
	}
}

// littleEndian is a block of one description in the other byte order.
func littleEndian(s string) []byte {
	b := []byte("II*\x00\x08\x00\x00\x00\x01\x00\x0E\x01\x02\x00")
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)+1))
	b = append(b, 26, 0, 0, 0, 0, 0, 0, 0)
	return append(append(b, s...), 0)
}

func jpegCarriers() []carrier {
	plain := JPEG(Options{Width: 96, Height: 64})
	insert := func(at int, b ...byte) []byte { return bytes.Join([][]byte{plain[:at], b, plain[at:]}, nil) }
	app := func(marker byte, id string) carrier {
		return carrier{fmt.Sprintf("APP%d %q", marker&15, id), func(b []byte, _ string) []byte {
			return insert(2, segment(nil, marker, append([]byte(id), b...))...)
		}}
	}
	with := func(name string, set func(*Options)) carrier {
		return carrier{name, func(_ []byte, s string) []byte {
			o := Options{Canary: s}
			set(&o)
			return Decorate(plain, o)
		}}
	}
	all := []carrier{
		with("XMP and extended XMP", func(o *Options) { o.XMP = true }),
		with("IPTC in 8BIM", func(o *Options) { o.IPTC = true }),
		with("comment", func(o *Options) { o.Comment = true }),
		with("JFXX thumbnail", func(o *Options) { o.JFXX = true }),
		with("MPF second picture", func(o *Options) { o.MPF = true }),
		{"steps of no coefficient", func(_ []byte, s string) []byte { return Bare{Steps: []byte(s)}.JPEG() }},
		{"steps of 16 bits of no coefficient", func(b []byte, _ string) []byte { return Bare{Steps: b[:120], Wide: true}.JPEG() }},
		with("unused tables", func(o *Options) { o.Tables = true }),
		with("between segments", func(o *Options) { o.Fill = true }),
		with("behind the last block", func(o *Options) { o.Tail = true }),
		with("behind the end", func(o *Options) { o.Trailer = true }),
		{"JFIF thumbnail", func(b []byte, _ string) []byte {
			n := (len(b) + 2) / 3
			body := append([]byte("JFIF\x00\x01\x02\x00\x00\x48\x00\x48"), byte(n), 1)
			return insert(2, segment(nil, 0xE0, append(append(body, b...), make([]byte, 3*n-len(b))...))...)
		}},
		{"Adobe segment with a tail", func(b []byte, _ string) []byte {
			return insert(2, segment(nil, 0xEE, append([]byte("Adobe\x00\x64\x00\x00\x00\x00\x01"), b...))...)
		}},
		{"ICC description", func(b []byte, _ string) []byte {
			return Decorate(plain, Options{ICC: matrixProfile(colorantsSRGB, curveSRGB(), string(b))})
		}},
		{"ICC private tag", func(b []byte, _ string) []byte { return Decorate(plain, Options{ICC: withTag(SRGB(), b)}) }},
		{"fill bytes before the end", func(b []byte, _ string) []byte { return insert(len(plain)-2, append(b, 0xFF, 0xFF, 0xFF)...) }},
		{"a comment between scan and end", func(b []byte, _ string) []byte { return insert(len(plain)-2, segment(nil, 0xFE, b)...) }},
	}
	for m := byte(0xE0); m <= 0xEF; m++ {
		all = append(all, app(m, ""), app(m, "other\x00"))
	}
	for _, s := range exifSpots() {
		all = append(all, carrier{s.name, func(b []byte, t string) []byte { return WithEXIF(plain, s.plant(b, t)) }})
	}
	return all
}

// withTag puts data behind a profile, where no tag points to it.
func withTag(profile, data []byte) []byte {
	p := append(append([]byte(nil), profile...), data...)
	binary.BigEndian.PutUint32(p, uint32(len(p)))
	return p
}

func pngCarriers() []carrier {
	in := func(set func(o *PNGOptions, b []byte)) func([]byte, string) []byte {
		return func(b []byte, _ string) []byte {
			o := PNGOptions{Width: 61, Height: 43}
			set(&o, b)
			return PNG(o)
		}
	}
	chunk := func(name, head string) carrier {
		return carrier{fmt.Sprintf("%s %q", name, head), in(func(o *PNGOptions, b []byte) {
			o.Chunks = Chunk(nil, name, append([]byte(head), b...))
		})}
	}
	deflated := func(name, head string) carrier {
		return carrier{name + ", compressed", in(func(o *PNGOptions, b []byte) {
			o.Chunks = Chunk(nil, name, append([]byte(head), compressed(string(b))...))
		})}
	}
	all := []carrier{
		chunk("tEXt", "Author\x00"), chunk("iTXt", "Title\x00\x00\x00de\x00Titel\x00"), deflated("zTXt", "Comment\x00\x00"),
		deflated("iTXt", "Description\x00\x01\x00\x00\x00"), chunk("iTXt", "XML:com.adobe.xmp\x00\x00\x00\x00\x00"),
		deflated("iTXt", "XML:com.adobe.xmp\x00\x01\x00\x00\x00"), chunk("tEXt", "Raw profile type exif\x00"),
		chunk("tIME", ""), chunk("pHYs", ""), chunk("bKGD", ""), chunk("sBIT", ""), chunk("hIST", ""), chunk("sPLT", "name\x00\x08"),
		chunk("oFFs", ""), chunk("pCAL", ""), chunk("sCAL", ""), chunk("acTL", ""), chunk("fcTL", ""), chunk("fdAT", "\x00\x00\x00\x01"),
		chunk("prVt", ""), chunk("caBX", ""), chunk("gdAT", ""), chunk("mkBS", ""),
		{"iCCP name", func(_ []byte, s string) []byte { return PNG(PNGOptions{Chunks: ICCP(s, SRGB())}) }},
		{"iCCP description", in(func(o *PNGOptions, b []byte) {
			o.Chunks = ICCP("x", matrixProfile(colorantsSRGB, curveSRGB(), string(b)))
		})},
		{"iCCP of Display P3, private data", in(func(o *PNGOptions, b []byte) { o.Chunks = ICCP("x", withTag(DisplayP3(), b)) })},
		{"a suggested palette", in(func(o *PNGOptions, b []byte) { o.Chunks = Chunk(nil, "PLTE", b[:len(b)/3*3]) })},
		{"unused colours", func(b []byte, _ string) []byte {
			return replaceChunk(PNG(PNGOptions{Width: 3, Height: 2, Kind: 3, Depth: 8}), "PLTE", append(make([]byte, 12), b[:len(b)/3*3]...))
		}},
		{"unknown chunk between image data", in(func(o *PNGOptions, b []byte) { o.Split, o.Between = 2000, Chunk(nil, "teSt", b) })},
		{"text behind image data", in(func(o *PNGOptions, b []byte) { o.Behind = Chunk(nil, "tEXt", append([]byte("Comment\x00"), b...)) })},
		{"EXIF behind image data", in(func(o *PNGOptions, b []byte) { o.Behind = Chunk(nil, "eXIf", exifSpots()[0].plant(b, "x")) })},
		{"behind the zlib stream", in(func(o *PNGOptions, b []byte) { o.Slack = b })},
		{"image data chunk behind the stream", in(func(o *PNGOptions, b []byte) { o.Behind = Chunk(nil, "IDAT", b) })},
		{"rows beyond the last", in(func(o *PNGOptions, b []byte) { o.Extra = b })},
		{"behind the end", in(func(o *PNGOptions, b []byte) { o.Trailer = b })},
		{"a second picture behind the end", in(func(o *PNGOptions, b []byte) {
			o.Trailer = PNG(PNGOptions{Chunks: Chunk(nil, "tEXt", append([]byte("Comment\x00"), b...))})
		})},
	}
	for _, s := range exifSpots() {
		all = append(all, carrier{s.name, func(b []byte, t string) []byte {
			return PNG(PNGOptions{Width: 61, Height: 43, Chunks: Chunk(nil, "eXIf", s.plant(b, t))})
		}})
	}
	return all
}

// replaceChunk gives the first chunk of a name another body.
func replaceChunk(png []byte, name string, body []byte) []byte {
	at := bytes.Index(png, []byte(name)) - 4
	end := at + 12 + int(binary.BigEndian.Uint32(png[at:]))
	return append(Chunk(append([]byte(nil), png[:at]...), name, body), png[end:]...)
}
