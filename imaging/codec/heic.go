package codec

import (
	"image"

	"photovault/imaging/internal/wire"
)

const heicType = "image/heic"

// sanitiseHEIC turns an upload into its renditions. The original is a HEIC of the upload's coded
// pictures where that can be done with everything accounted for, and a JPEG elsewhere.
func sanitiseHEIC(in []byte, lim wire.Limits) (wire.Answer, error) {
	if !hevcBuilt {
		return wire.Answer{}, refuse(CodeFormat, "this build opens no HEIC")
	}
	l, err := parseHEIC(in, lim)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := l.checkProportion(); err != nil {
		return wire.Answer{}, err
	}
	kept := !l.loose && !l.colour.foreign
	why := toSanitise
	if !kept {
		why = toRecode
	}
	if err := l.checkMemory(why, lim); err != nil {
		return wire.Answer{}, err
	}
	img, err := l.decode(true)
	if err != nil {
		return wire.Answer{}, err
	}
	facts := readEXIF(l.tiff)
	orient := l.orientation()
	view := picture{img, orient}
	f := wire.Findings{
		Format: "heic", CaptureTime: facts.captureTime, HadGPS: facts.hadGPS || l.xmpGPS,
		EXIFUnreadable: facts.unreadable || l.exifBad, Removed: l.removed, SourceProfile: l.colour.class,
		CodedDataKept: kept, ColourConverted: !kept && l.colour.originalConv() != nil, OrientationBaked: !kept && orient > 1,
	}
	f.Width, f.Height = view.size()
	f.Pixels.Decoded = hashPixels(view)
	f.Pixels.Encoded = f.Pixels.Decoded
	l.colour.points.normalise(img)
	a := wire.Answer{Renditions: make([]wire.Rendition, 3), Pieces: make([][][]byte, 3)}
	_, gray := img.(*image.Gray)
	if err := addSmall(&a, shrink(img, orient, l.colour.conv), gray); err != nil {
		return wire.Answer{}, err
	}
	original := wire.Rendition{Name: "original", ContentType: heicType, Width: f.Width, Height: f.Height}
	if kept {
		a.Pieces[0] = l.rebuild()
	} else {
		var src rows = view
		if conv := l.colour.originalConv(); conv != nil {
			src = converted{src, conv}
		}
		original.ContentType = "image/jpeg"
		a.Pieces[0], f.Pixels.Encoded = encodeJPEG(src, bakedQuality, l.colour.p3)
	}
	a.Renditions[0] = original
	a.Findings = f
	return a, nil
}

// scanHEIC checks a finished original as if it came from a stranger: it must be exactly what rebuild
// writes for what it contains, with nothing left out and nothing in it that cannot be accounted for, and
// it must decode.
func scanHEIC(in []byte, lim wire.Limits) (wire.Seen, error) {
	l, err := parseHEIC(in, lim)
	if err != nil {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition is not readable: %v", err)
	}
	if len(l.removed) != 0 || l.loose || l.colour.foreign || !l.rebuild().equal(in) {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition holds more than its picture")
	}
	if err := l.checkMemory(toScan, lim); err != nil {
		return wire.Seen{}, err
	}
	img, err := l.decode(false)
	if err != nil {
		return wire.Seen{}, refuse(CodeUnsafe, "a rendition does not decode: %v", err)
	}
	view := picture{img, l.orientation()}
	w, h := view.size()
	return wire.Seen{ContentType: heicType, Width: w, Height: h, Pixels: hashPixels(view)}, nil
}
