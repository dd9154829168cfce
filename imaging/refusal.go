package imaging

import "errors"

// Code says why a photo was refused. Codes are stable: clients branch on them.
type Code string

const (
	UnsupportedFormat Code = "unsupported_format" // not a format that is known
	UnsupportedTIFF   Code = "unsupported_tiff"   // formats that are known and not opened
	UnsupportedGIF    Code = "unsupported_gif"
	UnsupportedBMP    Code = "unsupported_bmp"
	UnsupportedAVIF   Code = "unsupported_avif"
	UnsupportedPDF    Code = "unsupported_pdf"
	UnsupportedSVG    Code = "unsupported_svg"
	UnsupportedRAW    Code = "unsupported_raw"
	UnsupportedVideo  Code = "unsupported_video"
	UnsupportedCoding Code = "unsupported_coding"         // the right format in a variant that is not opened
	UnsupportedColour Code = "unsupported_colour_profile" // colours that cannot be brought to sRGB faithfully
	Truncated         Code = "truncated"
	Corrupt           Code = "corrupt"
	TooLarge          Code = "too_large"       // more bytes than Limits.MaxInputBytes
	TooManyPixels     Code = "too_many_pixels" // more than the limits or the worker's memory admit
	TooComplex        Code = "too_complex"     // decoding would take unbounded time
	Timeout           Code = "timeout"         // the worker did not finish in time and was ended
	OutOfMemory       Code = "out_of_memory"   // the worker reached its memory limit
	WorkerFailed      Code = "worker_failed"   // the worker died or answered with something else than an answer
	RegionOutside     Code = "region_outside"  // a region has no area, lies outside of the picture, or there are too many
	CropsDiffer       Code = "crops_differ"    // crops of a comparison whose shapes differ, or that show too little
	UnsafeOutput      Code = "unsafe_output"   // a second worker found fault with what the first had made
)

// Refusal is the error for a photo that cannot be accepted as it is. Detail is for a person; it holds
// nothing of the photo.
type Refusal struct {
	Code   Code
	Detail string
}

func (r *Refusal) Error() string {
	if r.Detail == "" {
		return "imaging: photo refused: " + string(r.Code)
	}
	return "imaging: photo refused: " + string(r.Code) + ": " + r.Detail
}

// MayRetry reports that another attempt could end otherwise, because the cause may have been the
// machine's load and not the photo. Try a bounded number of times.
func (r *Refusal) MayRetry() bool {
	return r.Code == Timeout || r.Code == OutOfMemory || r.Code == WorkerFailed
}

// Errors that say nothing about the photo: the job stays and is tried again later.
var (
	// ErrMachine says that no worker could be started.
	ErrMachine = errors.New("imaging: cannot start a media worker")
	// ErrClosed says that the pool was closed.
	ErrClosed = errors.New("imaging: pool is closed")
)

// accepted are the formats that are opened, in words.
const accepted = "JPEG, PNG, WebP and HEIC"

// advice is what a worker's refusal means to a person. The worker's own words are not passed on: it
// has seen the photo and is not trusted to be silent about it.
var advice = map[Code]string{
	UnsupportedFormat: "only " + accepted + " photos are accepted",
	UnsupportedTIFF:   "TIFF is not accepted; only " + accepted,
	UnsupportedGIF:    "GIF is not accepted; only " + accepted,
	UnsupportedBMP:    "BMP is not accepted; only " + accepted,
	UnsupportedAVIF:   "AVIF is not accepted; only " + accepted,
	UnsupportedPDF:    "PDF is not accepted; only " + accepted,
	UnsupportedSVG:    "SVG is not accepted; only " + accepted,
	UnsupportedRAW:    "camera raw files are not accepted; only " + accepted,
	UnsupportedVideo:  "videos are not accepted; only " + accepted + " photos",
	UnsupportedCoding: "a variant of its format that cameras do not write; save it as an ordinary photo and send it again",
	UnsupportedColour: "its colour profile is broken or belongs to another kind of picture; save it as sRGB and send it again",
	Truncated:         "the file is incomplete; send it again",
	Corrupt:           "the file is damaged; send it again from the original",
	TooManyPixels:     "the picture has more pixels than this service can open",
	TooComplex:        "the file would take too long to open; save it as an ordinary photo and send it again",
	CropsDiffer:       "the two crops must have the same shape and show at least 64 pixels; draw them around the same part",
	UnsafeOutput:      "the sanitised photo did not pass its check and was discarded",
}

// refusal turns a worker's code into an error; one that a worker cannot give is a failure.
func refusal(code string) *Refusal {
	if text, ok := advice[Code(code)]; ok {
		return &Refusal{Code(code), text}
	}
	return &Refusal{WorkerFailed, "the media worker failed on the photo"}
}
