package codec

// Constants of the inverse transform: cosines and sines of multiples of π/16 in units of 2^-bits, rounded.
// Those of the angle 6π/16 are divided by √2.
const (
	idctCos3, idctSin3               = 3406, 2276    // 12 bits
	idctCos1, idctSin1               = 4017, 799     // 12 bits
	idctCos6, idctSin6               = 1108, 2676    // 12 bits
	idctFineCos6, idctFineSin6       = 70936, 171254 // 18 bits
	idctHalf8, idctHalf14      int32 = 181, 11585    // 1/√2 in 8 and 14 bits
)

// rotate turns a vector back by an angle with three multiplications.
func rotate(x, y, cos, sin int32) (int32, int32) {
	sum := cos * (x + y)
	return sum - (sin+cos)*y, sum + (sin-cos)*x
}

// idctRow is the inverse transform of eight coefficients (T.81 A.3.3) by the method of Loeffler, Ligtenberg
// and Moschytz (ICASSP 1989), run backwards. Precision and rounding of each step, overflow included, are those of Go's image/jpeg: the
// hash of a photo's pixels stands in its receipt, and whoever checks it with that package gets the same.
// Samples leave with 20 bits of fraction.
func idctRow(b *[8]int32) {
	if b[1]|b[2]|b[3]|b[4]|b[5]|b[6]|b[7] == 0 {
		v := b[0] << 17
		*b = [8]int32{v, v, v, v, v, v, v, v}
		return
	}
	even0, even1 := (b[0]+b[4])<<17, (b[0]-b[4])<<17
	even2, even3 := rotate(b[2], b[6], idctFineCos6, idctFineSin6)
	s0, s3 := even0+even3, even0-even3
	s1, s2 := even1+even2, even1-even2

	odd7, odd4 := (b[1]+b[7])<<7, (b[1]-b[7])<<7
	odd5, odd6 := b[3]*idctHalf8, b[5]*idctHalf8
	odd7, odd5 = odd7+odd5, odd7-odd5
	odd4, odd6 = odd4+odd6, odd4-odd6
	odd4, odd7 = rotate(odd4>>2, odd7>>2, idctCos3, idctSin3)
	odd5, odd6 = rotate(odd5>>2, odd6>>2, idctCos1, idctSin1)

	*b = [8]int32{s0 + odd7, s1 + odd6, s2 + odd5, s3 + odd4, s3 - odd4, s2 - odd5, s1 - odd6, s0 - odd7}
}

// flat is the sample of a column that has only its average, with 20 bits of fraction.
func flat(v int32) byte { return sample((v + 1<<19) >> 2) }

// sample rounds, shifts to 0..255 and clips.
func sample(v int32) byte {
	v = v>>18 + 128
	if uint32(v) > 255 {
		v = ^v >> 31
	}
	return byte(v)
}

// idct writes the 8×8 samples of a block of dequantised coefficients, in natural order, to dst. last is
// the zig-zag index of the last coefficient that may not be zero. It leaves the block zeroed.
func idct(b *[64]int32, last int, dst []byte, stride int) {
	d0, d1, d2, d3 := (*[8]byte)(dst), (*[8]byte)(dst[stride:]), (*[8]byte)(dst[2*stride:]), (*[8]byte)(dst[3*stride:])
	d4, d5, d6, d7 := (*[8]byte)(dst[4*stride:]), (*[8]byte)(dst[5*stride:]), (*[8]byte)(dst[6*stride:]), (*[8]byte)(dst[7*stride:])
	if last == 0 {
		v := flat(b[0] << 17)
		row := [8]byte{v, v, v, v, v, v, v, v}
		*d0, *d1, *d2, *d3, *d4, *d5, *d6, *d7 = row, row, row, row, row, row, row, row
		b[0] = 0
		return
	}
	for y := range reach[last&63] {
		idctRow((*[8]int32)(b[y&7*8:]))
	}
	for x := range 8 {
		c0, c1, c2, c3, c4, c5, c6, c7 := b[x], b[8+x], b[16+x], b[24+x], b[32+x], b[40+x], b[48+x], b[56+x]
		if c1|c2|c3|c4|c5|c6|c7 == 0 {
			v := flat(c0)
			d0[x], d1[x], d2[x], d3[x], d4[x], d5[x], d6[x], d7[x] = v, v, v, v, v, v, v, v
			continue
		}
		c0 += 1 << 19
		even0, even1 := (c0+c4)>>2, (c0-c4)>>2
		even2, even3 := rotate(c2>>13, c6>>13, idctCos6, idctSin6)
		s0, s3 := even0+even3, even0-even3
		s1, s2 := even1+even2, even1-even2

		odd7, odd4 := c1+c7, c1-c7
		odd5, odd6 := (c3>>13)*idctHalf14, (c5>>13)*idctHalf14
		odd7, odd5 = odd7+odd5, odd7-odd5
		odd4, odd6 = odd4+odd6, odd4-odd6
		odd4, odd7 = rotate(odd4>>14, odd7>>14, idctCos3, idctSin3)
		odd5, odd6 = rotate(odd5>>14, odd6>>14, idctCos1, idctSin1)

		d0[x], d7[x] = sample(s0+odd7), sample(s0-odd7)
		d1[x], d6[x] = sample(s1+odd6), sample(s1-odd6)
		d2[x], d5[x] = sample(s2+odd5), sample(s2-odd5)
		d3[x], d4[x] = sample(s3+odd4), sample(s3-odd4)
	}
	*b = [64]int32{}
}

// reach[k] is how many rows of a block the first k coefficients behind the average touch.
var reach = func() (r [64]int) {
	for k, nat := range zigZag {
		r[k] = int(nat>>3) + 1
		if k > 0 {
			r[k] = max(r[k], r[k-1])
		}
	}
	return r
}()
