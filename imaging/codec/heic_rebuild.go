package codec

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// heicPlan is all that a HEIC file written here consists of: coded pictures, how they are put
// together, and how to read their colours.
type heicPlan struct {
	configs       [][]byte // decoder configuration records
	tiles         []planTile
	cells         []int // of a grid: which tile each cell shows; nil for a single picture
	cols, rows    int
	width, height int // of the whole
	tileW, tileH  int
	deep          bool   // 10 bits
	depths        []byte // bits of a sample, per channel
	colours       [][]byte
	crop          []byte // body of a clean aperture
	turns         []turning
}

type planTile struct {
	config int
	data   pieces
}

// plan is the photo without anything that is not its picture.
func (l *heicLayout) plan() *heicPlan {
	p := &heicPlan{cols: l.cols, rows: l.rows, width: l.width, height: l.height, tileW: l.tileW, tileH: l.tileH,
		deep: l.params.bits > 8, colours: l.colour.boxes(), turns: l.turns}
	p.depths = []byte{byte(l.params.bits), byte(l.params.bits), byte(l.params.bits)}
	if l.params.chroma == 0 {
		p.depths = p.depths[:1]
	}
	if l.grid {
		p.cells = l.cells
	}
	if l.crop != nil {
		p.crop = l.crop.body(l.width, l.height)
	}
	at := make([]int, len(l.configs))
	for i, c := range l.configs {
		r := c.record()
		if at[i] = slices.IndexFunc(p.configs, func(o []byte) bool { return bytes.Equal(o, r) }); at[i] < 0 {
			at[i] = len(p.configs)
			p.configs = append(p.configs, r)
		}
	}
	for _, t := range l.tiles {
		pt := planTile{config: at[t.config]}
		for _, nal := range t.slices {
			pt.data = append(pt.data, binary.BigEndian.AppendUint32(nil, uint32(len(nal))), nal)
		}
		p.tiles = append(p.tiles, pt)
	}
	return p
}

// rebuild writes the photo anew (ISO/IEC 23008-12). The coded data is not copied.
func (l *heicLayout) rebuild() pieces { return l.plan().write() }

// appendBox appends a box with the given parts as its body.
func appendBox(out []byte, kind string, parts ...[]byte) []byte {
	size := 8
	for _, p := range parts {
		size += len(p)
	}
	out = binary.BigEndian.AppendUint32(out, uint32(size))
	out = append(out, kind...)
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func be32(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

// fullBox is the version and flags that a full box begins with.
func fullBox(version byte, flags int) []byte { return be32(int(version)<<24 | flags) }

// write lays the file out: ftyp, meta, mdat. Item 1 is the picture; tiles follow.
func (p *heicPlan) write() pieces {
	brand := "heic"
	if p.deep {
		brand = "heix"
	}
	ftyp := appendBox(nil, "ftyp", []byte(brand), be32(0), []byte("mif1"), []byte(brand))
	// The item location box comes last in meta, and its size does not depend on what is in it.
	meta := p.meta(0)
	meta = p.meta(len(ftyp) + len(meta) + 8)
	size := 8
	for _, t := range p.tiles {
		size += t.data.size()
	}
	out := pieces{ftyp, meta, append(be32(size), "mdat"...)}
	for _, t := range p.tiles {
		out = append(out, t.data...)
	}
	return out
}

// firstTile is the item id of the first coded picture.
func (p *heicPlan) firstTile() int {
	if p.cells != nil {
		return 2
	}
	return 1
}

// meta writes the meta box; the coded data begins at the given offset of the file.
func (p *heicPlan) meta(data int) []byte {
	body := fullBox(0, 0)
	body = appendBox(body, "hdlr", fullBox(0, 0), be32(0), []byte("pict"), make([]byte, 13))
	body = appendBox(body, "pitm", fullBox(0, 0), be16(1))
	entry := func(out []byte, id, flags int, kind string) []byte {
		return appendBox(out, "infe", fullBox(2, flags), be16(id), be16(0), []byte(kind), []byte{0})
	}
	first := p.firstTile()
	var infos []byte
	if p.cells != nil {
		infos = entry(infos, 1, 0, "grid")
	}
	for i := range p.tiles {
		infos = entry(infos, first+i, first-1, "hvc1") // tiles are hidden
	}
	body = appendBox(body, "iinf", fullBox(0, 0), be16(first-1+len(p.tiles)), infos)
	if p.cells != nil {
		var ids []byte
		for _, c := range p.cells {
			ids = binary.BigEndian.AppendUint16(ids, uint16(first+c))
		}
		body = appendBox(body, "iref", fullBox(0, 0), appendBox(nil, "dimg", be16(1), be16(len(p.cells)), ids))
	}
	body = appendBox(body, "iprp", p.properties())
	var grid []byte
	if p.cells != nil {
		grid = p.gridData()
		body = appendBox(body, "idat", grid)
	}
	locs := append(fullBox(1, 0), 0x44, 0x00) // offsets and lengths of 4 bytes, no base, no index
	locs = append(locs, be16(first-1+len(p.tiles))...)
	locate := func(id, method, at, size int) {
		locs = slices.Concat(locs, be16(id), be16(method), be16(0), be16(1), be32(at), be32(size))
	}
	if p.cells != nil {
		locate(1, 1, 0, len(grid))
	}
	for i, t := range p.tiles {
		n := t.data.size()
		locate(first+i, 0, data, n)
		data += n
	}
	body = appendBox(body, "iloc", locs)
	return appendBox(nil, "meta", body)
}

// gridData describes a grid (ISO/IEC 23008-12, 6.6.2.3.2).
func (p *heicPlan) gridData() []byte {
	if p.width > math.MaxUint16 || p.height > math.MaxUint16 {
		return slices.Concat([]byte{0, 1, byte(p.rows - 1), byte(p.cols - 1)}, be32(p.width), be32(p.height))
	}
	return slices.Concat([]byte{0, 0, byte(p.rows - 1), byte(p.cols - 1)}, be16(p.width), be16(p.height))
}

// properties writes the properties and what has them.
func (p *heicPlan) properties() []byte {
	var boxes []byte
	n := 0
	property := func(kind string, parts ...[]byte) int {
		boxes = appendBox(boxes, kind, parts...)
		n++
		return n
	}
	configs := make([]int, len(p.configs))
	for i, c := range p.configs {
		configs[i] = property("hvcC", c)
	}
	size := func(w, h int) int { return property("ispe", fullBox(0, 0), be32(w), be32(h)) }
	tile := size(p.tileW, p.tileH)
	whole := tile
	if p.cells != nil {
		whole = size(p.width, p.height)
	}
	shared := []association{{property("pixi", fullBox(0, 0), []byte{byte(len(p.depths))}, p.depths), false}}
	for _, c := range p.colours {
		shared = append(shared, association{property("colr", c), false})
	}
	var shown []association
	if p.crop != nil {
		shown = append(shown, association{property("clap", p.crop), true})
	}
	for _, t := range p.turns {
		shown = append(shown, association{property(t.kind, []byte{t.value}), true})
	}
	wide := n > 127
	var entries []byte
	count := 0
	associate := func(id int, as ...association) {
		entries = append(append(entries, be16(id)...), byte(len(as)))
		for _, a := range as {
			switch {
			case wide && a.essential:
				entries = append(entries, be16(a.index|0x8000)...)
			case wide:
				entries = append(entries, be16(a.index)...)
			case a.essential:
				entries = append(entries, byte(a.index|0x80))
			default:
				entries = append(entries, byte(a.index))
			}
		}
		count++
	}
	if p.cells != nil {
		associate(1, slices.Concat([]association{{whole, false}}, shared, shown)...)
		shown = nil
	}
	for i, t := range p.tiles {
		associate(p.firstTile()+i, slices.Concat([]association{{configs[t.config], true}, {tile, false}}, shared, shown)...)
	}
	flags := 0
	if wide {
		flags = 1
	}
	return slices.Concat(appendBox(nil, "ipco", boxes), appendBox(nil, "ipma", fullBox(0, flags), be32(count), entries))
}
