package specimen

import (
	"encoding/binary"
	"math"
)

// A table that a profile gives its colours by.
type TableKind string

const (
	Table8     TableKind = "mft1"
	Table16    TableKind = "mft2"
	TableMixed TableKind = "mAB "
)

// TableProfile is a profile of the space (GRAY, RGB, CMYK) whose A2B0 table of the kind has so many points
// along each channel and says that a colour is lab(in), L* in 0..100, a* and b* in -128..127.
func TableProfile(space string, kind TableKind, points int, lab func(in []float64) [3]float64) []byte {
	channels := map[string]int{"GRAY": 1, "RGB ": 3, "CMYK": 4}[space]
	n := 1
	for range channels {
		n *= points
	}
	var grid []byte
	for i := range n {
		in := make([]float64, channels)
		for k, rest := channels-1, i; k >= 0; k-- {
			in[k] = float64(rest%points) / float64(points-1)
			rest /= points
		}
		v := lab(in)
		enc := [3]float64{v[0] / 100, (v[1] + 128) / 255, (v[2] + 128) / 255}
		for _, x := range enc {
			x = min(max(x, 0), 1)
			switch kind {
			case Table8:
				grid = append(grid, byte(x*255+0.5))
			case Table16: // the older encoding, whose full range is FF00
				grid = binary.BigEndian.AppendUint16(grid, uint16(x*65280+0.5))
			default:
				grid = binary.BigEndian.AppendUint16(grid, uint16(x*65535+0.5))
			}
		}
	}
	tag := append([]byte(kind), 0, 0, 0, 0, byte(channels), 3)
	identity := []byte("curv\x00\x00\x00\x00\x00\x00\x00\x00")
	switch kind {
	case TableMixed:
		tag = append(tag, 0, 0)
		b := 32
		a := b + 3*len(identity)
		at := a + channels*len(identity)
		for _, off := range []int{b, 0, 0, at, a} {
			tag = binary.BigEndian.AppendUint32(tag, uint32(off))
		}
		for range 3 + channels {
			tag = append(tag, identity...)
		}
		head := make([]byte, 20)
		for i := range channels {
			head[i] = byte(points)
		}
		head[16] = 2
		tag = append(append(tag, head...), grid...)
	default:
		tag = append(tag, byte(points), 0)
		for i := range 9 {
			one := uint32(0)
			if i%4 == 0 {
				one = 1 << 16
			}
			tag = binary.BigEndian.AppendUint32(tag, one)
		}
		var line []byte
		if kind == Table16 {
			tag = append(tag, 0, 2, 0, 2)
			line = []byte{0, 0, 0xFF, 0xFF}
		} else {
			for i := range 256 {
				line = append(line, byte(i))
			}
		}
		for range channels {
			tag = append(tag, line...)
		}
		tag = append(tag, grid...)
		for range 3 {
			tag = append(tag, line...)
		}
	}
	p := profile(space, map[string][]byte{"A2B0": tag}, []string{"A2B0"})
	copy(p[20:], "Lab ")
	return p
}

// LabOfSRGB is what a colour of sRGB, 0..1, is in L*a*b* relative to D50.
func LabOfSRGB(in []float64) [3]float64 {
	if len(in) == 1 {
		in = []float64{in[0], in[0], in[0]}
	}
	var xyz [3]float64
	for ch, v := range in[:3] {
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		for k := range xyz {
			xyz[k] += v * colorantsSRGB[ch][k]
		}
	}
	f := func(t float64) float64 {
		if t > 216.0/24389 {
			return math.Cbrt(t)
		}
		return (24389.0/27*t + 16) / 116
	}
	x, y, z := f(xyz[0]/0.9642), f(xyz[1]), f(xyz[2]/0.8249)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

// LabOfInks is a press whose inks take away light as ideal ones would.
func LabOfInks(in []float64) [3]float64 {
	k := 1 - in[3]
	return LabOfSRGB([]float64{(1 - in[0]) * k, (1 - in[1]) * k, (1 - in[2]) * k})
}
