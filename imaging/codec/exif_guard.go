package codec

import (
	"encoding/binary"
	"errors"

	"photovault/imaging/internal/wire"
)

// Bounds of an EXIF block that goexif may see. Real ones hold 5 directories of at most 60 entries.
const (
	maxIFDs    = 16
	maxEntries = 512
)

// EXIF tags that the guard itself looks at.
const (
	tagOrientation  = 0x0112
	tagExifIFD      = 0x8769
	tagGPSIFD       = 0x8825
	tagInteropIFD   = 0xA005
	tagColourSpace  = 0xA001
	tagInteropIndex = 0x0001

	tagTimeOriginal  = 0x9003
	tagTimeDigitized = 0x9004
)

var errEXIF = errors.New("EXIF block is malformed")

// exifGuard walks a TIFF structure and checks that everything in it lies inside the block, in 64-bit
// arithmetic: goexif multiplies counts in 32 bits, follows any chain of directories, and asks for as
// much memory as a tag claims, a fatal error that cannot be recovered from. What is wrong it steps over, as
// every viewer does, so that orientation, time and "had GPS" are known of a block that goexif never sees: one
// entry of a type that came later (Exif 3.0 has text in UTF-8, type 129), of no value, or cut off, must
// not turn a photo on its side.
type exifGuard struct {
	p       []byte
	order   binary.ByteOrder
	ifds    int
	seen    map[uint64]bool
	values  uint64 // bytes of all values together
	bad     bool   // something was wrong
	facts   exifFacts
	uncal   bool
	interop bool // Interoperability index R03
	adobe   bool // colour space 2
}

// Directories of the chain, told apart from those that have a tag: the picture's own and the thumbnail's.
const (
	ifdPicture   = 0
	ifdThumbnail = 1
)

// typeSizes are the sizes of TIFF 6.0 field types 1 to 12.
var typeSizes = [13]uint64{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8}

// guardEXIF checks a block that begins with the TIFF header. Facts are there even where it is in error.
func guardEXIF(p []byte) (exifFacts, error) {
	g := &exifGuard{p: p, seen: map[uint64]bool{}}
	g.run()
	g.facts.adobeRGB = g.adobe || g.uncal && g.interop
	if g.bad {
		return g.facts, errEXIF
	}
	return g.facts, nil
}

func (g *exifGuard) run() {
	if len(g.p) < 8 {
		g.bad = true
		return
	}
	switch string(g.p[:4]) {
	case "II*\x00":
		g.order = binary.LittleEndian
	case "MM\x00*":
		g.order = binary.BigEndian
	default:
		g.bad = true
		return
	}
	kind := uint16(ifdPicture)
	for off := uint64(g.order.Uint32(g.p[4:])); off != 0; kind = ifdThumbnail {
		off = g.directory(off, kind)
	}
}

// directory checks one IFD and those it points to; it returns the offset of the next one. kind is the tag
// that pointed to it.
func (g *exifGuard) directory(off uint64, kind uint16) (next uint64) {
	size := uint64(len(g.p))
	if g.ifds++; g.ifds > maxIFDs || g.seen[off] || off+2 > size {
		g.bad = true
		return 0
	}
	g.seen[off] = true
	n := uint64(g.order.Uint16(g.p[off:]))
	whole := n <= maxEntries && off+2+12*n+4 <= size
	if !whole {
		g.bad = true
		n = min(n, maxEntries, (size-off-2)/12)
	}
	if kind == tagGPSIFD && n > 0 {
		g.facts.hadGPS = true
	}
	for i := range n {
		g.entry(g.p[off+2+12*i:][:12], kind)
	}
	if !whole {
		return 0
	}
	return uint64(g.order.Uint32(g.p[off+2+12*n:]))
}

func (g *exifGuard) entry(e []byte, kind uint16) {
	tag, typ := g.order.Uint16(e), g.order.Uint16(e[2:])
	count := uint64(g.order.Uint32(e[4:]))
	value := uint64(g.order.Uint32(e[8:]))
	if typ == 0 || int(typ) >= len(typeSizes) || count == 0 {
		g.bad = true
		return
	}
	bytes := typeSizes[typ] * count
	if bytes > 4 && value+bytes > uint64(len(g.p)) {
		g.bad = true
		return
	}
	// Honest values do not overlap; a block whose values do is built to grow.
	if g.values += bytes; g.values > 2*uint64(len(g.p)) {
		g.bad = true
	}
	short := g.order.Uint16(e[8:])
	switch {
	case kind == ifdPicture && tag == tagOrientation && typ == 3 && count == 1:
		if short >= 1 && short <= 8 {
			g.facts.orientation = int(short)
		}
	case kind == tagExifIFD && (tag == tagTimeOriginal || tag == tagTimeDigitized) && typ == 2 && count == 20:
		if s := string(g.p[value:][:19]); wire.IsEXIFTime(s) && (tag == tagTimeOriginal || g.facts.captureTime == "") {
			g.facts.captureTime = s
		}
	case kind == tagExifIFD && tag == tagColourSpace && typ == 3:
		g.uncal, g.adobe = short == 0xFFFF, short == 2
	case kind == tagInteropIFD && tag == tagInteropIndex && typ == 2:
		g.interop = string(e[8:11]) == "R03"
	case tag == tagExifIFD || tag == tagGPSIFD || tag == tagInteropIFD:
		if typ != 4 && typ != 3 || count != 1 {
			g.bad = true
			return
		}
		if typ == 3 {
			value = uint64(short)
		}
		g.directory(value, tag)
	}
}
