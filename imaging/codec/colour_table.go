package codec

import "math"

// colourTable holds the sRGB colour at each point of an even grid over device values: what a profile's
// table says, worked out once. Between the points it is interpolated linearly along each channel.
type colourTable struct {
	channels int
	side     int       // points along each channel
	values   []float32 // red, green, blue in 0..255, the last channel varying fastest
	pos      [256]struct {
		low  int
		part float32
	}
}

// newColourTable works out 33³ or 17⁴ colours: finer than the grids of most profiles, a few hundredths of
// a second.
func newColourTable(channels int, srgb func(in []float64) [3]float64) *colourTable {
	t := &colourTable{channels: channels, side: 33}
	if channels == 4 {
		t.side = 17
	}
	n := 1
	for range channels {
		n *= t.side
	}
	t.values = make([]float32, 0, 3*n)
	in := make([]float64, channels)
	for i := range n {
		for k, rest := channels-1, i; k >= 0; k-- {
			in[k] = float64(rest%t.side) / float64(t.side-1)
			rest /= t.side
		}
		for _, v := range srgb(in) {
			t.values = append(t.values, float32(v))
		}
	}
	for v := range t.pos {
		at := float32(v) * float32(t.side-1) / 255
		low := min(int(at), t.side-2)
		t.pos[v].low, t.pos[v].part = low, at-float32(low)
	}
	return t
}

// rgb looks up one colour of three channels.
func (t *colourTable) rgb(a, b, c byte) (byte, byte, byte) {
	out := t.cell([4]byte{a, b, c}, 3)
	return round8(out[0]), round8(out[1]), round8(out[2])
}

// cmyk looks up one colour of four, 255 being full ink.
func (t *colourTable) cmyk(c, m, y, k byte) (byte, byte, byte) {
	out := t.cell([4]byte{c, m, y, k}, 4)
	return round8(out[0]), round8(out[1]), round8(out[2])
}

func round8(v float32) byte { return byte(min(max(v, 0), 255) + 0.5) }

func (t *colourTable) cell(in [4]byte, n int) (out [3]float32) {
	var step [4]int
	var part [4]float32
	base, stride := 0, 3
	for i := n - 1; i >= 0; i-- {
		p := &t.pos[in[i]]
		base += p.low * stride
		step[i], part[i] = stride, p.part
		stride *= t.side
	}
	for corner := range 1 << n {
		at, weight := base, float32(1)
		for i := range n {
			if corner>>i&1 == 1 {
				at += step[i]
				weight *= part[i]
			} else {
				weight *= 1 - part[i]
			}
		}
		if weight != 0 {
			v := t.values[at : at+3 : at+3]
			out[0] += weight * v[0]
			out[1] += weight * v[1]
			out[2] += weight * v[2]
		}
	}
	return out
}

// srgb returns what a colour is in sRGB, 0..255, clipped to what a display can show.
func (p *lutProfile) srgb() func(in []float64) [3]float64 {
	inv := invert(srgbColorants)
	return func(in []float64) (out [3]float64) {
		v := p.xyz(in)
		for i := range out {
			lin := inv[0][i]*v[0] + inv[1][i]*v[1] + inv[2][i]*v[2]
			out[i] = 255 * srgbCurve(lin)
		}
		return out
	}
}

// srgbCurve is the transfer function of IEC 61966-2-1, clipped to 0..1.
func srgbCurve(x float64) float64 {
	y := 12.92 * x
	if x > 0.0031308 {
		y = 1.055*math.Pow(x, 1/2.4) - 0.055
	}
	return unit(y)
}

// conversion of pictures of the profile's space, or of grey ones read in it.
func (p *lutProfile) conversion(grayPicture bool) *conversion {
	srgb := p.srgb()
	switch {
	case grayPicture:
		c := &conversion{gray: new([256]byte)}
		for i := range c.gray {
			in := make([]float64, p.channels)
			for k := range in {
				in[k] = float64(i) / 255
			}
			c.gray[i] = byte(srgb(in)[1] + 0.5)
		}
		return c
	default:
		return &conversion{table: newColourTable(p.channels, srgb)}
	}
}
