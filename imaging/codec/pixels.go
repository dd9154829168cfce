package codec

import (
	"crypto/sha256"
	"encoding/binary"
	"image"
)

// rows is a picture that gives its samples row by row, at full resolution in every channel.
type rows interface {
	size() (w, h int)
	model() colourModel
	// fill writes row y: one slice of w samples for each channel of the model.
	fill(y int, ch [][]byte)
}

// picture is a decoded picture seen in an EXIF orientation. It copies nothing: a 12 megapixel photo
// is turned while it is being encoded, not in a second buffer.
type picture struct {
	img    image.Image // of one of the types that model knows, with bounds beginning at 0,0
	orient int         // EXIF orientation 1..8
}

func (p picture) model() colourModel {
	switch m := p.img.(type) {
	case *image.Gray:
		return modelGray
	case *image.Gray16:
		return modelGray | modelDeep
	case *image.RGBA:
		return modelRGB
	case *image.RGBA64:
		return modelRGB | modelDeep
	case *image.CMYK:
		return modelCMYK
	case *image.NRGBA:
		return modelRGBA
	case *image.NRGBA64:
		return modelRGBA | modelDeep
	case *image.NYCbCrA:
		return modelYCCA
	case *indexed:
		if m.opaque {
			return modelRGB
		}
		return modelRGBA
	}
	return modelYCC
}

func (p picture) size() (w, h int) {
	b := p.img.Bounds()
	if p.orient >= 5 {
		return b.Dy(), b.Dx()
	}
	return b.Dx(), b.Dy()
}

// path returns where row y of the turned picture begins in the source, and the step from one of its
// samples to the next (TIFF 6.0, tag 274).
func (p picture) path(y int) (sx, sy, dx, dy int) {
	b := p.img.Bounds()
	r, t := b.Dx()-1, b.Dy()-1
	switch p.orient {
	case 2:
		return r, y, -1, 0
	case 3:
		return r, t - y, -1, 0
	case 4:
		return 0, t - y, 1, 0
	case 5:
		return y, 0, 0, 1
	case 6:
		return y, t, 0, -1
	case 7:
		return r - y, t, 0, -1
	case 8:
		return r - y, 0, 0, 1
	}
	return 0, y, 1, 0
}

func (p picture) fill(y int, ch [][]byte) {
	sx, sy, dx, dy := p.path(y)
	switch m := p.img.(type) {
	case *image.Gray:
		at, step := sy*m.Stride+sx, dy*m.Stride+dx
		for i := range ch[0] {
			ch[0][i] = m.Pix[at]
			at += step
		}
	case *image.RGBA:
		at, step := sy*m.Stride+4*sx, dy*m.Stride+4*dx
		for i := range ch[0] {
			ch[0][i], ch[1][i], ch[2][i] = m.Pix[at], m.Pix[at+1], m.Pix[at+2]
			at += step
		}
	case *image.YCbCr:
		fillYCC(m, sx, sy, dx, dy, ch)
	default:
		p.fillMore(sx, sy, dx, dy, ch)
	}
}

// fillYCC repeats subsampled chroma as image.YCbCr.At does.
func fillYCC(m *image.YCbCr, sx, sy, dx, dy int, ch [][]byte) {
	luma, cb, cr := ch[0], ch[1], ch[2]
	at, step := sy*m.YStride+sx, dy*m.YStride+dx
	hs, vs := subsampling(m.SubsampleRatio)
	if dx == 1 {
		copy(luma, m.Y[at:])
		row := (sy>>vs)*m.CStride + sx>>hs
		repeat(cb, m.Cb[row:], hs)
		repeat(cr, m.Cr[row:], hs)
		return
	}
	for i := range luma {
		c := (sy>>vs)*m.CStride + sx>>hs
		luma[i], cb[i], cr[i] = m.Y[at], m.Cb[c], m.Cr[c]
		at += step
		sx += dx
		sy += dy
	}
}

// repeat fills a row from one that is subsampled by 1<<hs.
func repeat(dst, src []byte, hs int) {
	switch hs {
	case 0:
		copy(dst, src)
	case 1:
		pairs := src[:len(dst)/2]
		for i, v := range pairs {
			dst[2*i], dst[2*i+1] = v, v
		}
		if len(dst)&1 == 1 {
			dst[len(dst)-1] = src[len(dst)/2]
		}
	default:
		for i := range dst {
			dst[i] = src[i>>hs]
		}
	}
}

// sideways is a picture that lies on its side, of separate planes. Its rows are the source's columns: they are read
// eight at once, since what the processor fetches for one holds the others.
type sideways struct {
	picture
	first int         // row of the band that is held
	band  [8][][]byte // nil until one is
}

// upright returns the picture to be read row by row.
func upright(p picture) rows {
	switch p.img.(type) {
	case *image.Gray, *image.YCbCr:
		if p.orient >= 5 {
			return &sideways{picture: p, first: -8}
		}
	}
	return p
}

func (p *sideways) fill(y int, ch [][]byte) {
	if y < p.first || y >= p.first+8 {
		p.load(y)
	}
	for c := range ch {
		copy(ch[c], p.band[y-p.first][c])
	}
}

// load reads the band that begins with row y.
func (p *sideways) load(y int) {
	w, h := p.size()
	p.first = y
	var at [8]int // columns of the source
	n := min(8, h-y)
	for k := range n {
		if p.band[k] == nil {
			p.band[k] = channels(p.model(), w)
		}
		at[k], _, _, _ = p.path(y + k)
	}
	_, sy, _, dy := p.path(y)
	for i := range w {
		switch m := p.img.(type) {
		case *image.Gray:
			row := m.Pix[sy*m.Stride:]
			for k, x := range at[:n] {
				p.band[k][0][i] = row[x]
			}
		case *image.YCbCr:
			hs, vs := subsampling(m.SubsampleRatio)
			luma, c := m.Y[sy*m.YStride:], (sy>>vs)*m.CStride
			cb, cr := m.Cb[c:], m.Cr[c:]
			for k, x := range at[:n] {
				p.band[k][0][i], p.band[k][1][i], p.band[k][2][i] = luma[x], cb[x>>hs], cr[x>>hs]
			}
		}
		sy += dy
	}
}

// subsampling returns the binary logarithms of the chroma subsampling factors.
func subsampling(r image.YCbCrSubsampleRatio) (h, v int) {
	switch r {
	case image.YCbCrSubsampleRatio422:
		return 1, 0
	case image.YCbCrSubsampleRatio420:
		return 1, 1
	case image.YCbCrSubsampleRatio440:
		return 0, 1
	case image.YCbCrSubsampleRatio411:
		return 2, 0
	case image.YCbCrSubsampleRatio410:
		return 2, 1
	}
	return 0, 0
}

// channels makes row buffers for a picture, padded to whole blocks.
func channels(m colourModel, w int) [][]byte {
	ch := make([][]byte, m.channels())
	if m.deep() {
		w *= 2
	}
	for i := range ch {
		ch[i] = make([]byte, w, (w+7)&^7)
	}
	return ch
}

// pixelHash hashes pixels in canonical form: "photovault pixels v1", the colour model (1 grey,
// 3 YCbCr, 4 RGB, 5 RGB and alpha, 6 YCbCr and alpha, 7 CMYK with 255 for full ink; 16 more where samples have 16 bits), width and
// height as big-endian uint32, then for each row the samples of each channel at full resolution,
// subsampled chroma repeated, alpha not multiplied in, 16 bits big-endian. Fewer than 8 bits of grey are
// scaled to 8, and colours of a palette are looked up.
type pixelHash struct {
	h interface {
		Write([]byte) (int, error)
		Sum([]byte) []byte
	}
}

func newPixelHash(m colourModel, w, h int) pixelHash {
	p := pixelHash{sha256.New()}
	b := append([]byte("photovault pixels v1"), byte(m))
	b = binary.BigEndian.AppendUint32(b, uint32(w))
	b = binary.BigEndian.AppendUint32(b, uint32(h))
	_, _ = p.h.Write(b) // a hash takes everything
	return p
}

func (p pixelHash) row(ch [][]byte) {
	for _, c := range ch {
		_, _ = p.h.Write(c)
	}
}

func (p pixelHash) sum() (s [sha256.Size]byte) {
	p.h.Sum(s[:0])
	return s
}

// hashPixels hashes a whole picture.
func hashPixels(src rows) [sha256.Size]byte {
	w, h := src.size()
	p := newPixelHash(src.model(), w, h)
	ch := channels(src.model(), w)
	for y := range h {
		src.fill(y, ch)
		p.row(ch)
	}
	return p.sum()
}
