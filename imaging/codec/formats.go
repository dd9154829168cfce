package codec

import (
	"bytes"
	"encoding/binary"
	"slices"

	"photovault/imaging/internal/wire"
)

// format is one kind of picture that is opened. It is told by content: file names and declared types
// are never asked.
type format struct {
	matches func(in []byte) bool
	// sanitise turns an upload into its renditions: original, web, thumb.
	sanitise func(in []byte, lim wire.Limits) (wire.Answer, error)
	// inspect checks a finished rendition as if it came from a stranger: it must be exactly what is
	// written for the picture it shows. nil: a format never put out.
	inspect func(in []byte, lim wire.Limits) (wire.Seen, error)
}

// formats are asked in this order; no two match the same file.
var formats = []format{
	{IsJPEG, sanitiseJPEG, scanJPEG},
	{IsPNG, sanitisePNG, inspectPNG},
	{IsWebP, sanitiseWebP, inspectWebP},
	{IsHEIC, sanitiseHEIC, scanHEIC},
}

// sanitise opens an upload in its format, or says which it is that is not opened.
func sanitise(in []byte, lim wire.Limits) (wire.Answer, error) {
	for _, f := range formats {
		if f.matches(in) {
			return f.sanitise(in, lim)
		}
	}
	return wire.Answer{}, refuse(sniffUnsupported(in), "not a format that is opened")
}

// inspect checks a finished rendition in its format.
func inspect(in []byte, lim wire.Limits) (wire.Seen, error) {
	for _, f := range formats {
		if f.inspect != nil && f.matches(in) {
			return f.inspect(in, lim)
		}
	}
	return wire.Seen{}, refuse(CodeUnsafe, "a rendition is in no format that is put out")
}

// unsupported are formats that people do send, and the code that tells them so. They are recognised,
// never opened: each is a container that can carry anything, or a parser nobody needs.
var unsupported = []struct {
	code    string
	matches func(in []byte) bool
}{
	{CodeRAW, isRAW},
	{CodeTIFF, isTIFF},
	{CodeGIF, begins("GIF87a", "GIF89a")},
	{CodeBMP, isBMP},
	{CodeAVIF, hasBrand("avif", "avis")},
	{CodeSVG, isSVG},
	{CodeVideo, isVideo},
	{CodePDF, func(in []byte) bool { return bytes.Contains(in[:min(len(in), 1024)], []byte("%PDF-")) }},
}

// sniffUnsupported returns the code for what in is, CodeFormat when that is not known.
func sniffUnsupported(in []byte) string {
	for _, u := range unsupported {
		if u.matches(in) {
			return u.code
		}
	}
	return CodeFormat
}

// begins matches files that begin with one of the signatures.
func begins(signatures ...string) func([]byte) bool {
	return func(in []byte) bool {
		return slices.ContainsFunc(signatures, func(s string) bool { return bytes.HasPrefix(in, []byte(s)) })
	}
}

// maxBrands bounds how many compatible brands are looked at.
const maxBrands = 64

// hasBrand matches ISO base media files whose file type box names one of the brands, as its major or
// a compatible one (ISO/IEC 14496-12 4.3).
func hasBrand(brands ...string) func([]byte) bool {
	return func(in []byte) bool {
		if len(in) < 16 || string(in[4:8]) != "ftyp" {
			return false
		}
		size := min(int64(binary.BigEndian.Uint32(in)), int64(len(in)), 16+4*maxBrands)
		for at := int64(8); at+4 <= size; at += 4 {
			// Behind the major brand stands a version.
			if at != 12 && slices.Contains(brands, string(in[at:at+4])) {
				return true
			}
		}
		return false
	}
}

var isTIFF = begins("II*\x00", "MM\x00*", "II+\x00", "MM\x00+")

// isRAW matches cameras' raw files: signatures of their own, and TIFF files whose first directory has
// what a finished picture has not: a DNG version, or the sub-directories of raw data.
func isRAW(in []byte) bool {
	if begins("FUJIFILMCCD-RAW", "IIRO", "IIRS", "MMOR", "IIU\x00", "FOVb", "\x00MRM")(in) || hasBrand("crx ")(in) {
		return true
	}
	if !begins("II*\x00", "MM\x00*")(in) || len(in) < 10 {
		return false
	}
	if string(in[8:10]) == "CR" {
		return true
	}
	var order binary.ByteOrder = binary.LittleEndian
	if in[0] == 'M' {
		order = binary.BigEndian
	}
	const tagDNGVersion, tagSubIFDs = 0xC612, 0x014A
	at := int64(order.Uint32(in[4:]))
	if at+2 > int64(len(in)) {
		return false
	}
	for n := order.Uint16(in[at:]); n > 0; n-- {
		if at += 12; at+2 > int64(len(in)) {
			return false
		}
		// Entries begin behind the count; at is 12 bytes less 2 ahead of each.
		switch order.Uint16(in[at-10:]) {
		case tagDNGVersion, tagSubIFDs:
			return true
		}
	}
	return false
}

// isBMP asks for more than the two letters that it begins with: the size of a known header.
func isBMP(in []byte) bool {
	if len(in) < 18 || string(in[:2]) != "BM" {
		return false
	}
	return slices.Contains([]uint32{12, 40, 52, 56, 64, 108, 124}, binary.LittleEndian.Uint32(in[14:]))
}

func isSVG(in []byte) bool {
	head := bytes.TrimLeft(bytes.TrimPrefix(in[:min(len(in), 4096)], []byte("\xEF\xBB\xBF")), " \t\r\n")
	return bytes.HasPrefix(head, []byte("<")) && bytes.Contains(head, []byte("<svg"))
}

func isVideo(in []byte) bool {
	switch {
	case len(in) < 12:
		return false
	case string(in[:4]) == "RIFF" && string(in[8:12]) == "AVI ",
		begins("\x1A\x45\xDF\xA3", "\x00\x00\x01\xBA", "\x00\x00\x01\xB3", "FLV\x01")(in):
		return true
	}
	switch string(in[4:8]) {
	case "moov", "mdat", "wide", "skip", "pnot":
		return true // QuickTime from before there was a file type box
	}
	return hasBrand("isom", "iso2", "iso4", "iso5", "iso6", "mp41", "mp42", "avc1", "qt  ", "M4V ", "M4VP", "MSNV",
		"dash", "3gp4", "3gp5", "3gp6", "3gp7", "3g2a")(in)
}
