package codec

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
)

// iccChunks collects the APP2 segments that together are one ICC profile (ICC.1:2022 annex B.4).
type iccChunks struct {
	parts map[byte][]byte
	total byte
	bad   bool
}

// add takes one segment's body behind its identifier: number, count, data.
func (c *iccChunks) add(body []byte) {
	if len(body) < 2 || body[0] == 0 || body[0] > body[1] {
		c.bad = true
		return
	}
	if c.parts == nil {
		c.parts, c.total = map[byte][]byte{}, body[1]
	}
	if c.total != body[1] || c.parts[body[0]] != nil {
		c.bad = true
		return
	}
	c.parts[body[0]] = body[2:]
}

// maxProfile bounds a profile that is read. Matrix profiles are below 10 kB; printer profiles, which
// are needed for CMYK, reach megabytes.
const maxProfile = 4 << 20

// profile joins the segments. It returns nil and no error when there is no profile.
func (c *iccChunks) profile() ([]byte, error) {
	if c.bad || len(c.parts) != int(c.total) {
		return nil, errProfile
	}
	var out []byte
	for i := 1; i <= int(c.total); i++ {
		if out = append(out, c.parts[byte(i)]...); len(out) > maxProfile {
			return nil, errProfile
		}
	}
	return out, nil
}

var errProfile = errors.New("ICC profile is damaged or of a kind that is not understood")

// rgbProfile is a matrix/TRC profile: per channel a tone curve from 0..255 to linear light, then
// colorants in XYZ relative to D50.
type rgbProfile struct {
	curve     [3][256]float64
	colorants [3][3]float64 // [channel][X, Y, Z]
}

// grayProfile is a tone curve alone.
type grayProfile struct{ curve [256]float64 }

// iccProfile is what a profile says. Exactly one of its pointers is set.
type iccProfile struct {
	space string // GRAY, RGB or CMYK
	rgb   *rgbProfile
	gray  *grayProfile
	lut   *lutProfile
}

// channelsOf are the colour spaces that are understood.
var channelsOf = map[string]int{"GRAY": 1, "RGB ": 3, "CMYK": 4}

// parseICC reads a matrix/TRC, gray or table profile. A profile with a table means the table: the matrix
// beside it is a fallback (ICC.1:2022 8.4), as the tables are for floating-point elements, which a
// reader may leave out (8.2).
func parseICC(p []byte) (out iccProfile, err error) {
	if len(p) < 132 || string(p[36:40]) != "acsp" {
		return out, errProfile
	}
	pcs, tags := string(p[20:24]), iccTags(p)
	out.space = strings.TrimSpace(string(p[16:20]))
	channels := channelsOf[string(p[16:20])]
	if channels == 0 || pcs != "XYZ " && pcs != "Lab " {
		return out, errProfile
	}
	for _, intent := range []string{"A2B0", "A2B1", "A2B2"} {
		if tag := tags[intent]; tag != nil {
			out.lut, err = readLUT(tag, out.space, pcs, channels)
			return out, err
		}
	}
	switch {
	case channels == 1:
		out.gray = &grayProfile{}
		if err := readCurve(tags["kTRC"], &out.gray.curve); err != nil {
			return out, err
		}
		if pcs == "Lab " {
			for i, v := range out.gray.curve {
				out.gray.curve[i] = labToXYZ(100*v, 0, 0)[1]
			}
		}
		return out, nil
	case channels == 3 && pcs == "XYZ ":
		out.rgb, err = readMatrix(tags)
		return out, err
	}
	return out, errProfile
}

func readMatrix(tags map[string][]byte) (*rgbProfile, error) {
	r := &rgbProfile{}
	for i, c := range []string{"r", "g", "b"} {
		if err := readCurve(tags[c+"TRC"], &r.curve[i]); err != nil {
			return nil, err
		}
		xyz := tags[c+"XYZ"]
		if len(xyz) < 20 || string(xyz[:4]) != "XYZ " {
			return nil, errProfile
		}
		for k := range 3 {
			r.colorants[i][k] = s15Fixed16(xyz[8+4*k:])
		}
	}
	return r, nil
}

// iccTags returns the data of each tag that lies within the profile.
func iccTags(p []byte) map[string][]byte {
	tags := map[string][]byte{}
	n := min(binary.BigEndian.Uint32(p[128:]), 100)
	for i := range int(n) {
		at := 132 + 12*i
		if at+12 > len(p) {
			break
		}
		off := uint64(binary.BigEndian.Uint32(p[at+4:]))
		size := uint64(binary.BigEndian.Uint32(p[at+8:]))
		if off+size <= uint64(len(p)) && size >= 8 {
			tags[string(p[at:at+4])] = p[off : off+size]
		}
	}
	return tags
}

func s15Fixed16(p []byte) float64 { return float64(int32(binary.BigEndian.Uint32(p))) / 65536 }

// readCurve tabulates a curv or para tag (ICC.1:2022 10.6 and 10.18) for the 256 input values.
func readCurve(tag []byte, out *[256]float64) error {
	f, _ := curveOf(tag)
	if f == nil {
		return errProfile
	}
	for i := range out {
		y := f(float64(i) / 255)
		if math.IsNaN(y) {
			return errProfile
		}
		out[i] = min(max(y, 0), 1)
	}
	return nil
}

func sampledCurve(t []byte, n int) func(float64) float64 {
	at := func(i int) float64 { return float64(binary.BigEndian.Uint16(t[2*i:])) / 65535 }
	switch n {
	case 0:
		return func(x float64) float64 { return x }
	case 1:
		g := float64(binary.BigEndian.Uint16(t)) / 256
		return func(x float64) float64 { return math.Pow(x, g) }
	}
	return func(x float64) float64 {
		pos := x * float64(n-1)
		i := min(int(pos), n-2)
		frac := pos - float64(i)
		return at(i)*(1-frac) + at(i+1)*frac
	}
}

func parametricCurve(tag []byte) func(float64) float64 {
	kind := binary.BigEndian.Uint16(tag[8:])
	if kind > 4 {
		return nil
	}
	count := [5]int{1, 3, 4, 5, 7}[kind]
	if len(tag) < 12+4*count {
		return nil
	}
	var p [7]float64 // g a b c d e f
	for i := range count {
		p[i] = s15Fixed16(tag[12+4*i:])
	}
	g, a, b, c, d, e, f := p[0], p[1], p[2], p[3], p[4], p[5], p[6]
	switch kind {
	case 0:
		return func(x float64) float64 { return math.Pow(x, g) }
	case 1, 2:
		// Kind 2 adds c to both parts.
		if a == 0 {
			return nil
		}
		return func(x float64) float64 {
			if x >= -b/a {
				return math.Pow(a*x+b, g) + c
			}
			return c
		}
	}
	return func(x float64) float64 {
		if x >= d {
			return math.Pow(a*x+b, g) + e
		}
		return c*x + f
	}
}
