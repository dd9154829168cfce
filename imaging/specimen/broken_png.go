package specimen

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// AllBroken are the bombs and malformed files of every format.
func AllBroken() []Broken {
	return slices.Concat(Bombs(), Malformed(), BrokenPNG(), BrokenWebP())
}

// BrokenPNG are PNGs that must be refused.
func BrokenPNG() []Broken {
	plain := PNG(PNGOptions{Split: 500})
	indexed := PNG(PNGOptions{Kind: 3, Depth: 4})
	end := len(plain) - 12
	edit := func(from []byte, at int, b ...byte) []byte {
		out := append([]byte(nil), from...)
		copy(out[at:], b)
		return out
	}
	head := func(w, h uint32, rest ...byte) []byte { // a header of one's own ahead of the rest
		b := binary.BigEndian.AppendUint32(nil, w)
		b = append(binary.BigEndian.AppendUint32(b, h), rest...)
		return append(Chunk([]byte(pngSignature), "IHDR", b), plain[33:]...)
	}
	insert := func(at int, b []byte) []byte { return slices.Concat(plain[:at], b, plain[at:]) }
	data := func(stream []byte) []byte { return append(Chunk(plain[:33:33], "IDAT", stream), pngTail...) }
	raw := make([]byte, 48*(1+3*64))
	stream := compressed(string(raw))
	all := []Broken{
		{"signature alone", "truncated", []byte(pngSignature)},
		{"half a signature", "truncated", []byte(pngSignature[:5])},
		{"signature after a transfer in text mode", "corrupt", bytes.Replace(plain, []byte("\r\n"), []byte("\n"), 1)},
		{"65500×65500 pixels", "too_many_pixels", head(65500, 65500, 8, 2, 0, 0, 0)},
		{"2 thousand million rows", "too_many_pixels", head(1, 1<<31-1, 8, 2, 0, 0, 0)},
		{"50 megapixels of 16 bits", "too_complex", head(10000, 5000, 16, 6, 0, 0, 0)},
		{"8000×8000 pixels, interlaced", "too_complex", head(8000, 8000, 8, 6, 0, 0, 1)},
		{"12 megapixels of one bit, and the data of others", "corrupt", head(4000, 3000, 1, 0, 0, 0, 0)},
		{"no width", "corrupt", head(0, 48, 8, 2, 0, 0, 0)},
		{"a width of more than 31 bits", "corrupt", head(1<<31, 1, 8, 2, 0, 0, 0)},
		{"3 bits", "corrupt", head(64, 48, 3, 0, 0, 0, 0)},
		{"colour type 5", "corrupt", head(64, 48, 8, 5, 0, 0, 0)},
		{"palette of 16 bits", "corrupt", head(64, 48, 16, 3, 0, 0, 0)},
		{"unknown compression", "corrupt", head(64, 48, 8, 2, 1, 0, 0)},
		{"unknown filter method", "corrupt", head(64, 48, 8, 2, 0, 1, 0)},
		{"unknown interlace", "corrupt", head(64, 48, 8, 2, 0, 0, 2)},
		{"no header", "corrupt", slices.Concat(plain[:8], plain[33:])},
		{"two headers", "corrupt", insert(33, plain[8:33])},
		{"one maker's own kind", "unsupported_coding", insert(8, Chunk(nil, "CgBI", []byte{0, 0, 0, 0}))},
		{"an unknown critical chunk", "unsupported_coding", insert(33, Chunk(nil, "TEST", nil))},
		{"no end", "truncated", plain[:end]},
		{"no data", "corrupt", append(plain[:33:33], pngTail...)},
		{"a chunk of 4 GB", "corrupt", insert(33, []byte("\xFF\xFF\xFF\xFFtEXt"))},
		{"a chunk longer than the file", "truncated", insert(33, []byte("\x7F\xFF\xFF\xFFtEXt"))},
		{"a wrong checksum", "corrupt", edit(plain, 30, plain[30]^1)},
		{"a wrong checksum of what would be left out", "corrupt", insert(33, append(Chunk(nil, "tEXt", []byte("a\x00b"))[:15], 0))},
		{"no palette", "corrupt", slices.Concat(Chunk([]byte(pngSignature), "IHDR", []byte{0, 0, 0, 64, 0, 0, 0, 48, 8, 3, 0, 0, 0}), plain[33:])},
		{"a palette in grey", "corrupt", PNG(PNGOptions{Kind: 0, Depth: 8, Chunks: Chunk(nil, "PLTE", []byte{1, 2, 3})})},
		{"a palette of 4 bytes", "corrupt", replaceChunk(indexed, "PLTE", []byte{1, 2, 3, 4})},
		{"a palette of more colours than there are", "corrupt", replaceChunk(indexed, "PLTE", make([]byte, 3*17))},
		{"a palette of fewer colours than are named", "corrupt", replaceChunk(indexed, "PLTE", make([]byte, 3*5))},
		{"transparency of more colours than there are", "corrupt", replaceChunk(PNG(PNGOptions{Kind: 3, Depth: 4, Transparent: true}), "tRNS", make([]byte, 17))},
		{"transparency beside alpha", "corrupt", PNG(PNGOptions{Kind: 6, Depth: 8, Chunks: Chunk(nil, "tRNS", []byte{0, 0, 0, 0, 0, 0})})},
		{"a profile that inflates to 8 MB", "unsupported_colour_profile", PNG(PNGOptions{Chunks: ICCP("bomb", make([]byte, 8<<20))})},
		{"rows that end early", "truncated", data(compressed(string(raw[:5000])))},
		{"a stream that ends early", "truncated", data(stream[:len(stream)-6])},
		{"a stream without its sum", "truncated", data(stream[:len(stream)-4])},
		{"a stream of a wrong sum", "corrupt", data(edit(stream, len(stream)-1, stream[len(stream)-1]^1))},
		{"a stream of no known method", "corrupt", data(edit(stream, 0, 0x79, 0x18))},
		{"a preset dictionary", "corrupt", data(slices.Concat([]byte{0x78, 0xBB, 1, 2, 3, 4}, stream[2:]))},
		{"a block of no known type", "corrupt", data([]byte{0x78, 0x9C, 0x07, 0, 0, 0, 0, 0})},
		{"filter 5", "corrupt", data(compressed("\x05" + string(raw[1:])))},
		{"far more rows than the image", "too_complex", PNG(PNGOptions{Extra: make([]byte, 40<<20)})},
	}
	return all
}

var pngTail = Chunk(nil, "IEND", nil)
