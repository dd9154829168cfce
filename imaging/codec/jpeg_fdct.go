package codec

// cosines[k] is cos(kπ/16)/2 in units of 2^-14: integers, so that every machine codes the same bytes.
const (
	cos1, cos2, cos3, cos4 = 8035, 7568, 6811, 5793
	cos5, cos6, cos7       = 4551, 3135, 1598
)

// fdct is the forward transform of T.81 A.3.3 in place, by rows and columns with even and odd parts
// apart. It leaves four fraction bits: the result is 16 times the coefficient.
func fdct(b *[64]int32) {
	for y := 0; y < 64; y += 8 {
		transform8(b, y, 1, 10)
	}
	for x := range 8 {
		transform8(b, x, 8, 14)
	}
}

// transform8 transforms eight values standing step apart and drops shift bits, rounding.
func transform8(b *[64]int32, at, step int, shift uint) {
	p0, p1, p2, p3 := at, at+step, at+2*step, at+3*step
	p4, p5, p6, p7 := at+4*step, at+5*step, at+6*step, at+7*step
	s0, d0 := b[p0&63]+b[p7&63], b[p0&63]-b[p7&63]
	s1, d1 := b[p1&63]+b[p6&63], b[p1&63]-b[p6&63]
	s2, d2 := b[p2&63]+b[p5&63], b[p2&63]-b[p5&63]
	s3, d3 := b[p3&63]+b[p4&63], b[p3&63]-b[p4&63]
	round := int32(1) << (shift - 1)
	b[p0&63] = (cos4*(s0+s1+s2+s3) + round) >> shift
	b[p4&63] = (cos4*(s0-s1-s2+s3) + round) >> shift
	b[p2&63] = (cos2*(s0-s3) + cos6*(s1-s2) + round) >> shift
	b[p6&63] = (cos6*(s0-s3) - cos2*(s1-s2) + round) >> shift
	b[p1&63] = (cos1*d0 + cos3*d1 + cos5*d2 + cos7*d3 + round) >> shift
	b[p3&63] = (cos3*d0 - cos7*d1 - cos1*d2 - cos5*d3 + round) >> shift
	b[p5&63] = (cos5*d0 - cos1*d1 + cos7*d2 + cos3*d3 + round) >> shift
	b[p7&63] = (cos7*d0 - cos5*d1 + cos3*d2 - cos1*d3 + round) >> shift
}
