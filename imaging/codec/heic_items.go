package codec

import (
	"bytes"
	"math"
)

// Bounds of the items of one file. 80 megapixels in tiles of 256×256 are 1300 items.
const (
	maxItems       = 4096
	maxProperties  = 1024
	maxAssociation = 64
	maxReferences  = 8192
	maxExtents     = 8192
)

// span is a part of the file.
type span struct{ from, to int }

// heifItem is one item of the meta box (ISO/IEC 14496-12, 8.11).
type heifItem struct {
	id        uint32
	kind      string // four characters
	mime      string // of a mime item
	named     int    // bytes of its name and what else describes it, which is free text
	protected bool
	located   bool
	method    int // construction method of its data
	external  bool
	extents   []extent
	props     []association
}

// extent is a part of an item's data, in the coordinates of its construction method.
type extent struct{ at, size uint64 }

// association ties an item to a property; index counts from 1, as in the file.
type association struct {
	index     int
	essential bool
}

type heifRef struct {
	kind string
	from uint32
	to   []uint32
}

// heif is the structure of a HEIF file (ISO/IEC 23008-12) before any judgement on it.
type heif struct {
	in      []byte
	primary uint32
	items   []*heifItem
	byID    map[uint32]*heifItem
	props   []box
	refs    []heifRef
	idat    *box
	mdats   []span // their bodies
	removed removals
	extents int
}

var (
	// Brands of still pictures and sequences coded with HEVC, and those that leave the coding open
	// (ISO/IEC 23008-12 clause 10 and annex B; ISO/IEC 23000-22).
	heifBrand = hasBrand("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "mif2", "msf1", "miaf")
	avifBrand = hasBrand("avif", "avis")
)

// IsHEIC reports whether data begins as a HEIF file does that is not AVIF.
func IsHEIC(data []byte) bool { return heifBrand(data) && !avifBrand(data) }

// parseHEIF reads the boxes of a file. Boxes may stand in any order; those that say something about
// the picture must be there once.
func parseHEIF(in []byte) (*heif, error) {
	h := &heif{in: in, byID: map[uint32]*heifItem{}}
	r := &boxReader{in: in, left: maxBoxes}
	var meta *box
	for at := 0; at < len(in); {
		b, ok := r.next(at, len(in), true)
		if !ok {
			if meta == nil || len(in)-at >= 8 && topLevel[b.kind] {
				return nil, refuse(CodeTruncated, "ends inside a box")
			}
			h.removed.add("trailer", len(in)-at)
			break
		}
		if r.left--; r.left < 0 {
			return nil, refuse(CodeComplex, "more than %d boxes", maxBoxes)
		}
		switch {
		case at == 0 && b.kind == "ftyp":
			if len(b.body) > 4*maxBrands {
				return nil, refuse(CodeCorrupt, "file type box of %d bytes", len(b.body))
			}
		case at == 0:
			return nil, refuse(CodeFormat, "not a HEIF file")
		case b.kind == "ftyp", b.kind == "meta" && meta != nil:
			return nil, refuse(CodeCorrupt, "two boxes %q", b.kind)
		case b.kind == "meta":
			if b.end-b.start > maxMeta {
				return nil, refuse(CodeComplex, "meta box of %d bytes", b.end-b.start)
			}
			meta = &b
		case b.kind == "mdat":
			h.mdats = append(h.mdats, span{b.end - len(b.body), b.end})
		default:
			h.removed.add(boxKind(b.kind), b.end-b.start)
		}
		at = b.end
	}
	if meta == nil {
		return nil, refuse(CodeCoding, "no still picture")
	}
	return h, h.meta(r, *meta)
}

// topLevel are boxes that, cut off, mean that the file was.
var topLevel = map[string]bool{"ftyp": true, "meta": true, "mdat": true, "moov": true, "free": true, "skip": true, "uuid": true, "mpvd": true}

// boxKind names a box that is left out.
func boxKind(kind string) string {
	switch kind {
	case "free", "skip", "wide":
		return "free space"
	case "uuid":
		return "UUID boxes"
	case "udta":
		return "user data"
	case "moov", "moof", "mfra", "sidx", "mpvd":
		return "video"
	}
	return "unknown boxes"
}

// meta reads the meta box.
func (h *heif) meta(r *boxReader, meta box) error {
	boxes, err := r.inside(meta, 4)
	if err != nil {
		return err
	}
	once := map[string]*box{}
	for _, b := range boxes {
		switch b.kind {
		case "hdlr", "pitm", "iinf", "iloc", "iprp", "iref", "idat", "dinf", "grpl", "ipro":
			if once[b.kind] != nil {
				return refuse(CodeCorrupt, "two boxes %q", b.kind)
			}
			once[b.kind] = &b
		default:
			h.removed.add(boxKind(b.kind), b.end-b.start)
		}
	}
	hdlr := once["hdlr"]
	if hdlr == nil || len(hdlr.body) < 24 || string(hdlr.body[8:12]) != "pict" {
		return refuse(CodeCoding, "no still picture")
	}
	h.removed.add("user data", len(bytes.TrimRight(hdlr.body[24:], "\x00")))
	h.idat = once["idat"]
	for _, step := range []struct {
		kind string
		read func(*boxReader, box) error
	}{{"iinf", h.itemInfo}, {"pitm", h.primaryItem}, {"iloc", h.locations}, {"iprp", h.properties}, {"iref", h.references}} {
		b := once[step.kind]
		if b == nil {
			if step.kind == "iref" {
				continue // a picture of one piece needs none
			}
			return refuse(CodeCorrupt, "no box %q", step.kind)
		}
		if err := step.read(r, *b); err != nil {
			return err
		}
	}
	return nil
}

func (h *heif) primaryItem(_ *boxReader, b box) error {
	c := cursor{p: b.body}
	v, _ := c.full()
	if h.primary = c.id(v > 0); c.bad || v > 1 || h.byID[h.primary] == nil {
		return refuse(CodeCorrupt, "no primary item")
	}
	return nil
}

// itemInfo reads the list of items (8.11.6).
func (h *heif) itemInfo(r *boxReader, b box) error {
	c := cursor{p: b.body}
	v, _ := c.full()
	skip := 6
	if v > 0 {
		skip = 8
	}
	n := c.id(v > 0)
	entries, err := r.inside(b, skip)
	if err != nil || c.bad || v > 1 || int64(n) != int64(len(entries)) {
		return refuse(CodeCorrupt, "list of items is malformed")
	}
	if n > maxItems {
		return refuse(CodeComplex, "%d items", n)
	}
	for _, e := range entries {
		c := cursor{p: e.body}
		v, _ := c.full()
		if e.kind != "infe" || v != 2 && v != 3 {
			return refuse(CodeCoding, "items without a type")
		}
		it := &heifItem{id: c.id(v == 3)}
		it.protected = c.u16() != 0
		it.kind = string(c.take(4))
		it.named = max(len(c.p)-1, 0)
		c.text()
		if it.kind == "mime" {
			it.mime = c.text()
		}
		if c.bad || h.byID[it.id] != nil {
			return refuse(CodeCorrupt, "list of items is malformed")
		}
		h.byID[it.id] = it
		h.items = append(h.items, it)
	}
	return nil
}

// locations reads where the data of items lies (8.11.3).
func (h *heif) locations(_ *boxReader, b box) error {
	c := cursor{p: b.body}
	v, _ := c.full()
	sizes := c.u16()
	offSize, lenSize, baseSize, indexSize := sizes>>12, sizes>>8&15, sizes>>4&15, sizes&15
	if v > 2 {
		c.bad = true
	}
	if v == 0 {
		indexSize = 0
	}
	n := c.id(v == 2)
	if n > maxItems {
		return refuse(CodeComplex, "%d item locations", n)
	}
	for range n {
		it := h.byID[c.id(v == 2)]
		method := 0
		if v > 0 {
			method = c.u16() & 15
		}
		external := c.u16() != 0
		base := c.sized(baseSize)
		count := c.u16()
		if h.extents += count; h.extents > maxExtents {
			return refuse(CodeComplex, "more than %d extents", maxExtents)
		}
		if c.bad || it == nil || it.located {
			return refuse(CodeCorrupt, "item locations are malformed")
		}
		it.located, it.method, it.external = true, method, external
		for range count {
			c.sized(indexSize)
			off, size := c.sized(offSize), c.sized(lenSize)
			if c.bad || base > math.MaxInt64 || off > math.MaxInt64-base {
				return refuse(CodeCorrupt, "item locations are malformed")
			}
			it.extents = append(it.extents, extent{base + off, size})
		}
	}
	if c.bad || len(c.p) != 0 {
		return refuse(CodeCorrupt, "item locations are malformed")
	}
	return nil
}

// properties reads the property container and the associations (ISO/IEC 23008-12, 9.3).
func (h *heif) properties(r *boxReader, b box) error {
	boxes, err := r.inside(b, 0)
	if err != nil {
		return err
	}
	var ipco *box
	seen := map[uint32]bool{}
	for _, b := range boxes {
		switch {
		case b.kind == "ipco" && ipco == nil:
			ipco = &b
			if h.props, err = r.inside(b, 0); err != nil {
				return err
			}
			if len(h.props) > maxProperties {
				return refuse(CodeComplex, "%d properties", len(h.props))
			}
		case b.kind == "ipma":
			if err := h.associations(b, seen); err != nil {
				return err
			}
		case b.kind == "ipco":
			return refuse(CodeCorrupt, "two boxes %q", b.kind)
		default:
			h.removed.add(boxKind(b.kind), b.end-b.start)
		}
	}
	if ipco == nil {
		return refuse(CodeCorrupt, "no properties")
	}
	for _, it := range h.items {
		for _, a := range it.props {
			if a.index > len(h.props) {
				return refuse(CodeCorrupt, "a property that is not there")
			}
		}
	}
	return nil
}

func (h *heif) associations(b box, seen map[uint32]bool) error {
	c := cursor{p: b.body}
	v, flags := c.full()
	n := c.u32()
	if n > maxItems {
		return refuse(CodeComplex, "associations of %d items", n)
	}
	for range n {
		id := c.id(v > 0)
		it := h.byID[id]
		count := c.u8()
		if c.bad || v > 1 || it == nil || seen[id] || count > maxAssociation {
			return refuse(CodeCorrupt, "property associations are malformed")
		}
		seen[id] = true
		for range count {
			var a association
			if flags&1 != 0 {
				x := c.u16()
				a = association{x & 0x7FFF, x&0x8000 != 0}
			} else {
				x := c.u8()
				a = association{x & 0x7F, x&0x80 != 0}
			}
			if a.index != 0 { // 0 means none
				it.props = append(it.props, a)
			}
		}
	}
	if c.bad || len(c.p) != 0 {
		return refuse(CodeCorrupt, "property associations are malformed")
	}
	return nil
}

// references reads the item reference box (ISO/IEC 14496-12, 8.11.12).
func (h *heif) references(r *boxReader, b box) error {
	c := cursor{p: b.body}
	v, _ := c.full()
	boxes, err := r.inside(b, 4)
	if err != nil || c.bad || v > 1 {
		return refuse(CodeCorrupt, "item references are malformed")
	}
	total := 0
	for _, b := range boxes {
		c := cursor{p: b.body}
		ref := heifRef{kind: b.kind, from: c.id(v > 0)}
		n := c.u16()
		if total += n; total > maxReferences {
			return refuse(CodeComplex, "more than %d item references", maxReferences)
		}
		for range n {
			ref.to = append(ref.to, c.id(v > 0))
		}
		if c.bad || len(c.p) != 0 {
			return refuse(CodeCorrupt, "item references are malformed")
		}
		h.refs = append(h.refs, ref)
	}
	return nil
}

// refsFrom returns what an item refers to in one kind of reference, which it may do once.
func (h *heif) refsFrom(id uint32, kind string) ([]uint32, error) {
	var out []uint32
	for _, r := range h.refs {
		if r.from == id && r.kind == kind {
			if out != nil {
				return nil, refuse(CodeCorrupt, "two references %q of one item", kind)
			}
			out = r.to
		}
	}
	return out, nil
}

// property returns the properties of one kind of an item, in the order of their association.
func (h *heif) property(it *heifItem, kind string) []box {
	var out []box
	for _, a := range it.props {
		if p := h.props[a.index-1]; p.kind == kind {
			out = append(out, p)
		}
	}
	return out
}
