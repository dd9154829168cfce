package specimen

import (
	"encoding/binary"
	"math"
)

// Colorants in XYZ relative to D50, as profiles of these spaces hold them: red, green, blue.
var (
	colorantsSRGB  = [3][3]float64{{0.4360657, 0.2224884, 0.0139160}, {0.3851471, 0.7168732, 0.0970764}, {0.1430664, 0.0606079, 0.7140961}}
	colorantsP3    = [3][3]float64{{0.5151215, 0.2411957, -0.0010529}, {0.2919769, 0.6922455, 0.0418854}, {0.1571045, 0.0665741, 0.7840729}}
	colorantsAdobe = [3][3]float64{{0.6097412, 0.3111115, 0.0194702}, {0.2052765, 0.6256714, 0.0608673}, {0.1491852, 0.0632172, 0.7445679}}
)

// curveSRGB is a parametric curve of type 3 (ICC.1:2022 10.18) with the constants of IEC 61966-2-1.
func curveSRGB() []byte {
	return para(3, 2.4, 1/1.055, 0.055/1.055, 1/12.92, 0.04045)
}

// SRGB is an sRGB profile with parametric curves.
func SRGB() []byte { return matrixProfile(colorantsSRGB, curveSRGB(), "sRGB") }

// SRGBSampled is an sRGB profile with curves of 1024 samples, as the oldest ones have.
func SRGBSampled() []byte {
	c := []byte("curv\x00\x00\x00\x00\x00\x00\x04\x00")
	for i := range 1024 {
		x := float64(i) / 1023
		y := x / 12.92
		if x > 0.04045 {
			y = math.Pow((x+0.055)/1.055, 2.4)
		}
		c = binary.BigEndian.AppendUint16(c, uint16(math.Round(y*65535)))
	}
	return matrixProfile(colorantsSRGB, c, "an unrelated name")
}

// DisplayP3 is what phones embed: P3 primaries with sRGB's curve.
func DisplayP3() []byte { return matrixProfile(colorantsP3, curveSRGB(), "Display P3") }

// AdobeRGB is Adobe RGB (1998) with its curve of gamma 563/256.
func AdobeRGB() []byte {
	return matrixProfile(colorantsAdobe, []byte("curv\x00\x00\x00\x00\x00\x00\x00\x01\x02\x33\x00\x00"), "Adobe RGB (1998)")
}

// Gamma22 has sRGB's primaries and a plain gamma of 2.2: close to sRGB and not the same.
func Gamma22() []byte { return matrixProfile(colorantsSRGB, para(0, 2.2), "sRGB IEC61966-2.1") }

// GrayGamma is a grey profile.
func GrayGamma(gamma float64) []byte {
	return profile("GRAY", map[string][]byte{"kTRC": para(0, gamma)}, []string{"kTRC"})
}

// LUT is a profile that maps colours by a table.
func LUT() []byte {
	return profile("RGB ", map[string][]byte{"A2B0": append([]byte("mft1\x00\x00\x00\x00"), make([]byte, 64)...)}, []string{"A2B0"})
}

func matrixProfile(c [3][3]float64, curve []byte, name string) []byte {
	tags := map[string][]byte{"desc": append([]byte("text\x00\x00\x00\x00"), name...)}
	order := []string{"desc"}
	for i, ch := range []string{"r", "g", "b"} {
		xyz := []byte("XYZ \x00\x00\x00\x00")
		for _, v := range c[i] {
			xyz = binary.BigEndian.AppendUint32(xyz, uint32(int32(math.Round(v*65536))))
		}
		tags[ch+"XYZ"], tags[ch+"TRC"] = xyz, curve
		order = append(order, ch+"XYZ", ch+"TRC")
	}
	return profile("RGB ", tags, order)
}

func para(kind uint16, params ...float64) []byte {
	b := binary.BigEndian.AppendUint16([]byte("para\x00\x00\x00\x00"), kind)
	b = append(b, 0, 0)
	for _, v := range params {
		b = binary.BigEndian.AppendUint32(b, uint32(int32(math.Round(v*65536))))
	}
	return b
}

// profile assembles a display profile of version 4 (ICC.1:2022 7).
func profile(space string, tags map[string][]byte, order []string) []byte {
	head := make([]byte, 128)
	copy(head[8:], "\x04\x30\x00\x00mntr")
	copy(head[16:], space)
	copy(head[20:], "XYZ ")
	copy(head[36:], "acsp")
	table := binary.BigEndian.AppendUint32(nil, uint32(len(order)))
	var data []byte
	start := 128 + 4 + 12*len(order)
	for _, name := range order {
		table = append(table, name...)
		table = binary.BigEndian.AppendUint32(table, uint32(start+len(data)))
		table = binary.BigEndian.AppendUint32(table, uint32(len(tags[name])))
		data = append(data, tags[name]...)
		for len(data)%4 != 0 {
			data = append(data, 0)
		}
	}
	p := append(append(head, table...), data...)
	binary.BigEndian.PutUint32(p, uint32(len(p)))
	return p
}

// ICCP is a PNG chunk that holds a profile.
func ICCP(name string, profile []byte) []byte {
	return Chunk(nil, "iCCP", append([]byte(name+"\x00\x00"), compressed(string(profile))...))
}
