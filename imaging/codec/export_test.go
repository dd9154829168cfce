package codec

import (
	"image"

	"photovault/imaging/internal/wire"
)

// What the tests look at that no other package needs.

var NoLimits = noLimits

type EXIFFacts struct {
	CaptureTime                  string
	Orientation                  int
	HadGPS, AdobeRGB, Unreadable bool
}

func ReadEXIF(p []byte) EXIFFacts {
	f := readEXIF(p)
	return EXIFFacts{f.captureTime, f.orientation, f.hadGPS, f.adobeRGB, f.unreadable}
}

func Sanitise(in []byte, lim wire.Limits) (wire.Answer, error) {
	a := Answer(wire.Request{Mode: wire.Sanitise, Limits: lim, Blobs: [][]byte{in}})
	if a.Code != "" {
		return wire.Answer{}, &Refusal{a.Code, a.Detail, a.Need, a.HEVC}
	}
	return a, nil
}

func Scan(p []byte) (wire.Seen, error) { return inspect(p, noLimits) }

// Walk follows the codes of an image and reports how its data ends.
func Walk(p []byte) error {
	l, err := parseJPEG(p, toScan, noLimits)
	if err != nil {
		return err
	}
	return l.walk()
}

// Encode codes a picture as it lies.
func Encode(m image.Image, quality int) []byte {
	b, _ := encodeJPEG(picture{m, 1}, quality, false)
	return b.join()
}

// Converter returns the conversion from a profile to sRGB; same reports that nothing is to be done.
func Converter(icc []byte) (convert func(r, g, b byte) (x, y, z byte), same bool, err error) {
	p, err := parseICC(icc)
	if err != nil {
		return nil, false, err
	}
	if p.lut != nil {
		c := p.lut.conversion(false)
		return c.rgb, c.isIdentity(), nil
	}
	c := newConversion(p.rgb)
	return c.rgb, c.isIdentity(), nil
}

// Inks returns the conversion of a CMYK profile, 255 being full ink.
func Inks(icc []byte) (func(c, m, y, k byte) (r, g, b byte), error) {
	p, err := parseICC(icc)
	if err != nil || p.space != "CMYK" {
		return nil, err
	}
	return p.lut.conversion(false).ink, nil
}

// EncodeInks codes samples of four components as they are under an Adobe marker.
func EncodeInks(m *image.CMYK, transform byte) []byte {
	b, _ := encodeJPEG(picture{m, 1}, 95, false)
	out := b.join()
	out[2+15] = transform
	return out
}

// Judge reads a profile for pictures of every space.
func Judge(icc []byte) (class string, err error) {
	for _, m := range []colourModel{modelGray, modelYCC, modelCMYK} {
		c, e := judgeICC(icc, m)
		if class, err = c.class, e; e == nil {
			return class, nil
		}
	}
	return class, err
}

// CanonicalDisplayP3 is the profile that originals may carry.
func CanonicalDisplayP3() []byte { return canonicalDisplayP3 }

func HashPixels(m image.Image) [32]byte { return hashPixels(picture{m, 1}) }

func Shrink(m image.Image) image.Image { return shrink(m, 1, nil) }

func Thumbnail(m image.Image) image.Image { return thumbnail(m) }

func EncodeSmall(m image.Image, quality int) ([]byte, error) { return encodeSmall(m, false, quality) }

// Streams returns the coded pictures of a HEIC file as byte streams (ITU-T H.265 annex B), and their size.
func Streams(in []byte) (out [][]byte, w, h int) {
	l, err := parseHEIC(in, noLimits)
	if err != nil {
		panic(err)
	}
	for _, t := range l.tiles {
		var b []byte
		for _, units := range append(l.configs[t.config].sets[:], t.slices) {
			for _, nal := range units {
				b = append(append(b, 0, 0, 0, 1), nal...)
			}
		}
		out = append(out, b)
	}
	return out, l.tileW, l.tileH
}

// DecodeTiles decodes the coded pictures of a HEIC file, each by itself.
func DecodeTiles(in []byte) (out []image.Image) {
	l, err := parseHEIC(in, noLimits)
	if err != nil {
		panic(err)
	}
	for i := range l.tiles {
		one := *l
		one.grid, one.cells, one.tiles, one.crop = false, nil, l.tiles[i:i+1], nil
		one.width, one.height, one.cols, one.rows = l.tileW, l.tileH, 1, 1
		m, err := one.decode(true)
		if err != nil {
			panic(err)
		}
		out = append(out, m)
	}
	return out
}

// RebuildHEIC writes a HEIC anew without decoding it. Where that loses something, or leaves something,
// the error says that it would be coded anew.
func RebuildHEIC(in []byte, lim wire.Limits) ([]byte, []wire.Removed, error) {
	l, err := parseHEIC(in, lim)
	if err != nil {
		return nil, nil, err
	}
	if l.loose || l.colour.foreign {
		return nil, nil, refuse(CodeCoding, "would be coded anew")
	}
	return l.rebuild().join(), l.removed, nil
}

// Open walks and decodes an image.
func Open(p []byte) (image.Image, error) {
	l, err := parseJPEG(p, toScan, noLimits)
	if err != nil {
		return nil, err
	}
	return l.open()
}

// Rebuild writes what Open accepts.
func Rebuild(p []byte) ([]byte, error) {
	l, err := parseJPEG(p, toScan, noLimits)
	if err != nil {
		return nil, err
	}
	err = l.walk()
	return l.rebuild().join(), err
}
