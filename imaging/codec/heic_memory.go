package codec

import (
	"fmt"

	"photovault/imaging/internal/wire"
)

// What the decoder takes besides the picture, found by measuring (see PERFORMANCE.md).
const (
	decoderBytes  = 72 << 20 // its machine code, and what a process that translated it keeps
	decodePerTile = 16       // bytes a pixel of a coded picture, its memory growing by copying
)

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
	decode := decodePerTile * tile * int64(min(len(l.tiles), maxParallel))
	if l.params.bits > 8 {
		decode *= 2
	}
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
