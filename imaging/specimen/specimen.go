// Package specimen makes test photos: pictures of any size that look like photos to a coder, with every
// kind of metadata a camera, phone or editor leaves behind, and damaged and hostile variants of them.
// Everything is computed from a seed, so that the same options give the same bytes on every machine.
package specimen

import (
	"bytes"
	"encoding/binary"
	"image/jpeg"
)

// Options describe one photo. The zero value is a plain 640×480 colour JPEG without metadata.
type Options struct {
	Width, Height int    // pixels; 640×480 when zero
	Seed          uint64 // of the picture's content
	Quality       int    // 1..100; 90 when zero
	Gray          bool

	Orientation int    // EXIF orientation 1..8; 0 leaves the tag out
	CaptureTime string // "2006:01:02 15:04:05"; empty leaves it out
	GPS         bool   // a position in EXIF
	AdobeRGB    bool   // EXIF says "uncalibrated" and interoperability R03
	MakerNote   bool
	Thumbnail   bool // a picture in EXIF, as of before cropping
	XMP         bool
	IPTC        bool
	Comment     bool
	JFXX        bool   // a thumbnail in a JFIF extension
	MPF         bool   // a second picture behind the first, announced in a multi-picture index
	Trailer     bool   // bytes behind the end of the image that nothing announces
	Unknown     bool   // application segments of no known kind
	Tables      bool   // quantisation and Huffman tables that nothing uses
	Fill        bool   // fill bytes and stray data between segments
	Tail        bool   // bytes between the last coded block and the end of the image
	ICC         []byte // a profile, split over as many segments as it needs

	// Canary is text that is planted in every carrier asked for, in every form of Forms. Whoever
	// finds one of them in an output has found residue.
	Canary string
}

// Full asks for every carrier there is.
func Full(width, height int, seed uint64) Options {
	return Options{Width: width, Height: height, Seed: seed, Orientation: 1,
		CaptureTime: "2026:03:14 09:26:53", GPS: true, MakerNote: true, Thumbnail: true, XMP: true,
		IPTC: true, Comment: true, JFXX: true, MPF: true, Trailer: true, Unknown: true, Tables: true,
		Fill: true, Tail: true, ICC: SRGB(), Canary: "canary-7f3a9c-Erika-Mustermann-52.5200N"}
}

// JPEG makes the photo.
func JPEG(o Options) []byte {
	if o.Width == 0 {
		o.Width = 640
	}
	if o.Height == 0 {
		o.Height = 480
	}
	if o.Quality == 0 {
		o.Quality = 90
	}
	return decorate(encode(o), o)
}

// Decorate plants the carriers that o asks for in an existing JPEG, whose own size and content stay.
func Decorate(plain []byte, o Options) []byte { return decorate(plain, o) }

func encode(o Options) []byte {
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, Picture(o.Width, o.Height, o.Seed, o.Gray), &jpeg.Options{Quality: o.Quality}); err != nil {
		panic("specimen: " + err.Error()) // a picture and a buffer of our own
	}
	return buf.Bytes()
}

// decorate inserts segments behind the start of the image, and data at and behind its end.
func decorate(plain []byte, o Options) []byte {
	c := o.canary()
	out := append([]byte(nil), plain[:2]...)
	if o.JFXX {
		out = segment(out, 0xE0, []byte("JFIF\x00\x01\x02\x00\x00\x48\x00\x48\x00\x00"))
		out = segment(out, 0xE0, append([]byte("JFXX\x00\x10"), tinyJPEG(c)...))
	}
	if e := o.exif(c); e != nil {
		out = segment(out, 0xE1, append([]byte("Exif\x00\x00"), e...))
	}
	if o.XMP {
		out = appendXMP(out, c)
	}
	if o.IPTC {
		out = segment(out, 0xED, iptc(c))
	}
	if o.Comment {
		out = segment(out, 0xFE, c)
	}
	for i, n := 0, (len(o.ICC)+iccPart-1)/iccPart; i < n; i++ {
		part := o.ICC[i*iccPart : min((i+1)*iccPart, len(o.ICC))]
		out = segment(out, 0xE2, append([]byte{'I', 'C', 'C', '_', 'P', 'R', 'O', 'F', 'I', 'L', 'E', 0, byte(i + 1), byte(n)}, part...))
	}
	var second []byte
	if o.MPF {
		second = tinyJPEG(c)
		out = segment(out, 0xE2, mpf(len(second)))
	}
	if o.Unknown {
		for _, m := range []byte{0xE3, 0xE4, 0xE5, 0xE9, 0xEB, 0xEF} {
			out = segment(out, m, c)
		}
	}
	if o.Tables {
		out = appendUnusedTables(out, c)
	}
	if o.Fill {
		out = append(append(out, c...), 0xFF, 0x01, 0xFF, 0xFF, 0xFF) // TEM, which is alone, and fill bytes
	}
	out = append(out, plain[2:len(plain)-2]...)
	if o.Tail {
		out = append(out, bytes.ReplaceAll(c, []byte{0xFF}, []byte{0xFE})...)
	}
	out = append(out, 0xFF, 0xD9)
	out = append(out, second...)
	if o.Trailer {
		out = append(out, c...)
	}
	return out
}

// iccPart is how much of a profile fits a segment.
const iccPart = 65533 - 14

func segment(out []byte, marker byte, body []byte) []byte {
	out = append(out, 0xFF, marker)
	out = binary.BigEndian.AppendUint16(out, uint16(len(body)+2))
	return append(out, body...)
}
