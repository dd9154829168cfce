package codec

import "encoding/binary"

// canonicalDisplayP3 is the only profile that is ever put out: P3 primaries, D65 adapted to D50 and
// sRGB's curve, composed here from the numbers of SMPTE EG 432-1 and IEC 61966-2-1 so that nothing of
// an upload's profile survives in it (ICC.1:2022 8.3: a three-component matrix display profile).
var canonicalDisplayP3 = composeDisplayP3()

func composeDisplayP3() []byte {
	xyz := func(v ...int32) []byte { return fixed([]byte("XYZ \x00\x00\x00\x00"), v...) }
	curve := fixed([]byte("para\x00\x00\x00\x00\x00\x03\x00\x00"), 0x26666, 0xF2A7, 0xD59, 0x13D0, 0xA5B)
	tags := []struct {
		name string
		data []byte
	}{
		{"desc", localised("Display P3")},
		{"cprt", localised("CC0")},
		{"wtpt", xyz(0xF6D6, 0x10000, 0xD32D)},
		{"chad", fixed([]byte("sf32\x00\x00\x00\x00"),
			0x10C42, 0x5DE, -0xCDB, 0x793, 0xFD90, -0x45F, -0x25D, 0x3DC, 0xC06E)},
		{"rXYZ", xyz(0x83DF, 0x3DBF, -0x45)},
		{"gXYZ", xyz(0x4ABF, 0xB137, 0xAB9)},
		{"bXYZ", xyz(0x2838, 0x110B, 0xC8B9)},
		{"rTRC", curve}, {"gTRC", nil}, {"bTRC", nil},
	}
	p := make([]byte, 128)
	copy(p[8:], "\x04\x30\x00\x00mntrRGB XYZ \x07\xE2\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00acsp")
	fixed(p[:68], 0xF6D6, 0x10000, 0xD32D) // the illuminant of the connection space
	p = binary.BigEndian.AppendUint32(p, uint32(len(tags)))
	at := len(p) + 12*len(tags)
	var data []byte
	var start, size int
	for _, t := range tags {
		if t.data != nil { // else the same curve once more
			start, size = at+len(data), len(t.data)
			data = append(data, t.data...)
			for len(data)%4 != 0 {
				data = append(data, 0)
			}
		}
		p = append(p, t.name...)
		p = binary.BigEndian.AppendUint32(p, uint32(start))
		p = binary.BigEndian.AppendUint32(p, uint32(size))
	}
	p = append(p, data...)
	binary.BigEndian.PutUint32(p, uint32(len(p)))
	return p
}

// fixed appends s15Fixed16 numbers.
func fixed(b []byte, v ...int32) []byte {
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, uint32(x))
	}
	return b
}

// localised is a multiLocalizedUnicodeType with one English record (ICC.1:2022 10.15).
func localised(s string) []byte {
	b := []byte("mluc\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0CenUS")
	b = binary.BigEndian.AppendUint32(b, uint32(2*len(s)))
	b = binary.BigEndian.AppendUint32(b, 28)
	for i := range len(s) {
		b = append(b, 0, s[i])
	}
	return b
}
