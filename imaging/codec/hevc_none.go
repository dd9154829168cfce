//go:build !nodynamic || !linux

package codec

import (
	"errors"
	"image"
)

// Without the build tag nodynamic the decoder's package would load whatever libheif the system has into
// the worker, unconfined. Such a build has no HEVC decoder instead, and refuses HEIC photos.

var errNoHEVC = errors.New("codec: built without the tag nodynamic, which the HEVC decoder needs")

// PrepareHEVC fails in this build.
func PrepareHEVC() error { return errNoHEVC }

const hevcBuilt, hevcReady = false, false

func decodeHEVC([]byte, bool, int, int, int, func(image.Image)) error { return errNoHEVC }
