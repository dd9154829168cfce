package codec

import "photovault/imaging/internal/wire"

// runtimeBytes is what the Go runtime, its threads and small buffers take of a worker's memory.
const runtimeBytes = 20 << 20

// checkMemory refuses on the header alone what would not fit the worker: decoded planes, the
// coefficients that image/jpeg holds for progressive images (4 bytes each), and the intermediate
// picture of the resize (web width × source height, 4 bytes).
func checkMemory(l *jpegLayout, lim wire.Limits) error {
	var samples int64
	h0, v0 := int64(l.comps[0].h), int64(l.comps[0].v)
	mcus := ceilDiv(int64(l.width), 8*h0) * ceilDiv(int64(l.height), 8*v0)
	for _, c := range l.comps {
		samples += mcus * int64(c.h) * int64(c.v) * 64
	}
	var more int64
	if max(l.width, l.height) > webSide {
		more = 4 * min(int64(l.width), webSide) * int64(l.height)
	}
	if l.sof == mSOF2 {
		more = max(more, 4*samples)
	}
	if need := samples + more + runtimeBytes; need > lim.MemoryBytes {
		return refuse(CodePixels, "%dx%d pixels need %d MiB to open", l.width, l.height, need>>20)
	}
	return nil
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }
