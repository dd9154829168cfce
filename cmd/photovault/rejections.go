package main

import (
	"errors"
	"fmt"

	"photovault/api"
	"photovault/api/client"
)

const exportIt = "; export the photo as JPEG and send it again."

// advice says, for each code a photo can be rejected with, what to do next.
var advice = map[string]string{
	"unsupported_format":         "It is no photo in a format that is taken" + exportIt,
	"unsupported_tiff":           "TIFF is not taken" + exportIt,
	"unsupported_gif":            "GIF is not taken" + exportIt,
	"unsupported_bmp":            "BMP is not taken" + exportIt,
	"unsupported_avif":           "AVIF is not taken" + exportIt,
	"unsupported_pdf":            "PDF is not taken" + exportIt,
	"unsupported_svg":            "SVG is not taken" + exportIt,
	"unsupported_raw":            "Camera raw files are not taken" + exportIt,
	"unsupported_video":          "Videos are not taken; send a photo.",
	"unsupported_coding":         "It is a variant of its format that cameras do not write; export it as a plain JPEG and send it again.",
	"unsupported_colour_profile": "Its colours cannot be converted to sRGB faithfully; export it as sRGB JPEG and send it again.",
	"truncated":                  "The file ends before its picture does; copy it from the camera again.",
	"corrupt":                    "The file is damaged; copy it from the camera again.",
	"too_large":                  "The file is too large.",
	"too_many_pixels":            "The picture has too many pixels; send a smaller one.",
	"too_complex":                "The file asks for far more work than its size warrants; export it anew and send that.",
	"timeout":                    "Opening it took too long, several times.",
	"out_of_memory":              "Opening it takes too much memory; send a smaller one.",
	"worker_failed":              "Opening it crashed the decoder, several times; export it anew and send that.",
	"unsafe_output":              "What sanitising made did not pass the second check; report this photo's id.",
	"envelope_refused":           "It was sealed for another capture, practice or key, or was damaged on the way; seal it again.",
	"envelope_malformed":         "It is not a sealed photo; use photovault put, or seal it as the format says.",
	"upload_key_unknown":         "It was sealed to an upload key that is too old; seal it again with the current one.",
}

// explain adds to a rejection what to do about it.
func explain(p *api.Photo, err error) error {
	if !errors.Is(err, client.ErrRejected) || p == nil {
		return err
	}
	return fmt.Errorf("photo %s was rejected: %s. %s", p.ID, p.RejectedCode, advice[p.RejectedCode])
}
