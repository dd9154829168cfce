package codec

import (
	"image"

	"photovault/imaging/internal/wire"
)

const heicType = "image/heic"

// sanitiseHEIC turns an upload into its renditions. The original is a HEIC of the upload's coded
// pictures where that can be done with everything accounted for, and a JPEG elsewhere.
func sanitiseHEIC(in []byte, lim wire.Limits) (wire.Answer, error) {
	l, err := parseHEIC(in, lim)
	if err != nil {
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
	if !hevcReady {
		return wire.Answer{}, refuse(CodeFormat, "a worker without the decoder for HEIC")
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
		CodedDataKept: kept, ColourConverted: !kept && l.colour.conv != nil, OrientationBaked: !kept && orient > 1,
	}
	f.Width, f.Height = view.size()
	f.Pixels.Decoded = hashPixels(view)
	f.Pixels.Encoded = f.Pixels.Decoded
	l.colour.points.normalise(img)
	a := wire.Answer{Renditions: make([]wire.Rendition, 3), Pieces: make([][][]byte, 3)}
	if err := smaller(&a, img, orient, l.colour.conv); err != nil {
		return wire.Answer{}, err
	}
	original := wire.Rendition{Name: "original", ContentType: heicType, Width: f.Width, Height: f.Height}
	if kept {
		a.Pieces[0] = l.rebuild()
	} else {
		var src rows = view
		if l.colour.conv != nil {
			src = converted{src, l.colour.conv}
		}
		original.ContentType = "image/jpeg"
		a.Pieces[0], f.Pixels.Encoded = encodeJPEG(src, bakedQuality)
	}
	a.Renditions[0] = original
	a.Findings = f
	return a, nil
}

// smaller makes the web and thumb renditions.
func smaller(a *wire.Answer, img image.Image, orient int, conv *conversion) error {
	_, gray := img.(*image.Gray)
	small := shrink(img, orient, conv)
	for i, r := range []struct {
		name    string
		quality int
	}{{"web", webQuality}, {"thumb", thumbQuality}} {
		if r.name == "thumb" {
			small = thumbnail(small)
		}
		data, err := encodeSmall(small, gray, r.quality)
		if err != nil {
			return err
		}
		a.Renditions[i+1] = wire.Rendition{Name: r.name, ContentType: "image/jpeg",
			Width: small.Rect.Dx(), Height: small.Rect.Dy(), Data: data}
	}
	return nil
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
