package codec

import (
	"encoding/binary"
	"image"
	"math"
)

// Fraction bits of filter weights, and of samples between the two passes.
const (
	weightBits  = 14
	betweenBits = 4
)

// Halves to round by, in both halves of a word.
const (
	halfBetween = 1<<(weightBits-betweenBits-1) | 1<<(weightBits-betweenBits-1)<<32
	halfLevel   = 1<<(weightBits+betweenBits-1) | 1<<(weightBits+betweenBits-1)<<32
)

// window is what one output sample is made of: the source samples from first on, one for each weight.
type window struct {
	first   int
	weights []int64
}

// lanczos returns the windows of a resize from src to dst samples, with the kernel of three lobes that the
// library uses. The plane that is read holds each of the src samples 1<<sub times subsampled; samples that
// share one add their weights, so that chroma is filtered as if it had been repeated, and never is.
func lanczos(dst, src, sub int) []window {
	out := make([]window, dst)
	step := float64(src) / float64(dst)
	scale := max(step, 1)
	radius := math.Ceil(3 * scale)
	for i := range out {
		centre := (float64(i)+0.5)*step - 0.5
		first := max(0, int(math.Ceil(centre-radius)))
		last := min(src-1, int(math.Floor(centre+radius)))
		w := make([]float64, last>>sub-first>>sub+1)
		sum := 0.0
		for u := first; u <= last; u++ {
			v := lanczos3((float64(u) - centre) / scale)
			w[u>>sub-first>>sub] += v
			sum += v
		}
		out[i] = newWindow(first>>sub, w, sum)
	}
	return out
}

func lanczos3(x float64) float64 {
	x = math.Abs(x)
	if x >= 3 {
		return 0
	}
	return sinc(x) * sinc(x/3)
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// newWindow brings weights to integers that add up to one exactly, so that a plain area keeps its colour: what
// rounding leaves goes to the largest. Those that are nothing are left out at either end.
func newWindow(first int, w []float64, sum float64) window {
	out := make([]int64, len(w))
	left, largest := int64(1<<weightBits), 0
	for i, v := range w {
		out[i] = int64(math.Round(v / sum * (1 << weightBits)))
		left -= out[i]
		if out[i] > out[largest] {
			largest = i
		}
	}
	out[largest] += left
	for out[0] == 0 {
		out, first = out[1:], first+1
	}
	for out[len(out)-1] == 0 {
		out = out[:len(out)-1]
	}
	return window{first, out}
}

// resizePlane fills dst, of a width and a height, from a plane. It makes four rows at once: two in the
// halves of one word each, so that one multiplication does for both, and those words side by side.
func resizePlane(dst []byte, w, h int, src []byte, stride int, columns, rows []window) {
	across := 0
	for _, c := range columns {
		across = max(across, c.first+len(c.weights))
	}
	words := make([]int64, 2*across+16)
	sums := make([]int64, across/8*4)
	var out [4][]byte
	for y := 0; y < h; y += 4 {
		clear(words)
		for i := range out {
			// Rows beyond the last one are the last one again.
			at := min(y+i, h-1)
			out[i] = dst[at*w : at*w+w]
			down(words[i>>1:], uint(i&1*32), src, stride, across, rows[at], sums)
		}
		o0, o1, o2, o3 := out[0][:len(columns)], out[1][:len(columns)], out[2][:len(columns)], out[3][:len(columns)]
		for x, c := range columns {
			upper, lower := across4(words[2*c.first:], c.weights)
			o0[x], o1[x], o2[x], o3[x] = level(upper), level(upper>>32), level(lower), level(lower>>32)
		}
	}
}

// across4 sums up four rows. It is a function of its own so that its sums stay in registers.
//
//go:noinline
func across4(words, weights []int64) (upper, lower int64) {
	upper, lower = halfLevel, halfLevel
	words = words[:2*len(weights)]
	for i, w := range weights {
		upper += words[2*i] * w
		lower += words[2*i+1] * w
	}
	return upper, lower
}

// level takes the lower sum of a word as a finished sample. The lower sum, when negative, has borrowed one
// from the upper: a tiny part of a level, which is no matter.
func level(sum int64) byte {
	return byte(min(max(int32(sum)>>(weightBits+betweenBits), 0), 255))
}

// down filters one row out of several, into the half of every other word that shift tells. sums is room for
// half as many words as there are columns.
func down(out []int64, shift uint, src []byte, stride, across int, win window, sums []int64) {
	for i := range sums {
		sums[i] = halfBetween
	}
	// Two rows at a time; of an odd number the last one with nothing of itself again.
	n := len(sums) * 2
	for i := 0; i < len(win.weights); i += 2 {
		at := (win.first + i) * stride
		if i+1 < len(win.weights) {
			add(sums, src[at:], src[at+stride:], win.weights[i], win.weights[i+1])
		} else {
			add(sums, src[at:], src[at:], win.weights[i], 0)
		}
	}
	for x := 0; x < n; x += 8 {
		store(out[2*x:], sums[x/2:], shift)
	}
	for x := n; x < across; x++ {
		sum := int64(halfBetween)
		for i, w := range win.weights {
			sum += int64(src[(win.first+i)*stride+x]) * w
		}
		out[2*x] += between(sum) << (shift & 32)
	}
}

// add adds two weighted rows, eight columns at a time: 0 and 4, 1 and 5, 2 and 6, 3 and 7 share a word.
func add(sums []int64, a, b []byte, wa, wb int64) {
	const mask = 0x000000FF_000000FF
	a, b = a[:2*len(sums)], b[:2*len(sums)]
	for i := 0; i+4 <= len(sums); i += 4 {
		s := (*[4]int64)(sums[i:])
		v, w := binary.LittleEndian.Uint64(a[2*i:]), binary.LittleEndian.Uint64(b[2*i:])
		s[0] += int64(v&mask)*wa + int64(w&mask)*wb
		s[1] += int64(v>>8&mask)*wa + int64(w>>8&mask)*wb
		s[2] += int64(v>>16&mask)*wa + int64(w>>16&mask)*wb
		s[3] += int64(v>>24&mask)*wa + int64(w>>24&mask)*wb
	}
}

// store puts the sums of eight columns where the second pass finds them.
func store(out, sums []int64, shift uint) {
	to, s := (*[15]int64)(out), (*[4]int64)(sums)
	for i := range 4 {
		to[2*i] += between(s[i]) << (shift & 32)
		to[2*i+8] += between(s[i]>>32) << (shift & 32)
	}
}

// between takes the lower sum of a word as a sample between the passes. It is not clipped: what overshoots in
// one direction may come back in the other.
func between(sum int64) int64 { return int64(int32(sum) >> (weightBits - betweenBits)) }

// reduceGray resizes a grey picture.
func reduceGray(m *image.Gray, w, h int) *image.Gray {
	out := image.NewGray(image.Rect(0, 0, w, h))
	resizePlane(out.Pix, w, h, m.Pix, m.Stride, lanczos(w, m.Rect.Dx(), 0), lanczos(h, m.Rect.Dy(), 0))
	return out
}

// reduceYCC resizes plane by plane; the result has chroma for each pixel.
func reduceYCC(m *image.YCbCr, w, h int) *image.YCbCr {
	out := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio444)
	hs, vs := subsampling(m.SubsampleRatio)
	columns, rows := lanczos(w, m.Rect.Dx(), 0), lanczos(h, m.Rect.Dy(), 0)
	resizePlane(out.Y, w, h, m.Y, m.YStride, columns, rows)
	columns, rows = lanczos(w, m.Rect.Dx(), hs), lanczos(h, m.Rect.Dy(), vs)
	resizePlane(out.Cb, w, h, m.Cb, m.CStride, columns, rows)
	resizePlane(out.Cr, w, h, m.Cr, m.CStride, columns, rows)
	return out
}
