package codec

import (
	"encoding/binary"
	"math"
	"slices"
)

// cannedProfile is our own profile for sRGB or Display P3, so that none of a stranger's passes: an ICC
// profile has room for names, dates, serial numbers and text. It holds what ICC.1:2022 8.4.3 demands of a
// matrix profile and nothing else, and is the same every time.
func cannedProfile(name string) []byte {
	colorants := srgbColorants
	if name == "Display P3" {
		colorants = displayP3Colorants
	}
	fixed := func(v float64) []byte {
		return binary.BigEndian.AppendUint32(nil, uint32(int32(math.Round(v*65536))))
	}
	xyz := func(v [3]float64) []byte {
		return slices.Concat([]byte("XYZ \x00\x00\x00\x00"), fixed(v[0]), fixed(v[1]), fixed(v[2]))
	}
	text := func(s string) []byte { // multiLocalizedUnicodeType
		b := slices.Concat([]byte("mluc\x00\x00\x00\x00"), be32(1), be32(12), []byte("enUS"), be32(2*len(s)), be32(28))
		for _, c := range []byte(s) {
			b = append(b, 0, c)
		}
		return b
	}
	curve := []byte("para\x00\x00\x00\x00\x00\x03\x00\x00") // IEC 61966-2-1
	for _, v := range []float64{2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045} {
		curve = append(curve, fixed(v)...)
	}
	white := [3]float64{0.9642, 1, 0.8249}
	adapt := []byte("sf32\x00\x00\x00\x00") // D65 to D50, Bradford
	for _, v := range []float64{1.04788, 0.02292, -0.05022, 0.02959, 0.99048, -0.01707, -0.00925, 0.01508, 0.75168} {
		adapt = append(adapt, fixed(v)...)
	}
	tags := []struct {
		sig  string
		data []byte
	}{
		{"desc", text(name)}, {"cprt", text("CC0")}, {"wtpt", xyz(white)}, {"chad", adapt},
		{"rXYZ", xyz(colorants[0])}, {"gXYZ", xyz(colorants[1])}, {"bXYZ", xyz(colorants[2])},
		{"rTRC", curve}, {"gTRC", curve}, {"bTRC", curve},
	}
	table, data := be32(len(tags)), []byte{}
	begin := 128 + 4 + 12*len(tags)
	at := 0
	for i, t := range tags {
		if i == 0 || string(t.data) != string(tags[i-1].data) { // the curves are one
			at = begin + len(data)
			data = append(data, t.data...)
			data = append(data, make([]byte, -len(data)&3)...)
		}
		table = slices.Concat(table, []byte(t.sig), be32(at), be32(len(t.data)))
	}
	head := make([]byte, 128)
	binary.BigEndian.PutUint32(head, uint32(begin+len(data)))
	copy(head[8:], "\x04\x40\x00\x00mntrRGB XYZ ")
	binary.BigEndian.PutUint16(head[24:], 2000) // a date is required
	head[27], head[29] = 1, 1
	copy(head[36:], "acsp")
	copy(head[68:], slices.Concat(fixed(white[0]), fixed(white[1]), fixed(white[2])))
	return slices.Concat(head, table, data)
}
