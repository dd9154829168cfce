package specimen

import (
	"embed"
	"encoding/binary"
	"slices"
)

//go:embed testdata/*.webp
var webps embed.FS

// WebPs are WebP pictures of every kind, by name.
func WebPs() map[string][]byte {
	out := map[string][]byte{}
	entries, err := webps.ReadDir("testdata")
	if err != nil {
		panic("specimen: " + err.Error()) // it is part of the program
	}
	for _, e := range entries {
		if out[e.Name()], err = webps.ReadFile("testdata/" + e.Name()); err != nil {
			panic("specimen: " + err.Error())
		}
	}
	return out
}

// RIFFChunk appends a chunk, padded with a zero to an even size.
func RIFFChunk(out []byte, name string, body []byte) []byte {
	out = binary.LittleEndian.AppendUint32(append(out, name...), uint32(len(body)))
	out = append(out, body...)
	if len(body)%2 == 1 {
		out = append(out, 0)
	}
	return out
}

// WebPChunks are the chunks of a WebP file, whole.
func WebPChunks(file []byte) (chunks [][]byte) {
	for p := file[12:]; len(p) >= 8; {
		n := 8 + int(binary.LittleEndian.Uint32(p[4:]))
		n = min(n+n%2, len(p))
		chunks, p = append(chunks, p[:n:n]), p[n:]
	}
	return chunks
}

// WebPFile makes a file of chunks.
func WebPFile(chunks ...[]byte) []byte {
	body := slices.Concat(chunks...)
	out := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(body)))
	return append(append(out, "WEBP"...), body...)
}

// Extended gives a simple WebP a canvas with the given flags, chunks ahead of the picture and chunks
// behind it (RFC 9649 2.7).
func Extended(simple []byte, width, height int, flags byte, ahead, behind []byte) []byte {
	x := make([]byte, 10)
	x[0] = flags
	w, h := width-1, height-1
	copy(x[4:], []byte{byte(w), byte(w >> 8), byte(w >> 16), byte(h), byte(h >> 8), byte(h >> 16)})
	return WebPFile(RIFFChunk(nil, "VP8X", x), ahead, slices.Concat(WebPChunks(simple)...), behind)
}

// Flags of a canvas.
const (
	WebPICC, WebPAlpha, WebPEXIF, WebPXMP, WebPAnimated = 0x20, 0x10, 0x08, 0x04, 0x02
)

// grown is a simple WebP whose one chunk has more bytes behind its picture.
func grown(simple, more []byte) []byte {
	n := 20 + int(binary.LittleEndian.Uint32(simple[16:]))
	return WebPFile(RIFFChunk(nil, string(simple[12:16]), slices.Concat(simple[20:n], more)))
}

func webpCarriers() []carrier {
	all := WebPs()
	var out []carrier
	for _, base := range []struct {
		name          string
		width, height int
	}{{"lossy.webp", 121, 83}, {"lossless.webp", 121, 83}} {
		simple := all[base.name]
		add := func(name string, plant func(b []byte, s string) []byte) {
			out = append(out, carrier{base.name + ": " + name, plant})
		}
		ext := func(flags byte, ahead, behind []byte) []byte {
			return Extended(simple, base.width, base.height, flags, ahead, behind)
		}
		add("XMP", func(b []byte, _ string) []byte { return ext(WebPXMP, nil, RIFFChunk(nil, "XMP ", b)) })
		add("ICC description", func(b []byte, _ string) []byte {
			return ext(WebPICC, RIFFChunk(nil, "ICCP", matrixProfile(colorantsSRGB, curveSRGB(), string(b))), nil)
		})
		add("ICC of Display P3, private data", func(b []byte, _ string) []byte {
			return ext(WebPICC, RIFFChunk(nil, "ICCP", withTag(DisplayP3(), b)), nil)
		})
		add("two profiles", func(b []byte, _ string) []byte {
			return ext(WebPICC, slices.Concat(RIFFChunk(nil, "ICCP", SRGB()), RIFFChunk(nil, "ICCP", b)), nil)
		})
		add("unknown chunk ahead", func(b []byte, _ string) []byte { return ext(0, RIFFChunk(nil, "TEST", b), nil) })
		add("unknown chunk behind", func(b []byte, _ string) []byte { return ext(0, nil, RIFFChunk(nil, "C2PA", b)) })
		add("unknown chunk without a canvas", func(b []byte, _ string) []byte {
			return WebPFile(slices.Concat(WebPChunks(simple)...), RIFFChunk(nil, "TEST", b))
		})
		add("animation parameters without one", func(b []byte, _ string) []byte { return ext(0, RIFFChunk(nil, "ANIM", b), nil) })
		add("a second picture", func(b []byte, _ string) []byte { return ext(0, nil, RIFFChunk(nil, "VP8L", b)) })
		add("behind the picture, in its chunk", func(b []byte, _ string) []byte { return grown(simple, b) })
		add("behind the file", func(b []byte, _ string) []byte { return slices.Concat(simple, b) })
		for _, s := range exifSpots() {
			add(s.name, func(b []byte, t string) []byte { return ext(WebPEXIF, nil, RIFFChunk(nil, "EXIF", s.plant(b, t))) })
		}
		add("EXIF with JPEG's identifier", func(b []byte, t string) []byte {
			return ext(WebPEXIF, nil, RIFFChunk(nil, "EXIF", append([]byte("Exif\x00\x00"), exifSpots()[0].plant(b, t)...)))
		})
	}
	frame := func(name string, plant func(anmf [][]byte, b []byte) [][]byte) carrier {
		return carrier{"animated.webp: " + name, func(b []byte, _ string) []byte {
			return WebPFile(plant(WebPChunks(all["animated.webp"]), b)...)
		}}
	}
	inFrame := func(c, more []byte) []byte { return RIFFChunk(nil, "ANMF", slices.Concat(c[8:], more)) }
	return append(out,
		frame("a later frame", func(c [][]byte, b []byte) [][]byte {
			return append(c, inFrame(c[2][:8+16], RIFFChunk(nil, "VP8 ", b)))
		}),
		frame("unknown chunk in the first frame", func(c [][]byte, b []byte) [][]byte {
			c[2] = inFrame(c[2], RIFFChunk(nil, "TEST", b))
			return c
		}),
		carrier{"partitions.webp: behind the first partition", func(b []byte, _ string) []byte {
			return inPartition(all["partitions.webp"], -1, b)
		}},
		carrier{"partitions.webp: behind the third partition", func(b []byte, _ string) []byte {
			return inPartition(all["partitions.webp"], 2, b)
		}},
		carrier{"partitions.webp: in a partition that is not used", func(b []byte, _ string) []byte {
			return inPartition(all["partitions.webp"], 6, b)
		}},
		carrier{"alpha-plain.webp: behind the plane", func(b []byte, _ string) []byte {
			c := WebPChunks(all["alpha-plain.webp"])
			c[1] = RIFFChunk(nil, "ALPH", slices.Concat(c[1][8:8+binary.LittleEndian.Uint32(c[1][4:])], b))
			return WebPFile(c...)
		}},
		carrier{"alpha.webp: behind the plane, compressed", func(b []byte, _ string) []byte {
			c := WebPChunks(all["alpha.webp"])
			c[1] = RIFFChunk(nil, "ALPH", slices.Concat(c[1][8:8+binary.LittleEndian.Uint32(c[1][4:])], b))
			return WebPFile(c...)
		}},
		carrier{"lossless.webp: alpha beside a picture that has its own", func(b []byte, _ string) []byte {
			return Extended(all["lossless.webp"], 121, 83, WebPAlpha, RIFFChunk(nil, "ALPH", b), nil)
		}},
	)
}

// inPartition puts bytes behind the data of a partition of a VP8 frame; -1 is the first, of the modes
// (RFC 6386 9.1, 9.5).
func inPartition(simple []byte, i int, b []byte) []byte {
	frame := append([]byte(nil), simple[20:20+binary.LittleEndian.Uint32(simple[16:])]...)
	tag := uint32(frame[0]) | uint32(frame[1])<<8 | uint32(frame[2])<<16
	at := 10 + int(tag>>5)
	if i < 0 {
		tag += uint32(len(b)) << 5
		frame[0], frame[1], frame[2] = byte(tag), byte(tag>>8), byte(tag>>16)
	} else {
		sizes := frame[at:]
		at += 3 * 7
		for k := 0; k <= i; k++ {
			n := int(sizes[3*k]) | int(sizes[3*k+1])<<8 | int(sizes[3*k+2])<<16
			at += n
			if n += len(b); k == i {
				sizes[3*k], sizes[3*k+1], sizes[3*k+2] = byte(n), byte(n>>8), byte(n>>16)
			}
		}
	}
	return WebPFile(RIFFChunk(nil, "VP8 ", slices.Concat(frame[:at], b, frame[at:])))
}
