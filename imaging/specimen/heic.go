package specimen

import (
	"embed"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
)

//go:embed coded/*.hevc
var coded embed.FS

// HEICOptions describe one HEIC photo. Its picture is one of those coded beforehand (see coded/make.go);
// everything around it is made here. Options holds what the EXIF block says, the profile and the canary;
// its size and the carriers of other formats mean nothing here.
type HEICOptions struct {
	Options
	// Coded names the picture: 420 (the default), 422, 444, 10-bit, gray, limited-709; grid is one of
	// four tiles.
	Coded string

	Turn    int     // quarter turns against the clock (irot)
	Mirror  int     // 1: top and bottom change places, 2: left and right (imir)
	Clap    []int32 // clean aperture: eight numbers
	Window  *[4]int // what a 4:2:0 picture's own parameters cut off, in pairs of samples: left, right, top, bottom
	NCLX    []int   // primaries, transfer, matrix, 1 for full range
	EXIFAt  string  // before (the default), inside or after the picture's data
	Idat    bool    // the picture's data lies in the meta box
	Parts   int     // in how many extents the picture's data lies, 1 when 0
	Shuffle uint64  // another order of boxes, extents and items for each number but 0

	Items      bool   // mime and uri items, names of items
	Boxes      bool   // free space, uuid, user data, unknown boxes on all levels, unknown properties
	Thumb      bool   // a thumbnail item
	Auxiliary  bool   // depth and gain map items
	Video      bool   // a movie, in two boxes
	Gaps       bool   // bytes between and behind items in the media data
	Messages   bool   // SEI, delimiters, filler and undefined NAL units, in the data and in the configuration
	ZeroWords  bool   // what may follow a slice
	Packets    int    // so many megabytes of XMP that says nothing, ahead of what XMP there is
	Wide       bool   // 64-bit box sizes, wide item ids
	Alpha      bool   // an auxiliary picture of transparency
	Sequence   bool   // brands of a sequence
	Encrypted  bool   // the picture's item is protected
	Method2    bool   // the picture's data lies in another item
	Elsewhere  bool   // ... in another file
	Derivation string // kind of the picture's item, instead of its own
	Essential  bool   // an unknown property that must not be left out
	// Sets rewrites the parameter sets of the picture by their kind, 32 to 34: it is given a set's bits behind its
	// header, up to the stop bit, and returns what takes its place.
	Sets map[byte]func(bits string) []string
	// Tail32, 33 and 34 leave the canary behind the end of a video, sequence or picture parameter set.
	Tail32, Tail33, Tail34 bool
}

// FullHEIC asks for every carrier there is.
func FullHEIC(picture string, seed uint64) HEICOptions {
	o := HEICOptions{Options: Full(0, 0, seed), Coded: picture, EXIFAt: "inside", Items: true, Boxes: true,
		Thumb: true, Auxiliary: true, Video: true, Gaps: true, Messages: true, ZeroWords: true, Parts: 3}
	o.ICC = WithText(SRGB(), o.Canary)
	if picture == "gray" {
		o.ICC = nil
	}
	return o
}

// WithText puts text into a profile where readers do not look: behind its tags.
func WithText(icc []byte, text string) []byte {
	out := append(slices.Clone(icc), text...)
	binary.BigEndian.PutUint32(out, uint32(len(out)))
	return out
}

// codedPicture is one coded picture: a decoder configuration record and NAL units.
type codedPicture struct {
	config, data  []byte
	width, height int
}

func readCoded(name string) codedPicture {
	b, err := coded.ReadFile("coded/" + name + ".hevc")
	if err != nil {
		panic("specimen: " + err.Error()) // a name of our own
	}
	n := binary.BigEndian.Uint32(b)
	p := codedPicture{config: b[4 : 4+n], data: b[4+n:], width: 96, height: 64}
	switch {
	case name == "420":
		p.width, p.height = 160, 120
	case len(name) > 4 && name[:4] == "tile":
		p.width, p.height = 64, 64
	}
	return p
}

// NAL appends one NAL unit of a type behind its length.
func nal(out []byte, kind, layer int, body []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)+2))
	return append(append(out, byte(kind<<1|layer>>5), byte(layer<<3|1)), body...)
}

// sei is a user data message (ITU-T H.265 D.2.7) with the canary.
func sei(canary []byte) []byte {
	b := []byte{5}
	n := len(canary) + 16
	for ; n >= 255; n -= 255 {
		b = append(b, 255)
	}
	b = append(append(b, byte(n)), "specimen of data"...)
	return append(append(b, canary...), 0x80)
}

// chatter surrounds a picture's slices with what a decoder passes over.
func (o HEICOptions) chatter(p codedPicture, canary []byte) codedPicture {
	if o.ZeroWords {
		n := len(p.data)
		p.data = append(slices.Clone(p.data), 0, 0, 3, 0, 0, 3)
		// The last unit is as long as what follows its length.
		at := 0
		for {
			size := int(binary.BigEndian.Uint32(p.data[at:]))
			if at+4+size == n {
				binary.BigEndian.PutUint32(p.data[at:], uint32(size+6))
				break
			}
			at += 4 + size
		}
	}
	for kind, tail := range map[byte]bool{32: o.Tail32, 33: o.Tail33, 34: o.Tail34} {
		if tail {
			p.config = withTail(p.config, kind, canary)
		}
	}
	if !o.Messages {
		return p
	}
	before := nal(nil, 35, 0, []byte{0x50})
	before = nal(before, 39, 0, sei(canary))
	after := nal(nil, 40, 0, sei(canary))
	after = nal(after, 38, 0, append(canary, 0x80))
	after = nal(after, 50, 0, canary)
	after = nal(after, 20, 1, canary)
	p.data = slices.Concat(before, p.data, after)
	// One more array in the record: messages that concern every picture.
	p.config = slices.Clone(p.config)
	p.config[22]++
	unit := nal(nil, 39, 0, sei(canary))[4:]
	p.config = append(p.config, 39, 0, 1)
	p.config = binary.BigEndian.AppendUint16(p.config, uint16(len(unit)))
	p.config = append(p.config, unit...)
	return p
}

// withTail lengthens the parameter set of a kind in a decoder configuration record.
func withTail(config []byte, kind byte, tail []byte) []byte {
	out := slices.Clone(config[:23])
	for at := 23; at < len(config); {
		size := int(binary.BigEndian.Uint16(config[at+3:]))
		unit := slices.Clone(config[at+5 : at+5+size])
		if config[at]&0x3F == kind {
			unit = append(unit, tail...)
		}
		out = append(out, config[at:at+3]...)
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(unit))), unit...)
		at += 5 + size
	}
	return out
}

// HEIC makes the photo.
func HEIC(o HEICOptions) []byte {
	if o.Coded == "" {
		o.Coded = "420"
	}
	f := &heifFile{o: o, rng: rand.New(rand.NewPCG(o.Shuffle, 3)), canary: o.canary()}
	f.picture()
	f.metadata()
	f.carriers()
	return f.write()
}

// heifItem is one item; it has an id from the order in which it was made.
type heifItem struct {
	kind, name string
	extra      []byte // behind the name: the content type of a mime item
	hidden     bool
	parts      [][]byte
	method     int
	props      []int // into heifFile.props, counted from 1; negative: essential
	early      bool  // its data lies before the picture's, or
	late       bool  // behind it, each in a box of its own
}

type heifFile struct {
	o       HEICOptions
	rng     *rand.Rand
	canary  []byte
	items   []*heifItem
	props   [][]byte // boxes
	refs    [][]byte // boxes
	primary int
	idat    []byte
}

func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func be32(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

func isoBox(kind string, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return slices.Concat(be32(8+len(body)), []byte(kind), body)
}

// wideBox has a size of 64 bits.
func wideBox(kind string, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return slices.Concat(be32(1), []byte(kind), be32(0), be32(16+len(body)), body)
}

func (f *heifFile) add(it *heifItem) int {
	f.items = append(f.items, it)
	return len(f.items)
}

func (f *heifFile) prop(b []byte) int {
	f.props = append(f.props, b)
	return len(f.props)
}

func (f *heifFile) refer(kind string, from int, to ...int) {
	b := slices.Concat(be16(from), be16(len(to)))
	for _, t := range to {
		b = append(b, be16(t)...)
	}
	if f.o.Wide {
		b = slices.Concat(be32(from), be16(len(to)))
		for _, t := range to {
			b = append(b, be32(t)...)
		}
	}
	f.refs = append(f.refs, isoBox(kind, b))
}

func ispe(w, h int) []byte { return isoBox("ispe", be32(0), be32(w), be32(h)) }

// split cuts data into as many parts as asked for.
func (f *heifFile) split(data []byte) [][]byte {
	n := max(f.o.Parts, 1)
	var out [][]byte
	for i := range n {
		out = append(out, data[len(data)*i/n:len(data)*(i+1)/n])
	}
	return out
}

// codedItem adds an item for a coded picture.
func (f *heifFile) codedItem(name string, more ...int) int {
	p := readCoded(name)
	if f.o.Window != nil {
		p = withWindow(p, *f.o.Window)
	}
	for kind, rewrite := range f.o.Sets {
		p.config = rewriteSets(p.config, kind, rewrite)
	}
	p = f.o.chatter(p, f.canary)
	it := &heifItem{kind: "hvc1", parts: f.split(p.data)}
	it.props = append([]int{-f.prop(isoBox("hvcC", p.config)), f.prop(ispe(p.width, p.height))}, more...)
	if f.o.Idat {
		it.method = 1
	}
	return f.add(it)
}

// picture adds the picture that is shown.
func (f *heifFile) picture() {
	o := f.o
	var shared, shown []int
	if o.NCLX != nil {
		n := slices.Concat(be16(o.NCLX[0]), be16(o.NCLX[1]), be16(o.NCLX[2]), []byte{byte(o.NCLX[3] << 7)})
		shared = append(shared, f.prop(isoBox("colr", []byte("nclx"), n)))
	}
	if o.ICC != nil {
		shared = append(shared, f.prop(isoBox("colr", []byte("prof"), o.ICC)))
	}
	if o.Clap != nil {
		var b []byte
		for _, v := range o.Clap {
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		}
		shown = append(shown, -f.prop(isoBox("clap", b)))
	}
	if o.Turn != 0 {
		shown = append(shown, -f.prop(isoBox("irot", []byte{byte(o.Turn)})))
	}
	if o.Mirror != 0 {
		shown = append(shown, -f.prop(isoBox("imir", []byte{byte(o.Mirror - 1)})))
	}
	if o.Essential {
		shown = append(shown, -f.prop(isoBox("what", []byte("ever"))))
	}
	if o.Coded != "grid" {
		f.primary = f.codedItem(o.Coded, append(shared, shown...)...)
	} else {
		var tiles []int
		for i := range 4 {
			id := f.codedItem(fmt.Sprintf("tile-%d", i), shared...)
			f.items[id-1].hidden = true
			tiles = append(tiles, id)
		}
		w, h := 120, 112 // the tiles reach over the edge
		f.primary = f.add(&heifItem{kind: "grid", method: 1, parts: [][]byte{slices.Concat([]byte{0, 0, 1, 1}, be16(w), be16(h))},
			props: slices.Concat([]int{f.prop(ispe(w, h))}, shared, shown)})
		f.refer("dimg", f.primary, tiles...)
	}
	p := f.items[f.primary-1]
	if o.Derivation != "" {
		p.kind = o.Derivation
	}
	if o.Method2 {
		p.method = 2
	}
}
