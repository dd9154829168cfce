package codec

import (
	"fmt"

	"photovault/imaging/internal/wire"
)

// runtimeBytes is what the Go runtime, its threads, tables and small buffers take of a worker's
// memory, and what is lost between large blocks.
const runtimeBytes = 20 << 20

// purpose is what an image is opened for: it decides how much memory that takes.
type purpose byte

const (
	toScan     purpose = iota // decode and hash
	toSanitise                // make renditions as well
	toRecode                  // and code the original anew
)

// checkMemory refuses before anything large is allocated what would not fit the worker. Held together
// are the input, the decoded planes, and the largest of: the coefficients of a progressive image (2
// bytes each) with its sequential twin, the intermediate picture of the resize and its result (4
// bytes a pixel), and the output when the image is coded anew.
func checkMemory(l *jpegLayout, why purpose, lim wire.Limits) error {
	var samples, more int64
	w, h := int64(l.width), int64(l.height)
	mx, my := l.mcus()
	for _, c := range l.comps {
		samples += int64(mx) * int64(my) * int64(c.h) * int64(c.v) * 64
	}
	if len(l.comps) == 4 {
		samples += 4 * w * h // interleaved, besides the planes
	}
	input := int64(l.inputSize)
	if l.sof == mSOF2 {
		more = 2*samples + input - samples // the planes come when the coefficients are gone
	}
	if fw, fh := fit(l.width, l.height, webSide); why >= toSanitise && fw < l.width {
		more = max(more, 4*int64(fw)*(h+int64(fh)))
	}
	need := samples + max(more, 0) + input + runtimeBytes
	if why == toRecode {
		// The output has a full sample of each component for each pixel, and is scanned as well.
		output := w * h * int64(len(l.comps)) / 4
		// Turned without loss it has the coefficients, of two bytes, besides the picture.
		need = max(need, 3*samples+output+input+runtimeBytes, w*h*int64(len(l.comps))+output+runtimeBytes)
	}
	if need > lim.MemoryBytes {
		return tooLarge(w, h, need)
	}
	return nil
}

// tooLarge refuses a picture that needs so many bytes to open; the pool may have a larger worker for it.
func tooLarge(w, h, need int64) error {
	return &Refusal{Code: CodePixels, Detail: fmt.Sprintf("%dx%d pixels need %d MiB to open", w, h, need>>20), Need: need}
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }
