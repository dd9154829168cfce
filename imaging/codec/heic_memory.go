package codec

import (
	"fmt"

	"photovault/imaging/internal/wire"
)

// What the decoder takes besides the picture, found by measuring (see PERFORMANCE.md).
const decoderBytes = 72 << 20 // its machine code, and what a process that translated it keeps

// decodePerPixel is the memory of one decoding, in bytes a pixel of the coded picture, by its chroma format
// (none, 4:2:0, 4:2:2, 4:4:4), and twice that where samples have more than 8 bits: what libde265 decodes
// into, what libheif makes of it and what is handed out, which are 4.9, 8.9, 8.9 and 10.9, or 15.9 to 19.9.
var decodePerPixel = [4]int64{6, 10, 10, 12}

// leastTile is what a coded picture costs at least, in pixels: each has a decoder of its own.
const leastTile = 256 * 256

// checkProportion refuses a picture that has far more pixels, shown or coded, than the file has bytes for.
func (l *heicLayout) checkProportion() error {
	tile := int64(l.params.codedWidth) * int64(l.params.codedHeight)
	pixels := max(int64(l.width)*int64(l.height), int64(len(l.tiles))*max(tile, leastTile))
	return checkProportion(pixels, 3, int64(len(l.h.in)))
}

// sampleBytes is what the decoder gives for a sample.
func (s *paramSets) sampleBytes() int64 {
	if s.bits > 8 {
		return 2
	}
	return 1
}

// checkMemory refuses before anything large is allocated what would not fit the worker, and what needs a
// worker that can decode it.
func (l *heicLayout) checkMemory(why purpose, lim wire.Limits) error {
	pixels := int64(l.width) * int64(l.height)
	samples := 3 * pixels
	if l.params.chroma == 0 {
		samples = pixels
	}
	if l.crop != nil {
		samples *= 2
	}
	tile := int64(l.params.codedWidth) * int64(l.params.codedHeight)
	decode := decodePerPixel[l.params.chroma] * l.params.sampleBytes() * tile * int64(min(len(l.tiles), maxParallel))
	var more int64
	if fw, fh := fit(l.width, l.height, webSide); why >= toSanitise && fw < l.width {
		more = 4 * int64(fw) * (int64(l.height) + int64(fh))
	}
	if why == toRecode {
		more = max(more, pixels*3/4)
	}
	need := int64(len(l.h.in)) + samples + max(decode, more) + decoderBytes + runtimeBytes
	if need > lim.MemoryBytes || !hevcReady {
		return &Refusal{Code: CodePixels, Detail: fmt.Sprintf("%dx%d pixels need %d MiB to open", l.width, l.height, need>>20),
			Need: need, HEVC: true}
	}
	return nil
}
