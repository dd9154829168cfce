package codec

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// maxFacts bounds an EXIF block that is read; one in a JPEG cannot be larger than 64 kB.
const maxFacts = 1 << 20

// where returns the parts of an item's data: in the media data boxes of the file, or in the item data
// box of the meta box. Data that other data is needed to find, or another file, is not read.
func (h *heif) where(it *heifItem) ([]span, error) {
	if it.protected {
		return nil, refuse(CodeCoding, "an encrypted picture")
	}
	if it.external || it.method > 1 {
		return nil, refuse(CodeCoding, "picture data that lies elsewhere")
	}
	areas := h.mdats
	base := 0
	if it.method == 1 {
		if h.idat == nil {
			return nil, refuse(CodeCorrupt, "item data that is not there")
		}
		base = h.idat.end - len(h.idat.body)
		areas = []span{{base, h.idat.end}}
	}
	var out []span
	for _, e := range it.extents {
		if e.at > uint64(len(h.in)) || e.size > uint64(len(h.in)) {
			return nil, refuse(CodeTruncated, "picture data beyond the end of the file")
		}
		from := base + int(e.at)
		s := span{from, from + int(e.size)}
		if s.to > len(h.in) {
			return nil, refuse(CodeTruncated, "picture data beyond the end of the file")
		}
		if i := areaOf(areas, from); e.size == 0 || i < 0 || s.to > areas[i].to {
			return nil, refuse(CodeCorrupt, "picture data outside of the boxes for it")
		}
		out = append(out, s)
	}
	if out == nil {
		return nil, refuse(CodeCorrupt, "a picture without data")
	}
	return out, nil
}

// areaOf returns which of the areas, which are in order, holds an offset, or -1.
func areaOf(areas []span, at int) int {
	i, _ := slices.BinarySearchFunc(areas, at, func(s span, at int) int {
		if s.to <= at {
			return -1
		}
		return 1
	})
	if i < len(areas) && areas[i].from <= at {
		return i
	}
	return -1
}

// data returns an item's data, which is copied only when it lies in parts.
func (h *heif) data(it *heifItem) ([]byte, []span, error) {
	parts, err := h.where(it)
	if err != nil {
		return nil, nil, err
	}
	if len(parts) == 1 {
		return h.in[parts[0].from:parts[0].to:parts[0].to], parts, nil
	}
	total := 0
	for _, s := range parts {
		if total += s.to - s.from; total > len(h.in) {
			return nil, nil, refuse(CodeCorrupt, "picture data that overlaps")
		}
	}
	out := make([]byte, 0, total)
	for _, s := range parts {
		out = append(out, h.in[s.from:s.to]...)
	}
	return out, parts, nil
}

// mark says what a part of the file is: kept, when it has no kind.
type mark struct {
	span
	kind string
}

// open finds the coded data and accounts for every byte of the file that could hold something: what is
// kept must be nobody else's, and all the rest is counted as removed.
func (l *heicLayout) open(primary *heifItem) error {
	keep := map[uint32]bool{primary.id: true}
	var marks []mark
	for i := range l.tiles {
		t := &l.tiles[i]
		var parts []span
		var err error
		if t.raw, parts, err = l.h.data(t.item); err != nil {
			return err
		}
		for _, s := range parts {
			marks = append(marks, mark{span: s})
		}
		keep[t.item.id] = true
	}
	if l.grid {
		_, parts, err := l.h.data(primary)
		if err != nil {
			return err
		}
		for _, s := range parts {
			marks = append(marks, mark{span: s})
		}
	}
	byStart := func(a, b mark) int { return a.from - b.from }
	slices.SortFunc(marks, byStart)
	for i := range marks {
		if i > 0 && marks[i].from < marks[i-1].to {
			return refuse(CodeCorrupt, "picture data that overlaps")
		}
	}
	kept := len(marks)
	kinds := l.kinds(primary)
	for _, it := range l.h.items {
		l.removed.add("user data", it.named)
		if keep[it.id] {
			continue
		}
		for _, e := range l.h.loose(it) {
			i, _ := slices.BinarySearchFunc(marks[:kept], e.from, func(m mark, at int) int {
				if m.to <= at {
					return -1
				}
				return 1
			})
			if i < kept && marks[i].from < e.to {
				return refuse(CodeCorrupt, "picture data that overlaps")
			}
			marks = append(marks, mark{e, kinds[it.id]})
		}
	}
	for _, p := range l.h.props {
		switch {
		case p.kind == "auxC":
			l.removed.add("auxiliary image", p.end-p.start)
		case !knownProperty[p.kind]:
			l.removed.add(boxKind(p.kind), p.end-p.start)
		}
	}
	slices.SortStableFunc(marks, byStart)
	areas := slices.Clone(l.h.mdats)
	if l.h.idat != nil {
		areas = append(areas, span{l.h.idat.end - len(l.h.idat.body), l.h.idat.end})
		slices.SortFunc(areas, func(a, b span) int { return a.from - b.from })
	}
	l.sweep(areas, marks)
	for i := range l.tiles {
		t := &l.tiles[i]
		var err error
		if t.slices, err = l.configs[t.config].picture(t.raw, &l.removed); err != nil {
			return err
		}
	}
	for _, c := range l.configs {
		c.dropUnused(&l.removed)
	}
	return nil
}

// loose returns the parts of an item that goes: whatever of them lies in the file.
func (h *heif) loose(it *heifItem) []span {
	base, end := 0, len(h.in)
	if it.method == 1 {
		if h.idat == nil {
			return nil
		}
		base, end = h.idat.end-len(h.idat.body), h.idat.end
	}
	var out []span
	for _, e := range it.extents {
		if it.method > 1 || it.external || e.at >= uint64(end-base) || e.size == 0 {
			continue
		}
		from := base + int(e.at)
		out = append(out, span{from, from + int(min(e.size, uint64(end-from)))})
	}
	return out
}

// sweep counts the bytes of the areas that marks cover, and those that nothing does.
func (l *heicLayout) sweep(areas []span, marks []mark) {
	i, done := 0, 0
	for _, a := range areas {
		at := a.from
		// Marks are in order of where they begin; one may reach over the end of its area.
		for ; i < len(marks) && marks[i].from < a.to; i++ {
			from, to := max(marks[i].from, at, done), min(marks[i].to, a.to)
			if from >= to {
				continue
			}
			l.removed.add("unreferenced data", from-at)
			if marks[i].kind != "" {
				l.removed.add(marks[i].kind, to-from)
			}
			at, done = to, to
		}
		l.removed.add("unreferenced data", a.to-at)
	}
}

// kinds names what the items that go are.
func (l *heicLayout) kinds(primary *heifItem) map[uint32]string {
	out := map[uint32]string{}
	for _, it := range l.h.items {
		switch {
		case it.kind == "Exif":
			out[it.id] = "EXIF"
		case it.kind == "mime" && it.mime == "application/rdf+xml":
			out[it.id] = "XMP"
		case it.kind == "tmap":
			out[it.id] = "gain map"
		case it.kind == "hvc1" || it.kind == "grid" || it.kind == "jpeg" || it.kind == "iden" || it.kind == "iovl" || it.kind == "av01":
			out[it.id] = "further images"
		default:
			out[it.id] = "unknown items"
		}
	}
	for _, r := range l.h.refs {
		if r.kind == "thmb" {
			out[r.from] = "thumbnail"
		}
		if r.kind != "auxl" {
			continue
		}
		switch aux := l.h.auxiliary(r.from); {
		case strings.Contains(aux, "depth"):
			out[r.from] = "depth map"
		case strings.Contains(aux, "gainmap"):
			out[r.from] = "gain map"
		default:
			out[r.from] = "auxiliary image"
		}
	}
	// The tiles of one of these are of its kind.
	for _, r := range l.h.refs {
		if r.kind == "dimg" && r.from != primary.id && out[r.from] != "gain map" {
			for _, id := range r.to {
				out[id] = out[r.from]
			}
		}
	}
	return out
}

// readMetadata reads the few facts that the receipt states, from the items that describe the picture. Many
// items may claim the same bytes, so what is read of all together is bounded as well.
func (l *heicLayout) readMetadata() {
	left := 4 * maxFacts
	for _, it := range l.h.items {
		switch {
		case it.kind == "mime" && it.mime == "application/rdf+xml" && !l.xmpGPS:
			p := l.h.facts(it, left)
			left -= len(p)
			l.xmpGPS = bytes.Contains(p, []byte("GPSLatitude"))
		case it.kind == "Exif" && l.tiff == nil && !l.exifBad:
			p := l.h.facts(it, left)
			left -= len(p)
			// ISO/IEC 23008-12 A.2.1: how far behind this field the TIFF header begins.
			if len(p) < 4 || len(p) > maxFacts || uint64(binary.BigEndian.Uint32(p)) > uint64(len(p)-4) {
				l.exifBad = true
				continue
			}
			l.tiff = p[4+binary.BigEndian.Uint32(p):]
		}
	}
}

// facts returns the data of an item, no more than left, and one byte more than maxFacts where it is longer.
func (h *heif) facts(it *heifItem, left int) (p []byte) {
	most := min(maxFacts+1, left)
	for _, s := range h.loose(it) {
		if len(p) == most {
			break
		}
		p = append(p, h.in[s.from:min(s.to, s.from+most-len(p))]...)
	}
	return p
}
