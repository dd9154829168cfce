package codec

// vp8Bits reads bits and, where there is a writer, writes them again.
type vp8Bits struct {
	boolReader
	w *boolWriter
}

func (r *vp8Bits) bit(prob byte) bool {
	one := r.boolReader.bit(prob)
	if r.w != nil {
		r.w.put(prob, one)
	}
	return one
}

// vp8Block is what has to be known of a macroblock to read its coefficients.
type vp8Block struct {
	segment     byte
	skip, whole bool // whole: one mode for all of it, and its averages coded apart
}

// vp8Frame is a key frame whose every code has been followed.
type vp8Frame struct {
	vp8Header
	mbw, mbh int
	blocks   []vp8Block
	used     vp8Probs // 1 where a probability was read with
	coded    []byte   // the frame written anew
	removed  int      // bytes of the old one that no code needed
}

// vp8FrameHeader reads the ten bytes ahead of the first partition (RFC 6386 9.1).
func vp8FrameHeader(p []byte) (h vp8Header, first int, err error) {
	if len(p) < 10 {
		return h, 0, refuse(CodeTruncated, "ends inside the frame header")
	}
	tag := int(p[0]) | int(p[1])<<8 | int(p[2])<<16
	if tag&1 != 0 || tag>>4&1 == 0 || tag>>1&7 > 3 || string(p[3:6]) != "\x9D\x01\x2A" {
		return h, 0, refuse(CodeCorrupt, "not a key frame")
	}
	h.version, first = byte(tag>>1&7), tag>>5
	// The upper two bits say how to scale, which decoders of still pictures do not.
	h.width, h.height = (int(p[6])|int(p[7])<<8)&0x3FFF, (int(p[8])|int(p[9])<<8)&0x3FFF
	if h.width == 0 || h.height == 0 {
		return h, 0, refuse(CodeCorrupt, "%d×%d pixels", h.width, h.height)
	}
	return h, first, nil
}

// walkVP8 follows every code of a key frame without computing a pixel, and writes the frame anew: the
// same modes and coefficients under the same probabilities. What the old partitions held behind their
// last code, and parts of the header that nothing reads with, do not come along.
func walkVP8(p []byte) (*vp8Frame, error) {
	h, first, err := vp8FrameHeader(p)
	if err != nil {
		return nil, err
	}
	f := &vp8Frame{vp8Header: h, mbw: (h.width + 15) / 16, mbh: (h.height + 15) / 16}
	if first > len(p)-10 {
		return nil, refuse(CodeTruncated, "ends inside the first partition")
	}
	modes := vp8Bits{boolReader: newBoolReader(p[10 : 10+first])}
	f.parse(&modes.boolReader)
	again := modes // the modes are read twice: the header comes first and depends on what follows
	f.blocks = make([]vp8Block, f.mbw*f.mbh)
	if err := f.modes(&modes); err != nil {
		return nil, err
	}
	f.removed += first - modes.used()
	parts, err := f.partitions(p[10+first:])
	if err != nil {
		return nil, err
	}
	if err := f.coefficients(parts); err != nil {
		return nil, err
	}
	var segments [4]bool
	for _, b := range f.blocks {
		segments[b.segment] = true
	}
	f.tidy(&f.used, segments)
	w := newBoolWriter()
	f.write(w)
	again.w = w
	if err := f.modes(&again); err != nil {
		return nil, err
	}
	return f, f.assemble(w.finish(), parts)
}

// partitions finds the coefficients' partitions (RFC 6386 9.5).
func (f *vp8Frame) partitions(p []byte) ([]vp8Bits, error) {
	n := 1 << f.logParts
	if len(p) < 3*(n-1) {
		return nil, refuse(CodeTruncated, "ends inside the partitions")
	}
	sizes, p := p[:3*(n-1)], p[3*(n-1):]
	out := make([]vp8Bits, n)
	for i := range out {
		size := len(p)
		if i < n-1 {
			size = int(sizes[3*i]) | int(sizes[3*i+1])<<8 | int(sizes[3*i+2])<<16
		}
		if size > len(p) {
			return nil, refuse(CodeTruncated, "ends inside a partition")
		}
		out[i] = vp8Bits{newBoolReader(p[:size]), newBoolWriter()}
		p = p[size:]
	}
	return out, nil
}

// assemble puts the frame together from its partitions.
func (f *vp8Frame) assemble(first []byte, parts []vp8Bits) error {
	if len(first) >= 1<<19 {
		return refuse(CodeComplex, "a first partition of more than its size can say")
	}
	tag := uint32(f.version)<<1 | 1<<4 | uint32(len(first))<<5
	out := []byte{byte(tag), byte(tag >> 8), byte(tag >> 16), 0x9D, 0x01, 0x2A,
		byte(f.width), byte(f.width >> 8), byte(f.height), byte(f.height >> 8)}
	out = append(out, first...)
	var data [][]byte
	for i := range parts {
		b := parts[i].w.finish()
		if i < len(parts)-1 {
			out = append(out, byte(len(b)), byte(len(b)>>8), byte(len(b)>>16))
		}
		if len(b) >= 1<<24 {
			return refuse(CodeComplex, "a partition of more than its size can say")
		}
		data = append(data, b)
		f.removed += len(parts[i].p) - parts[i].used()
	}
	for _, b := range data {
		out = append(out, b...)
	}
	f.coded = out
	return nil
}

// coefficients follows the tokens of all macroblocks (RFC 6386 13).
func (f *vp8Frame) coefficients(parts []vp8Bits) error {
	type edge [9]uint8 // whether blocks had coefficients: 4 of luma, 2 and 2 of chroma, the averages
	above := make([]edge, f.mbw)
	for y := range f.mbh {
		var left edge
		r := &parts[y&(len(parts)-1)]
		for x := range f.mbw {
			b, up := f.blocks[y*f.mbw+x], &above[x]
			if b.skip {
				averages, upAverages := left[8], up[8]
				left, *up = edge{}, edge{}
				if !b.whole { // whose averages are not coded leaves the neighbours' alone
					left[8], up[8] = averages, upAverages
				}
				continue
			}
			plane, from := 3, 0
			if b.whole {
				v := f.tokens(r, 1, left[8]+up[8], 0)
				left[8], up[8] = v, v
				plane, from = 0, 1
			}
			for j := range 4 {
				for i := range 4 {
					v := f.tokens(r, plane, left[j]+up[i], from)
					left[j], up[i] = v, v
				}
			}
			for c := 4; c < 8; c += 2 {
				for j := range 2 {
					for i := range 2 {
						v := f.tokens(r, 2, left[c+j]+up[c+i], 0)
						left[c+j], up[c+i] = v, v
					}
				}
			}
		}
		if r.ended {
			return refuse(CodeTruncated, "image data ends too early")
		}
	}
	return nil
}

// vp8Bands maps the position of a coefficient to its band (RFC 6386 13.3).
var vp8Bands = [17]byte{0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 0}

// vp8Extra are the probabilities of the further bits of large values, by category (RFC 6386 13.2).
var vp8Extra = [6][]byte{{159}, {165, 145}, {173, 148, 140}, {176, 155, 140, 135}, {180, 157, 141, 134, 130},
	{254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129}}

// tokens follows the coefficients of one block and returns 1 if there were any.
func (f *vp8Frame) tokens(r *vp8Bits, plane int, context uint8, n int) uint8 {
	node := func(ctx uint8, i int) bool {
		band := vp8Bands[n]
		f.used[plane][band][ctx][i] = 1
		return r.bit(f.probs[plane][band][ctx][i])
	}
	if !node(context, 0) {
		return 0
	}
	for {
		if !node(context, 1) { // a zero, behind which the block cannot end
			if n++; n == 16 {
				return 1
			}
			context = 0
			continue
		}
		next := uint8(1)
		if node(context, 2) {
			next = 2
			category := -1
			switch {
			case !node(context, 3):
				if node(context, 4) {
					node(context, 5)
				}
			case !node(context, 6):
				category = 0
				if node(context, 7) {
					category = 1
				}
			default:
				category = 2
				if node(context, 8) {
					category = 4
					if node(context, 10) {
						category++
					}
				} else if node(context, 9) {
					category++
				}
			}
			if category >= 0 {
				for _, p := range vp8Extra[category] {
					r.bit(p)
				}
			}
		}
		r.bit(128) // sign
		if n++; n == 16 {
			return 1
		}
		if context = next; !node(context, 0) {
			return 1
		}
	}
}
