package codec

import "image"

// webpRGB shows a lossy picture in RGB: VP8 codes BT.601 with 16 to 235 for black to white, where
// image.YCbCr means JPEG's full range. Chroma is interpolated between its four nearest samples, as
// browsers do.
func webpRGB(m *image.YCbCr, alpha []byte, stride int) image.Image {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	cw, ch := (w+1)/2, (h+1)/2
	for y := range h {
		near := y / 2
		far := min(max(near-1+2*(y&1), 0), ch-1)
		rowN, rowF := near*m.CStride, far*m.CStride
		luma, dst := m.Y[y*m.YStride:], out.Pix[y*out.Stride:]
		for x := range w {
			nx := x / 2
			fx := min(max(nx-1+2*(x&1), 0), cw-1)
			u := (9*int32(m.Cb[rowN+nx]) + 3*int32(m.Cb[rowN+fx]) + 3*int32(m.Cb[rowF+nx]) + int32(m.Cb[rowF+fx]) + 8) >> 4
			v := (9*int32(m.Cr[rowN+nx]) + 3*int32(m.Cr[rowN+fx]) + 3*int32(m.Cr[rowF+nx]) + int32(m.Cr[rowF+fx]) + 8) >> 4
			p := dst[4*x : 4*x+4 : 4*x+4]
			// ITU-R BT.601 with 16 bits of fraction.
			l := 76309*(int32(luma[x])-16) + 1<<15
			p[0] = clamp8((l + 104597*(v-128)) >> 16)
			p[1] = clamp8((l - 25675*(u-128) - 53279*(v-128)) >> 16)
			p[2] = clamp8((l + 132201*(u-128)) >> 16)
			p[3] = 0xFF
			if alpha != nil {
				p[3] = alpha[y*stride+x]
			}
		}
	}
	if alpha == nil {
		return &image.RGBA{Pix: out.Pix, Stride: out.Stride, Rect: out.Rect} // opaque: the same bytes
	}
	return out
}

func clamp8(v int32) byte { return byte(min(max(v, 0), 255)) }
