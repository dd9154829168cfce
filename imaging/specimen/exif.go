package specimen

import "encoding/binary"

// TIFF 6.0 field types.
const (
	tASCII, tShort, tLong, tRational, tUndefined = 2, 3, 4, 5, 7
)

// field is one entry of a directory; its value is already in file order (big-endian).
type field struct {
	tag, typ uint16
	count    uint32
	value    []byte
	sub      []field // of a directory that this entry points to
}

func ascii(tag uint16, s string) field {
	return field{tag: tag, typ: tASCII, count: uint32(len(s) + 1), value: append([]byte(s), 0)}
}

func short(tag uint16, v uint16) field {
	return field{tag: tag, typ: tShort, count: 1, value: binary.BigEndian.AppendUint16(nil, v)}
}

func undefined(tag uint16, v []byte) field {
	return field{tag: tag, typ: tUndefined, count: uint32(len(v)), value: v}
}

func rationals(tag uint16, v ...uint32) field {
	f := field{tag: tag, typ: tRational, count: uint32(len(v) / 2)}
	for _, x := range v {
		f.value = binary.BigEndian.AppendUint32(f.value, x)
	}
	return f
}

func directory(tag uint16, sub []field) field {
	return field{tag: tag, typ: tLong, count: 1, sub: sub}
}

// exif composes the TIFF block of the EXIF segment, or nil when nothing in it was asked for. Entries
// stand in ascending order of their tags, as TIFF demands.
func (o Options) exif(canary []byte) []byte {
	var ifd0, sub, gps []field
	if o.MakerNote {
		ifd0 = append(ifd0, ascii(0x010E, o.Canary), ascii(0x010F, "Specimen"), ascii(0x0110, "Model "+o.Canary))
	}
	if o.Orientation != 0 {
		ifd0 = append(ifd0, short(0x0112, uint16(o.Orientation)))
	}
	if o.MakerNote {
		ifd0 = append(ifd0, ascii(0x013B, o.Canary), ascii(0x8298, o.Canary))
	}
	if o.CaptureTime != "" {
		sub = append(sub, ascii(0x9003, o.CaptureTime), ascii(0x9004, o.CaptureTime))
	}
	if o.MakerNote {
		sub = append(sub, undefined(0x927C, append([]byte("SPECIMEN\x00"), canary...)),
			undefined(0x9286, append([]byte("ASCII\x00\x00\x00"), o.Canary...)))
	}
	if o.AdobeRGB {
		sub = append(sub, short(0xA001, 0xFFFF), directory(0xA005, []field{ascii(1, "R03")}))
	}
	if o.MakerNote {
		sub = append(sub, ascii(0xA431, "serial "+o.Canary))
	}
	if o.GPS {
		gps = []field{ascii(1, "N"), rationals(2, 52, 1, 31, 1, 1200, 100),
			ascii(3, "E"), rationals(4, 13, 1, 24, 1, 1800, 100), ascii(0x1D, "2026:03:14")}
	}
	if sub != nil {
		ifd0 = append(ifd0, directory(0x8769, sub))
	}
	if gps != nil {
		ifd0 = append(ifd0, directory(0x8825, gps))
	}
	if ifd0 == nil && !o.Thumbnail {
		return nil
	}
	w := &tiffWriter{b: []byte("MM\x00*\x00\x00\x00\x08")}
	next := w.directory(ifd0)
	if o.Thumbnail {
		thumb := tinyJPEG(canary)
		at := len(w.b)
		binary.BigEndian.PutUint32(w.b[next:], uint32(at))
		size := field{tag: 0x0202, typ: tLong, count: 1, value: binary.BigEndian.AppendUint32(nil, uint32(len(thumb)))}
		// Offset of the thumbnail: behind this directory of two entries.
		off := field{tag: 0x0201, typ: tLong, count: 1, value: binary.BigEndian.AppendUint32(nil, uint32(at+2+2*12+4))}
		w.directory([]field{off, size})
		w.b = append(w.b, thumb...)
	}
	return w.b
}

// tiffWriter appends directories to a block and patches the offsets.
type tiffWriter struct{ b []byte }

// directory writes one directory with its values and sub-directories behind it, and returns where
// its pointer to the next one stands.
func (w *tiffWriter) directory(fields []field) (next int) {
	start := len(w.b)
	w.b = binary.BigEndian.AppendUint16(w.b, uint16(len(fields)))
	w.b = append(w.b, make([]byte, 12*len(fields)+4)...)
	for i, f := range fields {
		at := start + 2 + 12*i
		binary.BigEndian.PutUint16(w.b[at:], f.tag)
		binary.BigEndian.PutUint16(w.b[at+2:], f.typ)
		binary.BigEndian.PutUint32(w.b[at+4:], f.count)
		switch {
		case f.sub != nil:
			binary.BigEndian.PutUint32(w.b[at+8:], uint32(len(w.b)))
			w.directory(f.sub)
		case len(f.value) <= 4:
			copy(w.b[at+8:], f.value)
		default:
			binary.BigEndian.PutUint32(w.b[at+8:], uint32(len(w.b)))
			w.b = append(w.b, f.value...)
		}
	}
	return start + 2 + 12*len(fields)
}

// OddEXIF are blocks with one entry that readers of Exif 2 cannot read, ahead of an orientation of 6, a time
// and a position.
func OddEXIF() map[string][]byte {
	out := map[string][]byte{}
	for name, odd := range map[string]field{
		"text in UTF-8 (Exif 3.0)": {tag: 0x010E, typ: 129, count: 10, value: []byte("Behandlung")},
		"text of no length":        {tag: 0x010E, typ: tASCII},
		"no type":                  {tag: 0x010F, count: 1},
		"an entry of zeros":        {},
		"a value that is cut off":  {tag: 0x010E, typ: tASCII, count: 0xFFFF, value: []byte("Behandlung")},
	} {
		w := &tiffWriter{b: []byte("MM\x00*\x00\x00\x00\x08")}
		w.directory([]field{odd, short(0x0112, 6), directory(0x8769, []field{ascii(0x9003, "2026:03:14 09:26:53")}),
			directory(0x8825, []field{ascii(1, "N"), rationals(2, 52, 1, 31, 1, 1200, 100)})})
		out[name] = w.b
	}
	return out
}
