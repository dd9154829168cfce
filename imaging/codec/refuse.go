// Package codec opens, checks and rewrites pictures. It runs only inside a media worker, behind the
// fences of imaging/internal/sandbox; the service process never calls into it. One file per concern,
// the file name beginning with the format it belongs to.
package codec

import "fmt"

// Codes a photo is refused with. They are part of the public interface: a client may branch on them.
const (
	CodeFormat    = "unsupported_format" // not a format that is known; the known ones that are not opened:
	CodeTIFF      = "unsupported_tiff"
	CodeGIF       = "unsupported_gif"
	CodeBMP       = "unsupported_bmp"
	CodeAVIF      = "unsupported_avif"
	CodePDF       = "unsupported_pdf"
	CodeSVG       = "unsupported_svg"
	CodeRAW       = "unsupported_raw"
	CodeVideo     = "unsupported_video"
	CodeCoding    = "unsupported_coding"         // the right format, in a variant nobody's camera writes
	CodeColour    = "unsupported_colour_profile" // colours that cannot be converted to sRGB faithfully
	CodeTruncated = "truncated"
	CodeCorrupt   = "corrupt"
	CodePixels    = "too_many_pixels"
	CodeComplex   = "too_complex"  // would take unbounded time to decode
	CodeCrops     = "crops_differ" // of a comparison: shapes that cannot be shown at the same scale
	CodeUnsafe    = "unsafe_output"
)

// Refusal says why one photo cannot be accepted. Detail is for a person and holds no photo content.
type Refusal struct {
	Code, Detail string
	Need         int64 // bytes that a worker must be able to allocate, when that is the only reason
	HEVC         bool  // and it must be able to decode HEVC
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Detail }

func refuse(code, format string, a ...any) error {
	return &Refusal{Code: code, Detail: fmt.Sprintf(format, a...)}
}
