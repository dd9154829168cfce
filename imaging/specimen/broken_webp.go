package specimen

import (
	"encoding/binary"
	"slices"
)

// BrokenWebP are WebPs that must be refused.
func BrokenWebP() []Broken {
	all := WebPs()
	lossy, lossless := all["lossy.webp"], all["lossless.webp"]
	edit := func(from []byte, at int, b ...byte) []byte {
		out := append([]byte(nil), from...)
		copy(out[at:], b)
		return out
	}
	size := func(from []byte, w, h uint32) []byte { // of a lossless picture
		return edit(from, 21, binary.LittleEndian.AppendUint32(nil, (w-1)|(h-1)<<14)...)
	}
	chunks := WebPChunks(lossy)
	partitions := all["partitions.webp"]
	first := 20 + 10 + int((uint32(partitions[20])|uint32(partitions[21])<<8|uint32(partitions[22])<<16)>>5)
	return []Broken{
		{"WebP: nothing", "corrupt", WebPFile()},
		{"WebP: a canvas alone", "corrupt", Extended(WebPFile(), 121, 83, 0, nil, nil)},
		{"WebP: a file larger than itself", "truncated", edit(lossy, 4, 0xFF, 0xFF, 0xFF, 0x7F)},
		{"WebP: a file of 4 bytes", "corrupt", edit(lossy, 4, 4, 0, 0, 0)},
		{"WebP: a chunk larger than the file", "truncated", edit(lossy, 16, 0xFE, 0xFF, 0xFF, 0xFF)},
		{"WebP: half a chunk header", "truncated", WebPFile(chunks[0], []byte("EXI"))},
		{"WebP: two canvases", "corrupt", Extended(Extended(lossy, 121, 83, 0, nil, nil), 121, 83, 0, nil, nil)},
		{"WebP: a canvas of another size", "corrupt", Extended(lossy, 1210, 830, 0, nil, nil)},
		{"WebP: a canvas of 16 million pixels' width", "corrupt", Extended(lossy, 1<<24, 1<<24, 0, nil, nil)},
		{"WebP: a profile that is a table", "unsupported_colour_profile", Extended(lossy, 121, 83, WebPICC, RIFFChunk(nil, "ICCP", LUT()), nil)},
		{"WebP: a profile that is none", "unsupported_colour_profile", Extended(lossy, 121, 83, WebPICC, RIFFChunk(nil, "ICCP", []byte("nonsense")), nil)},
		{"WebP: a frame that is no key frame", "corrupt", edit(lossy, 20, lossy[20]|1)},
		{"WebP: a frame that is not shown", "corrupt", edit(lossy, 20, lossy[20]&^0x10)},
		{"WebP: a frame of version 7", "corrupt", edit(lossy, 20, lossy[20]|0x0E)},
		{"WebP: a frame without its start code", "corrupt", edit(lossy, 23, 0)},
		{"WebP: a frame without width", "corrupt", edit(lossy, 26, 0, 0)},
		{"WebP: a frame of 16383×16383 pixels", "too_many_pixels", edit(lossy, 26, 0xFF, 0x3F, 0xFF, 0x3F)},
		{"WebP: a frame of 8000×8000 pixels and no more data", "too_complex", edit(lossy, 26, 0x40, 0x1F, 0x40, 0x1F)},
		{"WebP: a frame of more rows than it has", "truncated", edit(lossy, 26, 121, 0, 0xFF, 0x0F)},
		{"WebP: a first partition longer than the frame", "truncated", edit(lossy, 22, 0xFF)},
		{"WebP: a partition longer than the frame", "truncated", edit(partitions, first, 0xFF, 0xFF, 0xFF)},
		{"WebP: a frame of ten bytes", "truncated", WebPFile(RIFFChunk(nil, "VP8 ", lossy[20:30]))},
		{"WebP: a lossless picture of 16384×16384 pixels", "too_many_pixels", size(lossless, 16384, 16384)},
		{"WebP: a lossless picture of more rows than it has", "corrupt", size(lossless, 121, 4000)},
		{"WebP: a lossless picture of another version", "corrupt", edit(lossless, 24, lossless[24]|0xE0)},
		{"WebP: a lossless picture without its signature", "corrupt", edit(lossless, 20, 0)},
		{"WebP: a lossless picture of four bytes", "truncated", WebPFile(RIFFChunk(nil, "VP8L", lossless[20:24]))},
		{"WebP: half a frame of an animation", "truncated", WebPFile(RIFFChunk(nil, "ANMF", make([]byte, 10)))},
		{"WebP: a frame of an animation without picture", "corrupt", WebPFile(RIFFChunk(nil, "ANMF", make([]byte, 16)))},
		{"WebP: transparency that ends early", "truncated", Extended(lossy, 121, 83, WebPAlpha, RIFFChunk(nil, "ALPH", make([]byte, 100)), nil)},
		{"WebP: no transparency", "corrupt", Extended(lossy, 121, 83, WebPAlpha, RIFFChunk(nil, "ALPH", nil), nil)},
		{"WebP: transparency of no known kind", "corrupt", Extended(lossy, 121, 83, WebPAlpha, RIFFChunk(nil, "ALPH", slices.Repeat([]byte{3}, 99)), nil)},
	}
}
