package codec

import (
	"encoding/binary"
	"slices"
	"strings"

	"photovault/imaging/internal/wire"
)

// maxTiles bounds the pieces of one picture: 80 megapixels in tiles of 256×256, and some.
const maxTiles = 2048

// heicLayout is what a HEIC photo consists of once everything that is not needed to show it is left
// out: coded pictures, and how to put them together and turn them.
type heicLayout struct {
	h             *heif
	width, height int // of the grid, before clap, irot and imir
	tileW, tileH  int
	cols, rows    int
	grid          bool
	tiles         []heicTile
	cells         []int // which tile each cell of the grid shows, row by row
	configs       []*hevcConfig
	params        *paramSets // of the first tile; the others have the same picture format
	crop          *clap
	turns         []turning // in the order in which they apply
	colour        heicColour
	tiff          []byte // EXIF, beginning with the TIFF header
	exifBad       bool
	xmpGPS        bool
	removed       removals
	loose         bool // something cannot be accounted for: the picture is coded anew
}

// heicTile is one coded picture.
type heicTile struct {
	item   *heifItem
	config int      // into heicLayout.configs
	raw    []byte   // the item's data
	slices [][]byte // its slices; set by open
}

// turning is one of the two transformations that lose nothing (ISO/IEC 23008-12, 6.5.10 and 6.5.12).
type turning struct {
	kind  string // irot, imir
	value byte   // quarter turns against the clock; 0 top and bottom change places, 1 left and right
}

// hides reports that what is cut off of a coded picture can be more than padding: at its left or upper edge, where
// no encoder pads, or as much as a coding tree unit (at most 64×64 samples, ITU-T H.265 7.4.3.2.1). Whoever cuts
// a face out of a photo in this way leaves it in the file.
func hides(left, across, top, down int) bool {
	return left != 0 || top != 0 || across >= 64 || down >= 64
}

// clap is a clean aperture (ISO/IEC 14496-12, 12.1.4) that falls on whole pixels.
type clap struct{ x, y, w, h int }

// parseHEIC judges a HEIF file: a still picture of one HEVC-coded item, or of a grid of them.
func parseHEIC(in []byte, lim wire.Limits) (*heicLayout, error) {
	h, err := parseHEIF(in)
	if err != nil {
		return nil, err
	}
	l := &heicLayout{h: h, removed: h.removed}
	it := h.byID[h.primary]
	switch it.kind {
	case "hvc1":
		err = l.single(it)
	case "grid":
		err = l.gridOf(it)
	case "av01":
		return nil, refuse(CodeAVIF, "coded as AVIF")
	default:
		return nil, refuse(CodeCoding, "a picture of kind %q", it.kind)
	}
	if err != nil {
		return nil, err
	}
	for _, ref := range h.refs {
		if ref.kind == "auxl" && slices.Contains(ref.to, it.id) && strings.HasSuffix(h.auxiliary(ref.from), "alpha") {
			return nil, refuse(CodeCoding, "a picture with transparency")
		}
	}
	if err := l.checkSize(lim); err != nil {
		return nil, err
	}
	if l.colour, err = l.readColour(it); err != nil {
		return nil, err
	}
	if err := l.transformations(it); err != nil {
		return nil, err
	}
	l.readMetadata()
	return l, l.open(it)
}

// auxiliary returns what an auxiliary picture says it is, in the last part of its name.
func (h *heif) auxiliary(id uint32) string {
	it := h.byID[id]
	if it == nil {
		return ""
	}
	for _, p := range h.property(it, "auxC") {
		if len(p.body) > 4 {
			c := cursor{p: p.body[4:]}
			switch s := c.text(); s {
			case "urn:mpeg:hevc:2015:auxid:1":
				return "alpha"
			case "urn:mpeg:hevc:2015:auxid:2":
				return "depth"
			default:
				return s
			}
		}
	}
	return ""
}

// single takes a picture of one item.
func (l *heicLayout) single(it *heifItem) error {
	w, h, err := l.h.itemSize(it)
	if err != nil {
		return err
	}
	l.width, l.height, l.cols, l.rows = w, h, 1, 1
	return l.addTile(it)
}

// gridOf takes a picture of a grid of items (ISO/IEC 23008-12, 6.6.2.3).
func (l *heicLayout) gridOf(it *heifItem) error {
	data, _, err := l.h.data(it)
	if err != nil {
		return err
	}
	c := cursor{p: data}
	version, flags := c.u8(), c.u8()
	l.grid, l.rows, l.cols = true, c.u8()+1, c.u8()+1
	if flags&1 != 0 {
		l.width, l.height = int(c.u32()), int(c.u32())
	} else {
		l.width, l.height = c.u16(), c.u16()
	}
	w, h, err := l.h.itemSize(it)
	if err != nil {
		return err
	}
	if c.bad || version != 0 || w != l.width || h != l.height {
		return refuse(CodeCorrupt, "grid is malformed")
	}
	ids, err := l.h.refsFrom(it.id, "dimg")
	if err != nil {
		return err
	}
	if len(ids) != l.cols*l.rows {
		return refuse(CodeCorrupt, "a grid of %d×%d with %d tiles", l.cols, l.rows, len(ids))
	}
	if len(ids) > maxTiles {
		return refuse(CodeComplex, "%d tiles", len(ids))
	}
	at := map[uint32]int{}
	for _, id := range ids {
		i, known := at[id]
		if !known {
			tile := l.h.byID[id]
			if tile == nil {
				return refuse(CodeCorrupt, "a tile that is not there")
			}
			if tile.kind != "hvc1" {
				return refuse(CodeCoding, "a tile of kind %q", tile.kind)
			}
			for _, a := range tile.props {
				if k := l.h.props[a.index-1].kind; k == "irot" || k == "imir" || k == "clap" {
					return refuse(CodeCoding, "a tile that is turned or cut")
				}
			}
			i = len(l.tiles)
			at[id] = i
			if err := l.addTile(tile); err != nil {
				return err
			}
		}
		l.cells = append(l.cells, i)
	}
	// Each tile shows something, and together they show all.
	if l.cols*l.tileW < l.width || l.rows*l.tileH < l.height || (l.cols-1)*l.tileW >= l.width || (l.rows-1)*l.tileH >= l.height {
		return refuse(CodeCorrupt, "tiles do not fit their grid")
	}
	return nil
}

// addTile takes one coded item and reads its parameters.
func (l *heicLayout) addTile(it *heifItem) error {
	configs := l.h.property(it, "hvcC")
	if len(configs) != 1 {
		return refuse(CodeCorrupt, "a coded picture without its parameters")
	}
	for _, a := range it.props {
		if p := l.h.props[a.index-1]; a.essential && !knownProperty[p.kind] {
			return refuse(CodeCoding, "a property %q that cannot be left out", p.kind)
		}
	}
	i := slices.IndexFunc(l.configs, func(c *hevcConfig) bool { return &c.raw[0] == &configs[0].body[0] })
	if i < 0 {
		c, err := parseConfig(configs[0].body)
		if err != nil {
			return err
		}
		l.removed.add("SEI", c.sei)
		l.removed.add("unused coded data", c.unused)
		l.loose = l.loose || c.params.loose
		i = len(l.configs)
		l.configs = append(l.configs, c)
	}
	w, h, err := l.h.itemSize(it)
	if err != nil {
		return err
	}
	p := &l.configs[i].params
	if w != p.width || h != p.height {
		return refuse(CodeCoding, "a coded picture of another size than it says")
	}
	if l.params == nil {
		l.params, l.tileW, l.tileH = p, w, h
	}
	f := l.params
	if w != l.tileW || h != l.tileH || p.chroma != f.chroma || p.bits != f.bits || p.chromaBits != f.chromaBits || p.colour != f.colour {
		return refuse(CodeCoding, "tiles of different kinds")
	}
	l.tiles = append(l.tiles, heicTile{item: it, config: i})
	return nil
}

// knownProperties are those whose meaning is carried over, or that mean nothing without their item.
var knownProperty = map[string]bool{"hvcC": true, "ispe": true, "pixi": true, "colr": true, "irot": true, "imir": true, "clap": true, "pasp": true}

// checkSize judges the size of a picture before anything is decoded.
func (l *heicLayout) checkSize(lim wire.Limits) error {
	w, h := int64(l.width), int64(l.height)
	if w > lim.MaxSide || h > lim.MaxSide || w*h > lim.MaxPixels {
		return refuse(CodePixels, "%d×%d pixels", w, h)
	}
	// What is decoded can be more than what is shown: the tiles at the right and lower edges.
	if coded := int64(len(l.tiles)) * int64(l.params.codedWidth) * int64(l.params.codedHeight); coded/2 > lim.MaxPixels {
		return refuse(CodePixels, "tiles of %d pixels", coded)
	}
	if p := l.params; p.bits != p.chromaBits && p.chroma != 0 || p.bits != 8 && p.bits != 10 {
		return refuse(CodeCoding, "samples of %d and %d bits", p.bits, p.chromaBits)
	}
	return nil
}

// transformations reads what is done to the picture before it is shown. Cutting comes first and each
// happens at most once, as MIAF (ISO/IEC 23000-22, 7.3.6.7) has it.
func (l *heicLayout) transformations(it *heifItem) error {
	seen := map[string]bool{}
	for _, a := range it.props {
		p := l.h.props[a.index-1]
		if a.essential && !knownProperty[p.kind] {
			return refuse(CodeCoding, "a property %q that cannot be left out", p.kind)
		}
		c := cursor{p: p.body}
		switch p.kind {
		case "irot", "imir":
			v := byte(c.u8())
			if c.bad || seen[p.kind] {
				return refuse(CodeCorrupt, "%q is malformed", p.kind)
			}
			if v &= 3; p.kind == "imir" {
				v &= 1
			}
			if p.kind == "imir" || v != 0 {
				l.turns = append(l.turns, turning{p.kind, v})
			}
		case "clap":
			if seen["clap"] || seen["irot"] || seen["imir"] {
				return refuse(CodeCoding, "a picture cut more than once, or after it was turned")
			}
			var err error
			if l.crop, err = readClap(&c, l.width, l.height); err != nil {
				return err
			}
			l.loose = l.loose || l.crop != nil && hides(l.crop.x, l.width-l.crop.w, l.crop.y, l.height-l.crop.h)
		case "pasp":
			if h, v := c.u32(), c.u32(); c.bad || h != v {
				return refuse(CodeCoding, "pixels that are not square")
			}
		}
		seen[p.kind] = true
	}
	return nil
}

// readClap reads a clean aperture: width, height and the offset of its centre from the picture's, as
// fractions. One that is the whole picture is none.
func readClap(c *cursor, width, height int) (*clap, error) {
	var n, d [4]int64
	for i := range n {
		n[i], d[i] = int64(int32(c.u32())), int64(int32(c.u32()))
	}
	if c.bad || slices.ContainsFunc(d[:], func(v int64) bool { return v <= 0 }) {
		return nil, refuse(CodeCorrupt, "clean aperture is malformed")
	}
	var out [4]int
	for i, full := range []int64{int64(width), int64(height)} {
		size := n[i] / d[i]
		// The left edge is centre + offset − (size−1)/2 = (full−size)/2 + offset; over 2·d.
		edge := (full-size)*d[i+2] + 2*n[i+2]
		if n[i]%d[i] != 0 || edge%(2*d[i+2]) != 0 {
			return nil, refuse(CodeCoding, "clean aperture between pixels")
		}
		edge /= 2 * d[i+2]
		if size < 1 || edge < 0 || edge+size > full {
			return nil, refuse(CodeCorrupt, "clean aperture outside the picture")
		}
		out[i], out[i+2] = int(edge), int(size)
	}
	if out[2] == width && out[3] == height {
		return nil, nil
	}
	return &clap{out[0], out[1], out[2], out[3]}, nil
}

// body writes the clean aperture back.
func (c *clap) body(width, height int) []byte {
	var b []byte
	pair := func(n, d int) {
		b = binary.BigEndian.AppendUint32(b, uint32(int32(n)))
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	pair(c.w, 1)
	pair(c.h, 1)
	pair(2*c.x+c.w-width, 2)
	pair(2*c.y+c.h-height, 2)
	return b
}

// itemSize reads the size of an item (ISO/IEC 23008-12, 6.5.3).
func (h *heif) itemSize(it *heifItem) (width, height int, err error) {
	p := h.property(it, "ispe")
	if len(p) != 1 {
		return 0, 0, refuse(CodeCorrupt, "a picture without one size")
	}
	c := cursor{p: p[0].body}
	c.full()
	w, ht := c.u32(), c.u32()
	if c.bad || w < 1 || ht < 1 {
		return 0, 0, refuse(CodeCorrupt, "a picture without a size")
	}
	if w > maxHEVCSide*4 || ht > maxHEVCSide*4 {
		return 0, 0, refuse(CodePixels, "%d×%d pixels", w, ht)
	}
	return int(w), int(ht), nil
}

// orientation is the turns together as an EXIF orientation.
func (l *heicLayout) orientation() int {
	o := 1
	for _, t := range l.turns {
		switch {
		case t.kind == "imir" && t.value == 0:
			o = mirrored[o]
		case t.kind == "imir":
			o = mirrored[turned[turned[o]]]
		default:
			for range t.value {
				o = turned[o]
			}
		}
	}
	return o
}

// What an orientation becomes by a quarter turn against the clock, and by changing top and bottom.
var (
	turned   = [9]int{1: 8, 8: 3, 3: 6, 6: 1, 2: 5, 5: 4, 4: 7, 7: 2}
	mirrored = [9]int{1: 4, 4: 1, 2: 3, 3: 2, 5: 8, 8: 5, 6: 7, 7: 6}
)
