package specimen

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image/jpeg"
)

// tinyJPEG is a small picture with the canary in a comment: a thumbnail or preview.
func tinyJPEG(canary []byte) []byte {
	var buf bytes.Buffer
	_ = jpeg.Encode(&buf, Picture(32, 24, 99, false), &jpeg.Options{Quality: 50})
	b := buf.Bytes()
	out := segment(append([]byte(nil), b[:2]...), 0xFE, canary)
	return append(out, b[2:]...)
}

// appendXMP writes a packet and one segment of an extension (XMP specification part 3, 1.1.3).
func appendXMP(out, canary []byte) []byte {
	packet := `<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">` +
		`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description ` +
		`xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="52,31.2N" exif:GPSLongitude="13,24.3E">` +
		base64.StdEncoding.EncodeToString(canary) + string(canary) +
		`</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>`
	out = segment(out, 0xE1, append([]byte("http://ns.adobe.com/xap/1.0/\x00"), packet...))
	ext := append([]byte("http://ns.adobe.com/xmp/extension/\x00"), "0123456789ABCDEF0123456789ABCDEF"...)
	ext = binary.BigEndian.AppendUint32(ext, uint32(len(canary)))
	ext = binary.BigEndian.AppendUint32(ext, 0)
	return segment(out, 0xE1, append(ext, canary...))
}

// iptc is a Photoshop image resource block 0x0404 with a caption (IPTC-IIM 2:120).
func iptc(canary []byte) []byte {
	data := []byte{0x1C, 2, 120}
	data = binary.BigEndian.AppendUint16(data, uint16(len(canary)))
	data = append(data, canary...)
	b := []byte("Photoshop 3.0\x008BIM\x04\x04\x00\x00")
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	if len(data)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

// mpf is a multi-picture index (CIPA DC-007) of one further picture of the given size.
func mpf(size int) []byte {
	entries := make([]byte, 32)
	binary.BigEndian.PutUint32(entries[16+4:], uint32(size))
	w := &tiffWriter{b: []byte("MM\x00*\x00\x00\x00\x08")}
	w.directory([]field{undefined(0xB000, []byte("0100")),
		{tag: 0xB001, typ: tLong, count: 1, value: []byte{0, 0, 0, 2}}, undefined(0xB002, entries)})
	return append([]byte("MPF\x00"), w.b...)
}

// appendUnusedTables writes a quantisation table in slot 3 and an AC table in slot 1 of no use, both
// made of the canary's bytes.
func appendUnusedTables(out, canary []byte) []byte {
	q := append([]byte{3}, canary[:64]...)
	out = segment(out, 0xDB, q)
	var counts [16]byte
	var values []byte
	seen := map[byte]bool{}
	for _, c := range canary {
		if !seen[c] && len(values) < 60 {
			seen[c] = true
			values = append(values, c)
		}
	}
	counts[7] = byte(len(values))
	return segment(out, 0xC4, append(append([]byte{0x11}, counts[:]...), values...))
}
