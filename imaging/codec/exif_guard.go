package codec

import (
	"encoding/binary"
	"errors"
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
)

var errEXIF = errors.New("EXIF block is malformed")

// exifGuard walks a TIFF structure and checks that everything in it lies inside the block, in 64-bit
// arithmetic: goexif multiplies counts in 32 bits, follows any chain of directories, and asks for as
// much memory as a tag claims, a fatal error that cannot be recovered from. What it meets on the way
// it notes, so that orientation and "had GPS" are known even when the block turns out bad.
type exifGuard struct {
	p       []byte
	order   binary.ByteOrder
	ifds    int
	seen    map[uint64]bool
	values  uint64 // bytes of all values together
	facts   exifFacts
	uncal   bool
	interop bool // Interoperability index R03
	adobe   bool // colour space 2
}

// typeSizes are the sizes of TIFF 6.0 field types 1 to 12.
var typeSizes = [13]uint64{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8}

// guardEXIF checks a block that begins with the TIFF header.
func guardEXIF(p []byte) (exifFacts, error) {
	g := &exifGuard{p: p, seen: map[uint64]bool{}}
	err := g.run()
	g.facts.adobeRGB = g.adobe || g.uncal && g.interop
	return g.facts, err
}

func (g *exifGuard) run() error {
	if len(g.p) < 8 {
		return errEXIF
	}
	switch string(g.p[:4]) {
	case "II*\x00":
		g.order = binary.LittleEndian
	case "MM\x00*":
		g.order = binary.BigEndian
	default:
		return errEXIF
	}
	for off := uint64(g.order.Uint32(g.p[4:])); off != 0; {
		next, err := g.directory(off, 0)
		if err != nil {
			return err
		}
		off = next
	}
	return nil
}

// directory checks one IFD and those it points to; it returns the offset of the next one.
func (g *exifGuard) directory(off uint64, kind uint16) (next uint64, err error) {
	size := uint64(len(g.p))
	if g.ifds++; g.ifds > maxIFDs || g.seen[off] || off+2 > size {
		return 0, errEXIF
	}
	g.seen[off] = true
	n := uint64(g.order.Uint16(g.p[off:]))
	if n > maxEntries || off+2+12*n+4 > size {
		return 0, errEXIF
	}
	if kind == tagGPSIFD && n > 0 {
		g.facts.hadGPS = true
	}
	for i := range n {
		if err := g.entry(g.p[off+2+12*i:][:12], kind); err != nil {
			return 0, err
		}
	}
	return uint64(g.order.Uint32(g.p[off+2+12*n:])), nil
}

func (g *exifGuard) entry(e []byte, kind uint16) error {
	tag, typ := g.order.Uint16(e), g.order.Uint16(e[2:])
	count := uint64(g.order.Uint32(e[4:]))
	value := uint64(g.order.Uint32(e[8:]))
	if typ == 0 || int(typ) >= len(typeSizes) || count == 0 {
		return errEXIF
	}
	bytes := typeSizes[typ] * count
	if bytes > 4 && value+bytes > uint64(len(g.p)) {
		return errEXIF
	}
	// Honest values do not overlap; a block whose values do is built to grow.
	if g.values += bytes; g.values > 2*uint64(len(g.p)) {
		return errEXIF
	}
	short := g.order.Uint16(e[8:])
	switch {
	case kind == 0 && tag == tagOrientation && typ == 3 && count == 1 && g.ifds == 1:
		if short >= 1 && short <= 8 {
			g.facts.orientation = int(short)
		}
	case kind == tagExifIFD && tag == tagColourSpace && typ == 3:
		g.uncal, g.adobe = short == 0xFFFF, short == 2
	case kind == tagInteropIFD && tag == tagInteropIndex && typ == 2:
		g.interop = string(e[8:11]) == "R03"
	case tag == tagExifIFD || tag == tagGPSIFD || tag == tagInteropIFD:
		if typ != 4 && typ != 3 || count != 1 {
			return errEXIF
		}
		if typ == 3 {
			value = uint64(short)
		}
		_, err := g.directory(value, tag)
		return err
	}
	return nil
}
