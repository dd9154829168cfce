package codec

import (
	"bytes"

	"github.com/rwcarlsen/goexif/exif"
	"github.com/rwcarlsen/goexif/tiff"

	"photovault/imaging/internal/wire"
)

// exifFacts is all that is ever read from EXIF. There is no field for a position.
type exifFacts struct {
	captureTime string // "2006:01:02 15:04:05"
	orientation int    // 1..8, 0 when absent
	hadGPS      bool
	adobeRGB    bool
	unreadable  bool
}

// readEXIF reads a block that begins with the TIFF header. It never fails a photo: what cannot be
// read is left out and noted. goexif sees only blocks that passed the guard; its thumbnail reader is
// never called and its maker note parsers are never registered.
func readEXIF(p []byte) exifFacts {
	if p == nil {
		return exifFacts{}
	}
	// Some writers of PNG and WebP put the identifier of JPEG's segment ahead of it.
	p = bytes.TrimPrefix(p, []byte("Exif\x00\x00"))
	facts, err := guardEXIF(p)
	if err != nil || len(p) > maxFacts { // goexif takes ten times the memory of the numbers that it reads
		facts.unreadable = true
		return facts
	}
	x, err := exif.Decode(bytes.NewReader(p))
	if err != nil {
		facts.unreadable = true
		if x == nil {
			return facts
		}
	}
	for _, name := range []exif.FieldName{exif.DateTimeOriginal, exif.DateTimeDigitized, exif.DateTime} {
		tag, err := x.Get(name)
		if err != nil || tag.Format() != tiff.StringVal {
			continue
		}
		if s, err := tag.StringVal(); err == nil && wire.IsEXIFTime(s) {
			facts.captureTime = s
			break
		}
	}
	if tag, err := x.Get(exif.Orientation); err == nil && tag.Count == 1 && tag.Format() == tiff.IntVal {
		if v, err := tag.Int(0); err == nil && v >= 1 && v <= 8 {
			facts.orientation = v
		}
	}
	return facts
}
