package codec

import "photovault/imaging/internal/wire"

// runtimeBytes is what the Go runtime, its threads, tables and small buffers take of a worker's memory.
const runtimeBytes = 20 << 20

// checkMemory refuses before anything large is allocated what would not fit the worker. Held together
// are the upload and its rebuilt copy, the decoded planes, and the largest of: the coefficients that
// image/jpeg keeps of a progressive image (4 bytes each), the intermediate picture of the resize (web
// width × source height, 4 bytes a pixel), and, when the image is coded anew, the growing output.
func checkMemory(l *jpegLayout, input int, recode bool, lim wire.Limits) error {
	var samples int64
	h0, v0 := int64(l.comps[0].h), int64(l.comps[0].v)
	w, h := int64(l.width), int64(l.height)
	mcus := ceilDiv(w, 8*h0) * ceilDiv(h, 8*v0)
	for _, c := range l.comps {
		samples += mcus * int64(c.h) * int64(c.v) * 64
	}
	var more int64
	if max(w, h) > webSide {
		more = 4 * min(w, webSide) * h
	}
	if l.sof == mSOF2 {
		more = max(more, 4*samples)
	}
	if recode {
		more = max(more, 2*int64(outputEstimate(l.width, l.height, len(l.comps))))
	}
	if need := samples + more + 2*int64(input) + runtimeBytes; need > lim.MemoryBytes {
		return refuse(CodePixels, "%dx%d pixels need %d MiB to open", w, h, need>>20)
	}
	return nil
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

// outputEstimate is the usual size of a picture coded anew: half a byte a pixel in colour.
func outputEstimate(w, h, components int) int { return 4096 + w*h*components/6 }
