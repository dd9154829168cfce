package codec

import (
	"bytes"
	"encoding/binary"

	"photovault/imaging/internal/wire"
)

// JPEG markers (ITU-T T.81 table B.1).
const (
	mSOF0, mSOF1, mSOF2          = 0xC0, 0xC1, 0xC2
	mDHT, mDAC                   = 0xC4, 0xCC
	mRST0, mRST7                 = 0xD0, 0xD7
	mSOI, mEOI, mSOS, mDQT, mDNL = 0xD8, 0xD9, 0xDA, 0xDB, 0xDC
	mDRI, mAPP0, mAPP1, mAPP2    = 0xDD, 0xE0, 0xE1, 0xE2
	mAPP13, mAPP14, mAPP15, mCOM = 0xED, 0xEE, 0xEF, 0xFE

	mTEM   = 0x01 // alone, like RSTn
	mSOF55 = 0xF7 // of JPEG-LS (ITU-T T.87 C.1.1), which begins as a JPEG does
)

// maxScans bounds the scans of one image. Cameras and editors write 1 to 12.
const maxScans = 100

// maxTables bounds its Huffman tables: each scan has at most a few of its own.
const maxTables = 4 * maxScans

// component is one entry of a frame header (T.81 B.2.2).
type component struct {
	id, h, v, tq byte
}

// scan is one scan: its header, the tables in force where it begins, and its entropy-coded data as
// it stands in the input, up to the next marker that is not RSTn.
type scan struct {
	comps          []scanComponent
	ss, se, ah, al byte
	dc, ac         [4]*huffSpec
	restart        int
	data           []byte
	keep           [][]byte // the parts of data that belong to the image; set by walk
}

type scanComponent struct {
	index  int // into jpegLayout.comps
	td, ta byte
}

// jpegLayout is what a JPEG consists of once everything that is not needed to decode it is left
// out. Its slices point into the input.
type jpegLayout struct {
	sof           byte
	width, height int
	comps         []component
	model         colourModel
	quant         [4][]byte // Pq/Tq byte and table, as in a DQT segment
	quantUsed     [4]bool   // a component has been coded with it
	scans         []scan

	coef   [4]coefficients // of a progressive image, or where they are to be gathered; set by walk
	gather bool            // coefficients of a sequential image, too

	exif      []byte // first EXIF block, beginning with the TIFF header
	icc       iccChunks
	xmpGPS    bool
	removed   removals
	sawJFIF   bool
	adobe     int  // Adobe transform byte; -1 when absent
	adobeSize int  // bytes of Adobe segments
	iccSize   int  // bytes of ICC segments
	p3        bool // to be put out under our own Display P3 profile

	// State while parsing: what the next scan will read with.
	huffDC, huffAC [4]*huffSpec
	huffAll        []*huffSpec
	inputSize      int
	why            purpose
	restart        int
}

// removals counts what is left out, by kind, in the order first met.
type removals []wire.Removed

func (r *removals) add(kind string, n int) {
	if n == 0 {
		return
	}
	for i := range *r {
		if (*r)[i].Kind == kind {
			(*r)[i].Bytes += int64(n)
			return
		}
	}
	*r = append(*r, wire.Removed{Kind: kind, Bytes: int64(n)})
}

// IsJPEG reports whether data begins as a JPEG does. File names and declared types are not asked.
func IsJPEG(data []byte) bool {
	return len(data) >= 2 && data[0] == 0xFF && data[1] == mSOI
}

// parseJPEG reads the structure of a JPEG without decoding it. Only what is on the allow-list enters
// the layout; everything else is counted and forgotten.
func parseJPEG(in []byte, why purpose, lim wire.Limits) (*jpegLayout, error) {
	if !IsJPEG(in) {
		return nil, refuse(CodeFormat, "not a JPEG")
	}
	l := &jpegLayout{adobe: -1, inputSize: len(in), why: why}
	pos := 2
	for {
		start := pos
		if i := bytes.IndexByte(in[pos:], 0xFF); i >= 0 {
			pos += i
		} else {
			pos = len(in)
		}
		// Fill bytes before a marker (T.81 B.1.1.2).
		for pos+1 < len(in) && in[pos+1] == 0xFF {
			pos++
		}
		if pos+1 >= len(in) {
			return nil, refuse(CodeTruncated, "no end of image")
		}
		l.removed.add("between segments", pos-start)
		marker := in[pos+1]
		switch {
		case marker == mEOI:
			l.removed.add("trailer", len(in)-pos-2)
			return l, l.finish()
		case marker == 0x00, marker == mTEM, marker >= mRST0 && marker <= mRST7:
			l.removed.add("between segments", 2)
			pos += 2
			continue
		case marker == mSOI:
			return nil, refuse(CodeCorrupt, "an image begins inside the image")
		}
		if pos+4 > len(in) {
			return nil, refuse(CodeTruncated, "ends inside a segment")
		}
		size := int(binary.BigEndian.Uint16(in[pos+2:]))
		if size < 2 {
			return nil, refuse(CodeCorrupt, "segment %02X has length %d", marker, size)
		}
		if pos+2+size > len(in) {
			return nil, refuse(CodeTruncated, "ends inside segment %02X", marker)
		}
		body := in[pos+4 : pos+2+size]
		pos += 2 + size
		if marker == mSOS {
			end := scanEnd(in, pos)
			if end < 0 {
				return nil, refuse(CodeTruncated, "ends inside the image data")
			}
			if err := l.startScan(body, in[pos:end]); err != nil {
				return nil, err
			}
			pos = end
			continue
		}
		if err := l.segment(marker, body, lim); err != nil {
			return nil, err
		}
	}
}

// scanEnd finds the marker that ends entropy-coded data beginning at pos, or -1.
func scanEnd(in []byte, pos int) int {
	for {
		i := bytes.IndexByte(in[pos:], 0xFF)
		if i < 0 || pos+i+1 >= len(in) {
			return -1
		}
		pos += i
		switch m := in[pos+1]; {
		case m == 0x00, m >= mRST0 && m <= mRST7:
			pos += 2
		case m == 0xFF:
			pos++
		default:
			return pos
		}
	}
}

// segment takes one segment that is not a scan.
func (l *jpegLayout) segment(marker byte, body []byte, lim wire.Limits) error {
	switch marker {
	case mSOF0, mSOF1, mSOF2:
		return l.frameHeader(marker, body, lim)
	case mDQT:
		return l.quantTables(body)
	case mDHT:
		return l.huffTables(body)
	case mDRI:
		if len(body) != 2 {
			return refuse(CodeCorrupt, "restart interval of %d bytes", len(body))
		}
		l.restart = int(binary.BigEndian.Uint16(body))
		return nil
	case mDNL:
		return refuse(CodeCoding, "number of lines after the fact (DNL)")
	case mSOF55:
		return refuse(CodeCoding, "JPEG-LS")
	case mDAC, 0xC3, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF:
		return refuse(CodeCoding, "arithmetic, lossless or hierarchical coding (%02X)", marker)
	}
	if marker >= mAPP0 && marker <= mAPP15 || marker == mCOM {
		l.metadata(marker, body)
		return nil
	}
	return refuse(CodeCorrupt, "unknown segment %02X", marker)
}

// finish settles what can only be known once the end of the image was seen.
func (l *jpegLayout) finish() error {
	if l.comps == nil || len(l.scans) == 0 {
		return refuse(CodeCorrupt, "no image data")
	}
	switch ids := l.comps; {
	case len(ids) == 1:
		l.model = modelGray
	case len(ids) == 4:
		l.model = modelCMYK
	case !l.sawJFIF && l.adobe == 0,
		!l.sawJFIF && l.adobe < 0 && ids[0].id == 'R' && ids[1].id == 'G' && ids[2].id == 'B':
		// The rules of libjpeg and image/jpeg: JFIF means YCbCr; then Adobe's word; then the names.
		l.model = modelRGB
	default:
		l.model = modelYCC
	}
	if l.model == modelRGB {
		l.adobeSize = max(0, l.adobeSize-len(canonicalAdobe))
	}
	l.removed.add("Adobe", l.adobeSize)
	if icc, err := l.icc.profile(); err == nil && bytes.Equal(icc, canonicalDisplayP3) {
		l.p3 = true
	} else {
		l.removed.add("ICC profile", l.iccSize)
	}
	for slot, t := range l.quant {
		if t != nil && !l.quantUsed[slot] {
			l.removed.add("unused tables", len(t))
		}
	}
	for _, h := range l.huffAll {
		if !h.used {
			l.removed.add("unused tables", 17+len(h.values))
		}
	}
	return nil
}
