package codec_test

import (
	"testing"

	"photovault/imaging/specimen"
)

// What is not opened is told by its content, and the code says what it is.
func TestFormatsThatAreNotOpenedAreNamed(t *testing.T) {
	ftyp := func(major, compatible string) string {
		return "\x00\x00\x00" + string(rune(16+len(compatible))) + "ftyp" + major + "\x00\x00\x00\x00" + compatible
	}
	tiff := func(tags string) string { // little-endian, one directory of the tags given as pairs of bytes
		b := "II*\x00\x08\x00\x00\x00" + string(rune(len(tags)/2)) + "\x00"
		for i := 0; i < len(tags); i += 2 {
			b += tags[i:i+2] + "\x04\x00\x01\x00\x00\x00\x00\x00\x00\x00"
		}
		return b + "\x00\x00\x00\x00"
	}
	for name, c := range map[string]struct{ content, code string }{
		"nothing":                     {"", "unsupported_format"},
		"words":                       {"hello, world", "unsupported_format"},
		"TIFF":                        {tiff("\x00\x01\x01\x01\x11\x01"), "unsupported_tiff"},
		"TIFF, big-endian":            {"MM\x00*\x00\x00\x00\x08\x00\x00", "unsupported_tiff"},
		"TIFF with its directory cut": {"II*\x00\xF0\xFF\xFF\xFF", "unsupported_tiff"},
		"BigTIFF":                     {"II+\x00\x08\x00\x00\x00", "unsupported_tiff"},
		"DNG":                         {tiff("\x00\x01\x12\xC6"), "unsupported_raw"},
		"NEF":                         {tiff("\x00\x01\x4A\x01"), "unsupported_raw"},
		"CR2":                         {"II*\x00\x10\x00\x00\x00CR\x02\x00", "unsupported_raw"},
		"CR3":                         {ftyp("crx ", "isom"), "unsupported_raw"},
		"RAF":                         {"FUJIFILMCCD-RAW 0201", "unsupported_raw"},
		"GIF":                         {"GIF89a\x01\x00\x01\x00", "unsupported_gif"},
		"BMP":                         {"BM\x9A\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00", "unsupported_bmp"},
		"a text that begins as BMP":   {"BMW repair shop, and more text", "unsupported_format"},
		"AVIF":                        {ftyp("avif", "mif1miaf"), "unsupported_avif"},
		"AVIF by compatibility":       {ftyp("mif1", "avif"), "unsupported_avif"},
		"MP4":                         {ftyp("isom", "iso2mp41"), "unsupported_video"},
		"QuickTime":                   {ftyp("qt  ", ""), "unsupported_video"},
		"QuickTime of old":            {"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", "unsupported_video"},
		"AVI":                         {"RIFF\x00\x00\x00\x00AVI LIST", "unsupported_video"},
		"WebM":                        {"\x1A\x45\xDF\xA3\x9F\x42\x86\x81\x01\x42\xF7\x81", "unsupported_video"},
		"a sound":                     {"RIFF\x00\x00\x00\x00WAVEfmt ", "unsupported_format"},
		"PDF":                         {"%PDF-1.7\n", "unsupported_pdf"},
		"PDF behind a header":         {"\n\n%!PS-Adobe-3.0 PDF-1.4\n%PDF-1.4", "unsupported_pdf"},
		"SVG":                         {`<svg xmlns="http://www.w3.org/2000/svg"/>`, "unsupported_svg"},
		"SVG with a declaration":      {"\xEF\xBB\xBF <?xml version=\"1.0\"?>\n<svg/>", "unsupported_svg"},
		"HTML":                        {"<html>", "unsupported_format"},
	} {
		if got := code([]byte(c.content)); got != c.code {
			t.Errorf("%s: %s, want %s", name, got, c.code)
		}
	}
	// A name or a disguise changes nothing: what begins as a JPEG is one.
	if got := code(append(specimen.JPEG(specimen.Options{Width: 8, Height: 8}), "%PDF-1.7"...)); got != "accepted" {
		t.Errorf("JPEG with a trailer: %s", got)
	}
}
