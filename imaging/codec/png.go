package codec

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io"

	"photovault/imaging/internal/wire"
)

// sanitisePNG turns an upload into its renditions. The original is a PNG: the same filtered rows
// deflated anew where orientation and colours allow, the turned or converted pixels otherwise.
func sanitisePNG(in []byte, lim wire.Limits) (wire.Answer, error) {
	l, err := parsePNG(in, lim)
	if err != nil {
		return wire.Answer{}, err
	}
	pixels := int64(l.width) * int64(l.height)
	laidOut := l.pngHeader
	laidOut.interlaced = false
	if err := checkProportion(pixels, laidOut.decodedBytes(l.trns != nil)/pixels, int64(l.size)); err != nil {
		return wire.Answer{}, err
	}
	facts := readEXIF(l.exif)
	if l.colour.class == "none" && facts.adobeRGB {
		l.colour = judgeRGB(adobeRGB(), l.kind == pngGray || l.kind == pngGrayAlpha)
	}
	kept := facts.orientation <= 1 && l.colour.originalConv() == nil
	if err := l.checkMemory(toSanitise, !kept, lim); err != nil {
		return wire.Answer{}, err
	}
	data := idat{left: l.outputBound()}
	if err := l.walk(&data); err != nil {
		return wire.Answer{}, err
	}
	original := data.finish(l.head())
	data = idat{}
	img, err := decodePNG(original.reader())
	if err != nil {
		return wire.Answer{}, err
	}
	a := wire.Answer{Renditions: make([]wire.Rendition, 3), Pieces: make([][][]byte, 3), Findings: wire.Findings{
		Format: "png", Width: l.width, Height: l.height,
		CaptureTime: facts.captureTime, Orientation: facts.orientation,
		HadGPS: facts.hadGPS || l.xmpGPS, EXIFUnreadable: facts.unreadable,
		Removed: l.removed, SourceProfile: l.colour.class,
		CodedDataKept: kept, OrientationBaked: facts.orientation > 1, ColourConverted: l.colour.originalConv() != nil,
	}}
	if !kept {
		original = nil
	}
	a.Findings.Pixels.Decoded = hashPixels(picture{img, 1})
	return addAll(a, img, original, "image/png", l.colour)
}

// addAll adds the renditions of a picture to an answer whose findings stand. original is nil where it
// has to be coded anew, which is done without loss.
func addAll(a wire.Answer, img image.Image, original pieces, contentType string, c colours) (wire.Answer, error) {
	f := &a.Findings
	orient := f.Orientation
	f.Pixels.Encoded = f.Pixels.Decoded
	_, gray := img.(*image.Gray)
	_, gray16 := img.(*image.Gray16)
	web := shrink(forResize(img), orient, c.conv)
	if m, ok := web.(*image.NRGBA); ok {
		flatten(m)
	}
	if err := addSmall(&a, web, gray || gray16); err != nil {
		return wire.Answer{}, err
	}
	var view rows = picture{img, max(orient, 1)}
	if original == nil {
		contentType = "image/png"
		tag := c.tag()
		if conv := c.originalConv(); conv != nil {
			tag = tagSRGB
			if view.model().deep() {
				view = shallow{view}
			}
			view = converted{view, conv}
		}
		var err error
		if original, f.Pixels.Encoded, err = encodePNG(view, tag); err != nil {
			return wire.Answer{}, err
		}
	}
	w, h := view.size()
	a.Renditions[0] = wire.Rendition{Name: "original", ContentType: contentType, Width: w, Height: h}
	a.Pieces[0] = original
	return a, nil
}

// inspectPNG checks a finished rendition: its image data must be what deflating its rows gives, and
// what stands around that must be what is written for it.
func inspectPNG(in []byte, lim wire.Limits) (wire.Seen, error) {
	l, err := parsePNG(in, lim)
	if err != nil {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition is not readable: %v", err)
	}
	if err := l.checkMemory(toScan, false, lim); err != nil {
		return wire.Seen{}, err
	}
	if len(l.data) != 1 {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition holds more than its picture")
	}
	want := &same{l.data[0]}
	if err := l.walk(want); err != nil || len(want.want) != 0 {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition's image data is not as it is written here: %v", err)
	}
	head := l.head()
	if !bytes.HasPrefix(in, head) || len(in) != len(head)+12+len(l.data[0])+len(pngEnd) || string(in[len(head)+4:len(head)+8]) != "IDAT" {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition holds more than its picture")
	}
	img, err := decodePNG(bytes.NewReader(in))
	if err != nil {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition does not decode: %v", err)
	}
	return wire.Seen{ContentType: "image/png", Width: l.width, Height: l.height, Pixels: hashPixels(picture{img, 1})}, nil
}

// decodePNG decodes an image that walk has written or accepted.
func decodePNG(r io.Reader) (image.Image, error) {
	img, err := png.Decode(r)
	if err != nil {
		return nil, refuse(CodeCoding, "%v", err)
	}
	switch m := img.(type) {
	case *image.Gray, *image.Gray16, *image.RGBA, *image.RGBA64, *image.NRGBA, *image.NRGBA64:
		return img, nil
	case *image.Paletted:
		return newIndexed(m), nil
	}
	return nil, fmt.Errorf("codec: image/png gave a %T", img)
}

// outputBound is how large the image data may become when it is deflated anew. Somebody may have spent
// minutes on making it small; what grows more than that was built to.
func (l *pngLayout) outputBound() int64 { return min(l.rawBytes()*1001/1000, 4*int64(l.size)) + 1<<20 }

// decodedBytes is the size of the decoded picture as image/png lays it out.
func (h pngHeader) decodedBytes(transparent bool) int64 {
	n := int64(4)
	switch {
	case h.kind == pngPalette, h.kind == pngGray && !transparent:
		n = 1
	}
	if h.depth == 16 {
		n *= 2
	}
	n *= int64(h.width) * int64(h.height)
	if h.interlaced {
		n += n / 2 // the last pass is half of the picture, in a buffer of its own
	}
	return n
}

// checkMemory refuses on the header what would not fit the worker, before anything is inflated.
func (l *pngLayout) checkMemory(why purpose, recode bool, lim wire.Limits) error {
	need := l.decodedBytes(l.trns != nil) + int64(l.size) + runtimeBytes
	if why >= toSanitise {
		more := l.outputBound()
		fw, fh := fit(l.width, l.height, webSide)
		more += 4 * int64(fw) * (int64(l.height) + int64(fh))
		if recode {
			more = max(more, l.rawBytes())
		}
		need += more
	}
	if need > lim.MemoryBytes {
		return tooLarge(int64(l.width), int64(l.height), need)
	}
	return nil
}
