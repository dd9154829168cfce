package specimen

import "slices"

// piece is a run of the file: bytes, or part of an item's data, whose place is then noted.
type piece struct {
	item, part int // of the item when item is not 0
	data       []byte
}

// write lays the file out. The meta box says where everything lies and has the same size wherever that
// is, so it is made twice.
func (f *heifFile) write() []byte {
	o := f.o
	mdat := func(pieces []piece) []piece {
		n := 0
		for _, p := range pieces {
			n += len(p.data)
		}
		head := slices.Concat(be32(8+n), []byte("mdat"))
		if o.Wide {
			head = slices.Concat(be32(1), []byte("mdat"), be32(0), be32(16+n))
		}
		return append([]piece{{data: head}}, pieces...)
	}
	var early, late, inside []piece
	for i, it := range f.items {
		if it.method != 0 {
			continue
		}
		for k, p := range it.parts {
			if o.Gaps && !it.early && !it.late {
				inside = append(inside, piece{data: f.canary})
			}
			switch x := (piece{i + 1, k, p}); {
			case it.early:
				early = append(early, x)
			case it.late:
				late = append(late, x)
			default:
				inside = append(inside, x)
			}
		}
	}
	if o.Shuffle != 0 {
		f.rng.Shuffle(len(inside), func(i, j int) { inside[i], inside[j] = inside[j], inside[i] })
	}
	if o.Gaps {
		inside = append(inside, piece{data: f.canary})
	}
	const metaGoesHere = -1
	chunks := [][]piece{{{item: metaGoesHere}}}
	if early != nil {
		chunks = append(chunks, mdat(early))
	}
	chunks = append(chunks, mdat(inside))
	if late != nil {
		chunks = append(chunks, mdat(late))
	}
	for _, b := range append(f.loose(), f.video()...) {
		chunks = append(chunks, []piece{{data: b}})
	}
	if o.Shuffle != 0 {
		f.rng.Shuffle(len(chunks), func(i, j int) { chunks[i], chunks[j] = chunks[j], chunks[i] })
	}
	brands := "mif1heic"
	major := "heic"
	if o.Coded == "10-bit" {
		major, brands = "heix", "mif1heix"
	}
	if o.Sequence {
		major, brands = "msf1", "hevc"
	}
	order := f.rng.Uint64()
	where := map[[2]int]int{}
	lay := func(meta []byte) []byte {
		out := isoBox("ftyp", []byte(major), be32(0), []byte(brands))
		for _, c := range chunks {
			for _, p := range c {
				switch p.item {
				case metaGoesHere:
					out = append(out, meta...)
				default:
					where[[2]int{p.item, p.part}] = len(out)
					out = append(out, p.data...)
				}
			}
		}
		return out
	}
	lay(f.meta(where, order))
	out := lay(f.meta(where, order))
	if o.Trailer {
		out = append(out, f.canary...)
	}
	return out
}

// id writes an item id in the width that the options ask for.
func (f *heifFile) id(v int) []byte {
	if f.o.Wide {
		return be32(v)
	}
	return be16(v)
}

// version is v<<24 for wide ids, as a full box's version and flags.
func (f *heifFile) version(wide, narrow int) []byte {
	if f.o.Wide {
		return be32(wide << 24)
	}
	return be32(narrow << 24)
}

// meta writes the meta box.
func (f *heifFile) meta(where map[[2]int]int, order uint64) []byte {
	o := f.o
	f.idat = nil
	name := []byte{0}
	if o.Items {
		name = []byte(o.Canary + "\x00")
	}
	boxes := [][]byte{
		isoBox("hdlr", be32(0), be32(0), []byte("pict"), make([]byte, 12), name),
		isoBox("dinf", isoBox("dref", be32(0), be32(1), isoBox("url ", be32(1)))),
		isoBox("pitm", f.version(1, 0), f.id(f.primary)),
	}
	var infos []byte
	for i, it := range f.items {
		flags := 0
		if it.hidden {
			flags = 1
		}
		guard := 0
		if o.Encrypted && i+1 == f.primary {
			guard = 1
		}
		v := 2
		if o.Wide {
			v = 3
		}
		infos = append(infos, isoBox("infe", be32(v<<24|flags), f.id(i+1), be16(guard), []byte(it.kind), []byte(it.name+"\x00"), it.extra)...)
	}
	boxes = append(boxes, isoBox("iinf", f.version(1, 0), f.id(len(f.items)), infos))
	if f.refs != nil {
		boxes = append(boxes, isoBox("iref", append([][]byte{f.version(1, 0)}, f.refs...)...))
	}
	entries := []byte{}
	for i, it := range f.items {
		entries = append(append(entries, f.id(i+1)...), byte(len(it.props)))
		for _, p := range it.props {
			if p < 0 {
				p = -p | 0x80
			}
			entries = append(entries, byte(p))
		}
	}
	boxes = append(boxes, isoBox("iprp", isoBox("ipco", f.props...), isoBox("ipma", f.version(1, 0), be32(len(f.items)), entries)))
	locs := slices.Concat(f.version(2, 1), []byte{0x44, 0x40}, f.id(len(f.items)))
	for i, it := range f.items {
		reference := 0
		if o.Elsewhere && i+1 == f.primary {
			reference = 1
		}
		base := 0
		if it.method == 0 && i%2 == 1 {
			base = 3 // offsets count from somewhere
		}
		locs = slices.Concat(locs, f.id(i+1), be16(it.method), be16(reference), be32(base), be16(len(it.parts)))
		for k, p := range it.parts {
			at := max(where[[2]int{i + 1, k}]-base, 0)
			if it.method == 1 {
				if o.Gaps {
					f.idat = append(f.idat, f.canary...)
				}
				at = len(f.idat)
				f.idat = append(f.idat, p...)
			}
			locs = slices.Concat(locs, be32(at), be32(len(p)))
		}
	}
	boxes = append(boxes, isoBox("iloc", locs))
	if f.idat != nil {
		boxes = append(boxes, isoBox("idat", f.idat))
	}
	boxes = append(boxes, f.loose()...)
	if o.Shuffle != 0 {
		s := order
		for i := len(boxes) - 1; i > 0; i-- {
			s = s*6364136223846793005 + 1442695040888963407
			j := int(s>>33) % (i + 1)
			boxes[i], boxes[j] = boxes[j], boxes[i]
		}
	}
	box := isoBox
	if o.Wide {
		box = wideBox
	}
	return box("meta", append([][]byte{be32(0)}, boxes...)...)
}
