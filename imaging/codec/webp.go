package codec

import (
	"bytes"
	"fmt"
	"image"
	"io"

	"golang.org/x/image/vp8l"
	"golang.org/x/image/webp"

	"photovault/imaging/internal/wire"
)

// sanitiseWebP turns an upload into its renditions. The original stays a WebP where the picture is
// lossy and may stay as it lies; otherwise it becomes a PNG of the same pixels, turned or converted
// where that is needed: there is no encoder for lossless WebP here, and none is needed to lose nothing.
func sanitiseWebP(in []byte, lim wire.Limits) (wire.Answer, error) {
	l, err := parseWebP(in, lim)
	if err != nil {
		return wire.Answer{}, err
	}
	bytes := int64(4) // it may become a PNG
	if l.lossless != nil {
		bytes = 6 // and its transforms are undone one after the other
	}
	if err := checkProportion(int64(l.width)*int64(l.height), bytes, int64(l.size)); err != nil {
		return wire.Answer{}, err
	}
	facts := readEXIF(l.exif)
	if l.colour.class == "none" && facts.adobeRGB {
		l.colour = judgeRGB(adobeRGB(), false)
	}
	kept := l.lossy != nil && facts.orientation <= 1 && l.colour.originalConv() == nil
	if err := l.checkMemory(toSanitise, !kept, lim); err != nil {
		return wire.Answer{}, err
	}
	img, shown, original, err := l.decode()
	if err != nil {
		return wire.Answer{}, err
	}
	if !kept {
		original = nil
	}
	if kept && l.colour.p3 {
		l.iccSize -= len(canonicalDisplayP3) + 8
	}
	l.removed.add("ICC profile", max(0, l.iccSize))
	a := wire.Answer{Renditions: make([]wire.Rendition, 3), Pieces: make([][][]byte, 3), Findings: wire.Findings{
		Format: "webp", Width: l.width, Height: l.height,
		CaptureTime: facts.captureTime, Orientation: facts.orientation,
		HadGPS: facts.hadGPS || l.xmpGPS, EXIFUnreadable: facts.unreadable,
		Removed: l.removed, SourceProfile: l.colour.class,
		CodedDataKept: kept, OrientationBaked: facts.orientation > 1, ColourConverted: l.colour.originalConv() != nil,
	}}
	a.Findings.Pixels.Decoded = hashPixels(picture{img, 1})
	return addAll(a, shown(), original, "image/webp", l.colour)
}

// decode decodes the picture: as it is coded, as it is to be shown, and, of a lossy one, the file that
// is written for it.
func (l *webpLayout) decode() (img image.Image, shown func() image.Image, original pieces, err error) {
	if l.lossless != nil {
		img, err = l.decodeLossless()
		return img, func() image.Image { return img }, nil, err
	}
	frame, err := walkVP8(l.lossy)
	if err != nil {
		return nil, nil, nil, err
	}
	l.removed.add("after image data", frame.removed)
	m, err := webp.Decode(rebuildWebP(frame, l.alpha, false).reader())
	if err != nil {
		return nil, nil, nil, decodeError(err)
	}
	switch m := m.(type) {
	case *image.YCbCr:
		return m, func() image.Image { return webpRGB(m, nil, 0) }, rebuildWebP(frame, nil, l.colour.p3), nil
	case *image.NYCbCrA:
		alpha := l.plainAlpha(m)
		if alpha == nil {
			return &m.YCbCr, func() image.Image { return webpRGB(&m.YCbCr, nil, 0) }, rebuildWebP(frame, nil, l.colour.p3), nil
		}
		return m, func() image.Image { return webpRGB(&m.YCbCr, m.A, m.AStride) }, rebuildWebP(frame, alpha, l.colour.p3), nil
	}
	return nil, nil, nil, fmt.Errorf("codec: webp gave a %T", m)
}

// plainAlpha is an ALPH chunk of the plane as it is: nothing compressed, nothing filtered, nothing left
// over. It is nil where all is opaque.
func (l *webpLayout) plainAlpha(m *image.NYCbCrA) []byte {
	if opaqueBytes(m.A) {
		l.removed.add("alpha channel", len(l.alpha))
		return nil
	}
	out := append(make([]byte, 0, 1+len(m.A)), 0)
	out = append(out, m.A...)
	// What it held beyond its plane can be told only where the plane was stored plainly.
	if l.alpha[0]&3 == 0 {
		l.removed.add("after image data", max(0, len(l.alpha)-len(out)))
	}
	return out
}

func opaqueBytes(p []byte) bool {
	for _, v := range p {
		if v != 0xFF {
			return false
		}
	}
	return true
}

// decodeLossless decodes a VP8L stream and finds its end.
func (l *webpLayout) decodeLossless() (image.Image, error) {
	r := bytes.NewReader(l.lossless)
	m, err := vp8l.Decode(r)
	if err != nil {
		return nil, decodeError(err)
	}
	l.removed.add("after image data", r.Len())
	n, ok := m.(*image.NRGBA)
	if !ok {
		return nil, fmt.Errorf("codec: vp8l gave a %T", m)
	}
	if n.Opaque() {
		return &image.RGBA{Pix: n.Pix, Stride: n.Stride, Rect: n.Rect}, nil // the same bytes
	}
	return n, nil
}

// decodeError tells an early end from damage.
func decodeError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return refuse(CodeTruncated, "image data ends too early")
	}
	return refuse(CodeCorrupt, "%v", err)
}

// inspectWebP checks a finished rendition: it must be exactly what is written for the picture it shows.
func inspectWebP(in []byte, lim wire.Limits) (wire.Seen, error) {
	l, err := parseWebP(in, lim)
	if err != nil {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition is not readable: %v", err)
	}
	if l.lossy == nil {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition of a kind that is not written")
	}
	if err := l.checkMemory(toScan, false, lim); err != nil {
		return wire.Seen{}, err
	}
	img, _, want, err := l.decode()
	if err != nil {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition is not sound: %v", err)
	}
	if !want.equal(in) {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition holds more than its picture")
	}
	return wire.Seen{ContentType: "image/webp", Width: l.width, Height: l.height, Pixels: hashPixels(picture{img, 1})}, nil
}

// checkMemory refuses on the header what would not fit the worker, before anything is decoded. Held
// together are the input, a frame written anew and read by the decoder, planes or pixels, what is
// shown, and what becomes of it.
func (l *webpLayout) checkMemory(why purpose, recode bool, lim wire.Limits) error {
	pixels := int64(l.width) * int64(l.height)
	padded := int64((l.width+15)&^15) * int64((l.height+15)&^15)
	need := int64(l.size) + runtimeBytes
	if l.lossless != nil {
		need += 2 * 4 * pixels // some transforms are undone into a second buffer
	} else {
		need += 2*int64(len(l.lossy)) + padded*3/2 + padded/8 + 4*pixels
		if l.alpha != nil {
			need += 6 * pixels // its stream is decoded as a picture of four channels
		}
	}
	if why >= toSanitise {
		fw, fh := fit(l.width, l.height, webSide)
		more := 4 * int64(fw) * (int64(l.height) + int64(fh))
		if recode {
			more = max(more, 4*pixels)
		}
		need += more
	}
	if need > lim.MemoryBytes {
		return tooLarge(int64(l.width), int64(l.height), need)
	}
	return nil
}
