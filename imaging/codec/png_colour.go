package codec

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
	"math"
)

// pngColour collects what a PNG says of its colours.
type pngColour struct {
	icc  []byte
	cicp []byte
	srgb bool
	gama uint32 // times 100,000; 0 when absent
	chrm []byte
}

// chunk takes one of the chunks about colour.
func (c *pngColour) chunk(name string, body []byte) error {
	bad := false
	switch name {
	case "iCCP":
		icc, err := inflateProfile(body)
		if err != nil {
			return err
		}
		bad, c.icc = c.icc != nil, icc
	case "cICP":
		bad, c.cicp = c.cicp != nil || len(body) != 4, body
	case "sRGB":
		bad, c.srgb = c.srgb || len(body) != 1 || body[0] > 3, true
	case "gAMA":
		if bad = c.gama != 0 || len(body) != 4; !bad {
			c.gama = binary.BigEndian.Uint32(body)
			bad = c.gama == 0
		}
	case "cHRM":
		bad, c.chrm = c.chrm != nil || len(body) != 32, body
	}
	if bad {
		return refuse(CodeCorrupt, "a colour description that cannot be")
	}
	return nil
}

// inflateProfile takes the profile out of an iCCP chunk (PNG 11.3.2.3): a name, a zero, the method,
// a zlib stream.
func inflateProfile(body []byte) ([]byte, error) {
	i := bytes.IndexByte(body, 0)
	if i < 1 || i > 79 || i+2 > len(body) || body[i+1] != 0 {
		return nil, refuse(CodeCorrupt, "a colour profile that cannot be")
	}
	z, err := zlib.NewReader(bytes.NewReader(body[i+2:]))
	if err != nil {
		return nil, refuse(CodeCorrupt, "the colour profile cannot be inflated")
	}
	icc, err := io.ReadAll(io.LimitReader(z, maxProfile+1))
	if err != nil {
		return nil, refuse(CodeCorrupt, "the colour profile cannot be inflated")
	}
	if len(icc) > maxProfile {
		return nil, refuse(CodeColour, "a colour profile of more than %d bytes", maxProfile)
	}
	return icc, nil
}

// judge follows the order of PNG third edition 4.3: code points, then a profile, then sRGB, then gamma
// and chromaticities.
func (c *pngColour) judge(gray bool) (colours, error) {
	switch {
	case c.cicp != nil:
		return judgeCodePoints(c.cicp, gray)
	case c.icc != nil:
		return judgeICC(c.icc, pngModel(gray))
	case c.srgb:
		return colours{class: "sRGB"}, nil
	case c.gama != 0 || c.chrm != nil:
		return c.judgeGamma(gray)
	}
	return colours{class: "none"}, nil
}

// judgeGamma reads gAMA and cHRM. A gamma of 1/2.2 is what encoders write beside sRGB for readers that
// know no better (PNG 11.3.2.5), and is taken for it.
func (c *pngColour) judgeGamma(gray bool) (colours, error) {
	curve := srgbDecode
	if c.gama != 0 && (c.gama < 45000 || c.gama > 46000) {
		if c.gama < 10_000 || c.gama > 1_000_000 {
			return colours{}, refuse(CodeColour, "a gamma of %d/100000", c.gama)
		}
		curve = gammaDecode(100_000 / float64(c.gama))
	}
	xy := bt709Primaries
	if c.chrm != nil && !gray {
		for i := range xy {
			for k := range xy[i] {
				xy[i][k] = float64(binary.BigEndian.Uint32(c.chrm[8*i+4*k:])) / 100_000
			}
		}
	}
	p, err := xy.profile(curve)
	if err != nil {
		return colours{}, refuse(CodeColour, "%v", err)
	}
	return judgeRGB(p, gray), nil
}

// judgeCodePoints reads primaries and transfer of ITU-T H.273. What is meant for brighter screens than
// sRGB's (PQ, HLG) would need tone mapping, which is a matter of taste.
func judgeCodePoints(c []byte, gray bool) (colours, error) {
	primaries := map[byte]chromaticities{1: bt709Primaries, 9: bt2020Primaries, 12: displayP3Primaries}
	transfers := map[byte]func(float64) float64{1: bt709Decode, 4: gammaDecode(2.2), 5: gammaDecode(2.8), 6: bt709Decode,
		8: func(x float64) float64 { return x }, 13: srgbDecode, 14: bt709Decode, 15: bt709Decode}
	xy, known := primaries[c[0]]
	curve := transfers[c[1]]
	if !known || curve == nil || c[2] != 0 || c[3] != 1 {
		return colours{}, refuse(CodeColour, "colours of code points %d", c)
	}
	p, err := xy.profile(curve)
	if err != nil {
		return colours{}, refuse(CodeColour, "%v", err)
	}
	return judgeRGB(p, gray), nil
}

// bt709Decode is the inverse of the transfer function of ITU-R BT.709 1.2.
func bt709Decode(x float64) float64 {
	if x < 0.081 {
		return x / 4.5
	}
	return math.Pow((x+0.099)/1.099, 1/0.45)
}

const xmpKeyword = "XML:com.adobe.xmp\x00"

func isXMPChunk(body []byte) bool { return bytes.HasPrefix(body, []byte(xmpKeyword)) }

// Bounds of what is inflated to look for a position: of one packet, and of all together. Making ready to inflate
// one costs as much as packetCost bytes do.
const (
	maxPacket  = 1 << 20
	maxPackets = 4 << 20
	packetCost = 64 << 10
)

// mentionsGPS looks for a position in an iTXt chunk of XMP (PNG 11.3.3.4), compressed or not, within bounds: a
// thousand packets of a kilobyte can inflate to a gigabyte.
func (l *pngLayout) mentionsGPS(body []byte) bool {
	rest := body[len(xmpKeyword):]
	if len(rest) > 2 && rest[0] == 1 {
		// Flag and method, then language and translated keyword, each ended by a zero.
		parts := bytes.SplitN(rest[2:], []byte{0}, 3)
		if len(parts) < 3 || l.inflated >= maxPackets {
			return false
		}
		l.inflated += packetCost
		z, err := zlib.NewReader(bytes.NewReader(parts[2]))
		if err != nil {
			return false
		}
		rest, _ = io.ReadAll(io.LimitReader(z, maxPacket)) // as far as it can be read
		l.inflated += len(rest)
	}
	return bytes.Contains(rest, []byte("GPSLatitude"))
}

// pngModel is what a profile is asked about: PNG has grey pictures and RGB ones.
func pngModel(gray bool) colourModel {
	if gray {
		return modelGray
	}
	return modelRGB
}
