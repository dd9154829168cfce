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
)

// maxScans bounds the scans of one image. Cameras and editors write 1 to 12.
const maxScans = 100

// maxTables bounds its Huffman tables: each scan has at most a few of its own.
const maxTables = 4 * maxScans

// colourModel is how a JPEG's components are to be read.
type colourModel byte

const (
	modelGray colourModel = 1
	modelYCC  colourModel = 3
	modelRGB  colourModel = 4
)

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

	exif      []byte // first EXIF block, beginning with the TIFF header
	icc       iccChunks
	xmpGPS    bool
	removed   removals
	sawJFIF   bool
	adobe     int // Adobe transform byte; -1 when absent
	adobeSize int // bytes of Adobe segments

	// State while parsing: what the next scan will read with.
	huffDC, huffAC [4]*huffSpec
	huffAll        []*huffSpec
	inputSize      int
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
func parseJPEG(in []byte, lim wire.Limits) (*jpegLayout, error) {
	if !IsJPEG(in) {
		return nil, refuse(CodeFormat, "not a JPEG")
	}
	l := &jpegLayout{adobe: -1, inputSize: len(in)}
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
		case marker == 0x00, marker >= mRST0 && marker <= mRST7:
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
	case mDAC, 0xC3, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF:
		return refuse(CodeCoding, "arithmetic, lossless or hierarchical coding (%02X)", marker)
	}
	if marker >= mAPP0 && marker <= mAPP15 || marker == mCOM {
		l.metadata(marker, body)
		return nil
	}
	return refuse(CodeCorrupt, "unknown segment %02X", marker)
}

func (l *jpegLayout) frameHeader(marker byte, body []byte, lim wire.Limits) error {
	if l.comps != nil {
		return refuse(CodeCorrupt, "more than one frame")
	}
	if len(body) < 6 {
		return refuse(CodeCorrupt, "short frame header")
	}
	if body[0] != 8 {
		return refuse(CodeCoding, "%d bits per sample", body[0])
	}
	l.sof = marker
	l.height = int(binary.BigEndian.Uint16(body[1:]))
	l.width = int(binary.BigEndian.Uint16(body[3:]))
	n := int(body[5])
	if len(body) != 6+3*n {
		return refuse(CodeCorrupt, "frame header of %d bytes for %d components", len(body), n)
	}
	switch {
	case l.width == 0:
		return refuse(CodeCorrupt, "no width")
	case l.height == 0:
		return refuse(CodeCoding, "number of lines after the fact (DNL)")
	case n == 4:
		return refuse(CodeColour, "CMYK")
	case n != 1 && n != 3:
		return refuse(CodeCoding, "%d components", n)
	}
	if err := checkSize(int64(l.width), int64(l.height), lim); err != nil {
		return err
	}
	l.comps = make([]component, n)
	for i := range l.comps {
		p := body[6+3*i:]
		c := component{id: p[0], h: p[1] >> 4, v: p[1] & 15, tq: p[2]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.tq > 3 {
			return refuse(CodeCorrupt, "component with sampling %dx%d, table %d", c.h, c.v, c.tq)
		}
		for _, o := range l.comps[:i] {
			if o.id == c.id {
				return refuse(CodeCorrupt, "two components with one name")
			}
		}
		l.comps[i] = c
	}
	if n == 1 {
		// With one component the sampling factors mean nothing (T.81 A.2.2).
		l.comps[0].h, l.comps[0].v = 1, 1
	} else if err := checkSampling(l.comps); err != nil {
		return err
	}
	return checkMemory(l, l.inputSize, false, lim)
}

// checkSize refuses bombs on the header alone.
func checkSize(w, h int64, lim wire.Limits) error {
	if w > lim.MaxSide || h > lim.MaxSide || w*h > lim.MaxPixels {
		return refuse(CodePixels, "%dx%d pixels", w, h)
	}
	return nil
}

// checkSampling admits 4:4:4, 4:4:0, 4:2:2, 4:2:0, 4:1:1 and 4:1:0: what cameras write and image/jpeg
// decodes.
func checkSampling(c []component) error {
	y, cb, cr := c[0], c[1], c[2]
	ok := cb.h == cr.h && cb.v == cr.v && y.h%cb.h == 0 && y.v%cb.v == 0 && y.h != 3 && y.v < 3
	if !ok {
		return refuse(CodeCoding, "sampling %dx%d, %dx%d, %dx%d", y.h, y.v, cb.h, cb.v, cr.h, cr.v)
	}
	return nil
}

// quantTables keeps the latest table of each slot. A table that changes between scans of the
// components that use it is legal (T.81 B.2.4.1) but written by nobody, and decoders disagree on it.
func (l *jpegLayout) quantTables(body []byte) error {
	for len(body) > 0 {
		size := 1 + 64*(1+int(body[0]>>4))
		slot := body[0] & 15
		if body[0]>>4 > 1 || slot > 3 || len(body) < size {
			return refuse(CodeCorrupt, "malformed quantisation table")
		}
		if l.quantUsed[slot] && !bytes.Equal(l.quant[slot], body[:size]) {
			return refuse(CodeCoding, "quantisation table changes inside the image")
		}
		if l.quant[slot] != nil {
			l.removed.add("unused tables", size)
		}
		l.quant[slot] = body[:size]
		body = body[size:]
	}
	return nil
}

func (l *jpegLayout) huffTables(body []byte) error {
	for len(body) > 0 {
		if len(body) < 17 {
			return refuse(CodeCorrupt, "malformed Huffman table")
		}
		n := 0
		for _, c := range body[1:17] {
			n += int(c)
		}
		class, slot := body[0]>>4, body[0]&15
		if class > 1 || slot > 3 || n > 256 || len(body) < 17+n {
			return refuse(CodeCorrupt, "malformed Huffman table")
		}
		h, err := newHuffSpec(class, body[1:17], body[17:17+n])
		if err != nil {
			return err
		}
		if l.huffAll = append(l.huffAll, h); len(l.huffAll) > maxTables {
			return refuse(CodeComplex, "more than %d Huffman tables", maxTables)
		}
		if class == 0 {
			l.huffDC[slot] = h
		} else {
			l.huffAC[slot] = h
		}
		body = body[17+n:]
	}
	return nil
}

// startScan takes a scan header (T.81 B.2.3) and checks it against the frame.
func (l *jpegLayout) startScan(body, data []byte) error {
	if l.comps == nil {
		return refuse(CodeCorrupt, "a scan before the frame header")
	}
	if len(l.scans) == maxScans {
		return refuse(CodeComplex, "more than %d scans", maxScans)
	}
	if len(body) < 1 || body[0] < 1 || int(body[0]) > len(l.comps) || len(body) != 4+2*int(body[0]) {
		return refuse(CodeCorrupt, "malformed scan header")
	}
	n := int(body[0])
	s := scan{ss: body[1+2*n], se: body[2+2*n], ah: body[3+2*n] >> 4, al: body[3+2*n] & 15,
		dc: l.huffDC, ac: l.huffAC, restart: l.restart, data: data}
	if err := s.checkSpectral(l.sof == mSOF2, n); err != nil {
		return err
	}
	for i := range n {
		sc := scanComponent{index: -1, td: body[2+2*i] >> 4, ta: body[2+2*i] & 15}
		for j, c := range l.comps {
			if c.id == body[1+2*i] {
				sc.index = j
			}
		}
		limit := byte(3)
		if l.sof == mSOF0 {
			limit = 1
		}
		// The components of a scan stand in the order of the frame (T.81 B.2.3), so none twice.
		if sc.index < 0 || sc.td > limit || sc.ta > limit || i > 0 && sc.index <= s.comps[i-1].index {
			return refuse(CodeCorrupt, "malformed scan header")
		}
		if s.usesDC() && s.dc[sc.td] == nil || s.usesAC() && s.ac[sc.ta] == nil {
			return refuse(CodeCorrupt, "a scan without its Huffman table")
		}
		if s.usesDC() {
			s.dc[sc.td].used = true
		}
		if s.usesAC() {
			s.ac[sc.ta].used = true
		}
		tq := l.comps[sc.index].tq
		if l.quant[tq] == nil {
			return refuse(CodeCorrupt, "a scan without its quantisation table")
		}
		l.quantUsed[tq] = true
		s.comps = append(s.comps, sc)
	}
	l.scans = append(l.scans, s)
	return nil
}

func (s *scan) checkSpectral(progressive bool, n int) error {
	ok := s.ss == 0 && s.se == 63 && s.ah == 0 && s.al == 0
	if progressive {
		ok = (s.ss == 0 && s.se == 0 || s.ss > 0 && s.ss <= s.se && s.se < 64 && n == 1) &&
			s.al <= 13 && (s.ah == 0 || s.ah == s.al+1)
	}
	if !ok {
		return refuse(CodeCorrupt, "scan of coefficients %d..%d, bits %d..%d", s.ss, s.se, s.ah, s.al)
	}
	return nil
}

// usesDC and usesAC say which kinds of Huffman table the scan reads with.
func (s *scan) usesDC() bool { return s.ss == 0 && s.ah == 0 }
func (s *scan) usesAC() bool { return s.se > 0 }

// finish settles what can only be known once the end of the image was seen.
func (l *jpegLayout) finish() error {
	if l.comps == nil || len(l.scans) == 0 {
		return refuse(CodeCorrupt, "no image data")
	}
	switch ids := l.comps; {
	case len(ids) == 1:
		l.model = modelGray
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
