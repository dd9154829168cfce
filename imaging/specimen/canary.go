package specimen

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"unicode/utf16"
)

// Forms are the forms in which text may survive: as it is, in UTF-16 of both orders, in hexadecimal,
// in base64 at each of its three alignments, and compressed. Keys name the form.
func Forms(text string) map[string][]byte {
	f := map[string][]byte{"raw": []byte(text), "hex": []byte(hex.EncodeToString([]byte(text)))}
	var le, be []byte
	for _, u := range utf16.Encode([]rune(text)) {
		le = append(le, byte(u), byte(u>>8))
		be = append(be, byte(u>>8), byte(u))
	}
	f["UTF-16LE"], f["UTF-16BE"] = le, be
	for i, name := range []string{"base64", "base64+1", "base64+2"} {
		// Drop what depends on the neighbours: the first group and the last.
		e := base64.RawStdEncoding.EncodeToString(append(make([]byte, i), text...))
		f[name] = []byte(e[4 : len(e)/4*4-4])
	}
	// The longest part that can stand in a JPEG's image data unchanged.
	for _, part := range bytes.Split(compressed(text), []byte{0xFF}) {
		if len(part) > len(f["zlib"]) {
			f["zlib"] = part
		}
	}
	return f
}

func compressed(text string) []byte {
	var buf bytes.Buffer
	z := zlib.NewWriter(&buf)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return buf.Bytes()
}

// Find returns the names of the forms of text that data contains.
func Find(data []byte, text string) []string {
	var found []string
	for name, form := range Forms(text) {
		if bytes.Contains(data, form) {
			found = append(found, name)
		}
	}
	return found
}

// canary is the block planted in each carrier: every form once, without 0xFF, which means something
// in a JPEG.
func (o Options) canary() []byte {
	text := o.Canary
	if text == "" {
		text = "specimen"
	}
	var b []byte
	f := Forms(text)
	for _, name := range []string{"raw", "UTF-16LE", "UTF-16BE", "hex", "zlib"} {
		b = append(append(b, ' '), f[name]...)
	}
	for i := range 3 {
		b = append(append(b, ' '), base64.StdEncoding.EncodeToString(append(make([]byte, i), text...))...)
	}
	return bytes.ReplaceAll(b, []byte{0xFF}, []byte{0xFE})
}
