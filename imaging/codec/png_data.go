package codec

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
)

// deflateLevel is what image data is compressed with. On a 12 megapixel photo level 6 takes ten times
// as long as 2 and saves a tenth; level 1 is no faster.
const deflateLevel = 2

// maxBeyond bounds how much a stream may hold behind its last row: that has to be inflated as well, to
// find the stream's end.
const maxBeyond = 16 << 20

// adam7 are the passes of an interlaced image: the first column and row, and the steps (PNG 8.2).
var adam7 = [7][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}

// passes returns width and height of each part that is filtered by itself.
func (h pngHeader) passes() [][2]int {
	if !h.interlaced {
		return [][2]int{{h.width, h.height}}
	}
	var out [][2]int
	for _, p := range adam7 {
		w, rows := (h.width-p[0]+p[2]-1)/p[2], (h.height-p[1]+p[3]-1)/p[3]
		if w > 0 && rows > 0 {
			out = append(out, [2]int{w, rows})
		}
	}
	return out
}

// rawBytes is the size of the inflated image data.
func (h pngHeader) rawBytes() (n int64) {
	for _, p := range h.passes() {
		n += int64(p[1]) * int64(1+h.rowBytes(p[0]))
	}
	return n
}

// chained reads the bodies of IDAT chunks as one stream, not a byte further than asked.
type chained [][]byte

func (c *chained) skipEmpty() bool {
	for len(*c) > 0 && len((*c)[0]) == 0 {
		*c = (*c)[1:]
	}
	return len(*c) > 0
}

func (c *chained) ReadByte() (byte, error) {
	if !c.skipEmpty() {
		return 0, io.EOF
	}
	b := (*c)[0][0]
	(*c)[0] = (*c)[0][1:]
	return b, nil
}

func (c *chained) Read(p []byte) (int, error) {
	if !c.skipEmpty() {
		return 0, io.EOF
	}
	n := copy(p, (*c)[0])
	(*c)[0] = (*c)[0][n:]
	return n, nil
}

// walk inflates the image data, checks that it is the image row by row, and deflates it again into
// dst: the rows come out as they were filtered, and what the old stream held beside them (stored
// blocks, unused codes, rows beyond the last, bytes behind its end) does not. It also finds the
// palette's entries that are used.
func (l *pngLayout) walk(dst io.Writer) error {
	in := chained(append([][]byte(nil), l.data...))
	z, err := zlib.NewReader(&in)
	if err != nil {
		return dataError(err)
	}
	out, err := zlib.NewWriterLevel(dst, deflateLevel)
	if err != nil {
		return err
	}
	for _, p := range l.passes() {
		if err := l.pass(z, out, p[0], p[1]); err != nil {
			return err
		}
	}
	if l.kind == pngPalette {
		l.tidyPalette()
	} else if l.trns != nil && !l.keyed {
		l.removed.add("unused tables", len(l.trns)+12) // a colour that no pixel has would be free text
		l.trns = nil
	}
	left := pieces(in).size()
	beyond, err := io.Copy(io.Discard, io.LimitReader(z, maxBeyond+1))
	switch {
	case err != nil:
		return dataError(err)
	case beyond > maxBeyond:
		return refuse(CodeComplex, "image data of far more rows than the image")
	case beyond > 0:
		// How much of the stream coded them can only be estimated: the reader reads ahead.
		l.removed.add("after image data", max(1, left))
	default:
		l.removed.add("after image data", pieces(in).size())
	}
	return out.Close()
}

// pass takes the rows of one pass.
func (l *pngLayout) pass(z io.Reader, out io.Writer, w, h int) error {
	n := l.rowBytes(w)
	row := make([]byte, 1+n)
	var t *tidier
	if l.depth < 8 || l.kind == pngPalette || l.trns != nil {
		t = &tidier{l: l, width: w, in: make([]byte, n), prevIn: make([]byte, n), out: make([]byte, n), prevOut: make([]byte, n)}
	}
	for range h {
		if _, err := io.ReadFull(z, row); err != nil {
			return dataError(err)
		}
		if row[0] > 4 {
			return refuse(CodeCorrupt, "a row of no known filter")
		}
		if t != nil {
			if err := t.row(row); err != nil {
				return err
			}
		}
		if _, err := out.Write(row); err != nil {
			return err
		}
	}
	return nil
}

// tidier looks at the samples of rows that do not fill whole bytes, that name colours of a palette, or that may have
// the colour that is transparent.
// Bits behind the last pixel of a row are free text, and filters spread them over the rows below: they
// become zero, and the row is filtered again as it was.
type tidier struct {
	l            *pngLayout
	width        int
	in, prevIn   []byte // samples as the upload has them
	out, prevOut []byte // as they are written
}

func (t *tidier) row(row []byte) error {
	bpp := t.l.pixelBytes()
	copy(t.in, row[1:])
	unfilter(row[0], t.in, t.prevIn, bpp)
	copy(t.out, t.in)
	if used := t.width * int(t.l.depth) % 8; used != 0 {
		t.out[len(t.out)-1] &= 0xFF << (8 - used)
	}
	if !t.l.keyed && t.l.trns != nil && t.l.kind != pngPalette {
		t.l.keyed = t.l.names(t.out, t.width)
	}
	if t.l.kind == pngPalette {
		if err := t.l.mark(t.out, t.width); err != nil {
			return err
		}
	}
	filter(row[0], row[1:], t.out, t.prevOut, bpp)
	t.in, t.prevIn, t.out, t.prevOut = t.prevIn, t.in, t.prevOut, t.out
	return nil
}

// mark notes which colours a row names.
func (l *pngLayout) mark(row []byte, w int) error {
	per := 8 / int(l.depth)
	colours, mask := len(l.palette)/3, byte(1<<l.depth-1)
	for x := range w {
		i := row[x/per] >> (8 - int(l.depth)*(1+x%per)) & mask
		if int(i) >= colours {
			return refuse(CodeCorrupt, "a colour that the palette does not have")
		}
		l.used[i] = true
	}
	return nil
}

// names reports whether a pixel of a row has the colour that is transparent.
func (l *pngLayout) names(row []byte, w int) bool {
	if l.depth < 8 {
		per, mask := 8/int(l.depth), byte(1<<l.depth-1)
		for x := range w {
			if row[x/per]>>(8-int(l.depth)*(1+x%per))&mask == l.trns[1] {
				return true
			}
		}
		return false
	}
	key := l.trns
	if l.depth == 8 {
		key = nil
		for i := 1; i < len(l.trns); i += 2 {
			key = append(key, l.trns[i])
		}
	}
	for ; len(row) > 0; row = row[len(key):] {
		if bytes.HasPrefix(row, key) {
			return true
		}
	}
	return false
}

// dataError tells an early end from damage.
func dataError(err error) error {
	var r *Refusal
	var bad flate.CorruptInputError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(CodeTruncated, "image data ends too early")
	case errors.As(err, &r):
		return err
	case errors.Is(err, zlib.ErrDictionary):
		return refuse(CodeCorrupt, "image data with a preset dictionary")
	case errors.As(err, &bad), errors.Is(err, zlib.ErrChecksum), errors.Is(err, zlib.ErrHeader):
		return refuse(CodeCorrupt, "image data cannot be inflated")
	}
	return err
}

// same is a writer that fails unless it is given exactly want.
type same struct{ want []byte }

var errDiffers = errors.New("differs")

func (s *same) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(s.want, p) {
		return 0, errDiffers
	}
	s.want = s.want[len(p):]
	return len(p), nil
}
