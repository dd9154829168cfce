package codec

import (
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"math"

	"photovault/imaging/internal/wire"
)

// noLimits is for pictures that were made here.
var noLimits = wire.Limits{MaxPixels: math.MaxInt64, MaxSide: math.MaxInt64, MemoryBytes: math.MaxInt64}

// Strip rewrites a JPEG from its allow-list of segments. It decodes nothing and does not yet notice
// data hidden behind the last block of a scan: sanitising walks the image as well.
func Strip(in []byte, lim wire.Limits) ([]byte, error) {
	p, err := StripPieces(in, lim)
	if err != nil {
		return nil, err
	}
	return pieces(p).join(), nil
}

// StripPieces does the same without joining what it keeps: most of it lies in the input.
func StripPieces(in []byte, lim wire.Limits) ([][]byte, error) {
	l, err := parseJPEG(in, toScan, lim)
	if err != nil {
		return nil, err
	}
	return l.rebuild(), nil
}

// sanitiseJPEG turns an upload into its renditions. The original comes in pieces.
func sanitiseJPEG(in []byte, lim wire.Limits) (wire.Answer, error) {
	l, err := parseJPEG(in, toSanitise, lim)
	if err != nil {
		return wire.Answer{}, err
	}
	facts := readEXIF(l.exif)
	colour, err := sourceColours(l, facts)
	if err != nil {
		return wire.Answer{}, err
	}
	conv := colour.originalConv()
	kept := facts.orientation <= 1 && conv == nil
	l.p3 = colour.p3
	if !kept {
		if err := l.checkProportion(false); err != nil {
			return wire.Answer{}, err
		}
		if err := checkMemory(l, toRecode, lim); err != nil {
			return wire.Answer{}, err
		}
	}
	img, err := l.open()
	if err != nil {
		return wire.Answer{}, err
	}
	original := l.rebuild()
	f := wire.Findings{
		Format: "jpeg", Width: l.width, Height: l.height,
		CaptureTime: facts.captureTime, Orientation: facts.orientation,
		HadGPS: facts.hadGPS || l.xmpGPS, EXIFUnreadable: facts.unreadable,
		Removed: l.removed, SourceProfile: colour.class,
		CodedDataKept: kept, OrientationBaked: facts.orientation > 1, ColourConverted: conv != nil,
	}
	f.Pixels.Decoded = hashPixels(picture{img, 1})
	f.Pixels.Encoded = f.Pixels.Decoded
	if inks, ok := img.(*image.CMYK); ok {
		img, conv, colour.conv = printed(inks, conv, l.adobe >= 0), nil, nil
	}
	a := wire.Answer{Renditions: make([]wire.Rendition, 3), Pieces: make([][][]byte, 3)}
	// The small ones first: what they need on the way is free again when the original grows.
	if err := addSmall(&a, shrink(img, facts.orientation, colour.conv), l.model == modelGray); err != nil {
		return wire.Answer{}, err
	}
	view := upright(picture{img, facts.orientation})
	if view.model() == modelRGB && l.model == modelCMYK {
		view = luminous{view}
	}
	if conv != nil {
		view = converted{view, conv}
	}
	switch {
	case kept:
	case conv == nil && view.model() == l.model:
		f.Pixels.Encoded = hashPixels(view)
		if original = turnJPEG(in, facts.orientation, l.p3); original != nil {
			f.TurnedWithoutLoss = true
			break
		}
		fallthrough
	default:
		original, f.Pixels.Encoded = encodeJPEG(view, bakedQuality, l.p3)
	}
	w, h := view.size()
	a.Renditions[0] = wire.Rendition{Name: "original", ContentType: "image/jpeg", Width: w, Height: h}
	a.Pieces[0] = original
	a.Findings = f
	return a, nil
}

// scanJPEG checks a finished rendition as if it came from a stranger: it must be exactly what rebuild
// writes for what it contains, every code in it must be sound, and it must decode.
func scanJPEG(in []byte, lim wire.Limits) (wire.Seen, error) {
	l, err := parseJPEG(in, toScan, lim)
	if r := (*Refusal)(nil); errors.As(err, &r) && r.Need > 0 {
		return wire.Seen{}, err // a larger worker will tell
	}
	if err != nil {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition is not readable: %v", err)
	}
	if l.model == modelCMYK {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition in four inks")
	}
	img, err := l.open()
	if err != nil {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition is not sound: %v", err)
	}
	if !l.rebuild().equal(in) {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition holds more than its picture")
	}
	return wire.Seen{ContentType: "image/jpeg", Width: l.width, Height: l.height, Pixels: hashPixels(picture{img, 1})}, nil
}

// decode decodes an image that walk has accepted; whole is the image itself.
func (l *jpegLayout) decode(whole pieces) (image.Image, error) {
	if l.sof == mSOF2 {
		var err error
		if whole, err = l.sequential(); err != nil {
			return nil, err
		}
	}
	img, err := jpeg.Decode(whole.reader())
	if err != nil {
		return nil, refuse(CodeCoding, "%v", err)
	}
	switch img.(type) {
	case *image.Gray, *image.YCbCr, *image.RGBA, *image.CMYK:
		return img, nil
	}
	return nil, fmt.Errorf("codec: image/jpeg gave a %T", img)
}
