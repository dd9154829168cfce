package codec

// paramSets is what the parameter sets of a coded picture say (ITU-T H.265, 7.3.2). They come through
// as coded; they are read in full, so that it is known that they hold nothing else.
type paramSets struct {
	width, height int // of the decoded picture, within the conformance window
	codedWidth    int // with what the window cuts off
	codedHeight   int
	chroma        int // chroma_format_idc: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4
	bits          int // of a luma sample
	chromaBits    int
	profile       []byte // general profile, tier and level: 12 bytes
	subLayers     int
	nesting       bool
	colour        nclx
	colourSaid    bool // colour comes from the parameter set
	// loose says that something could not be read to its end: extensions of the standard, or timing
	// models that a still picture has no use for. Such a picture is coded anew.
	loose bool
}

// nclx are code points of ITU-T H.273.
type nclx struct {
	primaries, transfer, matrix int
	fullRange                   bool
}

// The largest values that level 6.2 or the syntax allow.
const (
	maxHEVCSide   = 65536
	maxRefSets    = 64
	maxRefSetSize = 16
)

// sequence reads a sequence parameter set (7.3.2.2).
func (s *paramSets) sequence(nal []byte) error {
	r := newParamReader(nal)
	r.u(4)
	s.subLayers = int(r.u(3)) + 1
	s.nesting = r.flag()
	start := r.at / 8
	s.profileTierLevel(r)
	if !r.bad {
		s.profile = append([]byte(nil), r.p[start:start+12]...)
	}
	r.upTo(15)
	if s.chroma = r.upTo(3); s.chroma == 3 && r.flag() {
		return refuse(CodeCoding, "separate colour planes")
	}
	s.codedWidth, s.codedHeight = r.upTo(maxHEVCSide), r.upTo(maxHEVCSide)
	s.width, s.height = s.codedWidth, s.codedHeight
	if r.flag() {
		ux, uy := 1, 1
		if s.chroma == 1 || s.chroma == 2 {
			ux = 2
		}
		if s.chroma == 1 {
			uy = 2
		}
		left, right := ux*r.upTo(maxHEVCSide), ux*r.upTo(maxHEVCSide)
		top, bottom := uy*r.upTo(maxHEVCSide), uy*r.upTo(maxHEVCSide)
		s.width -= left + right
		s.height -= top + bottom
		s.loose = s.loose || hides(left, left+right, top, top+bottom)
	}
	s.bits, s.chromaBits = 8+r.upTo(8), 8+r.upTo(8)
	pocBits := 4 + r.upTo(12)
	s.ordering(r)
	r.skip(6)
	if r.flag() { // scaling lists are used
		if r.flag() { // and are here
			scalingLists(r)
		}
	}
	r.u(2)
	if r.flag() { // pulse code modulation
		r.u(8)
		r.skip(2)
		r.u(1)
	}
	refSets(r, r.upTo(maxRefSets))
	if r.flag() {
		for range r.upTo(32) {
			r.u(pocBits + 1)
			s.loose = true // far pictures to refer to, by free numbers
		}
	}
	r.u(2)
	if r.flag() {
		s.usability(r)
	}
	if !s.loose && r.flag() {
		ranges, multi, other := r.flag(), r.flag(), r.u(6)
		if ranges {
			r.u(9)
		}
		s.loose = multi || other != 0
	}
	if r.bad || s.width < 1 || s.height < 1 {
		return refuse(CodeCorrupt, "sequence parameter set is malformed")
	}
	if r.large || !s.loose && !r.ends() {
		s.loose = true
	}
	return nil
}

// profileTierLevel reads 7.3.3. What it reserves could be text, byte by byte: those of the general profile and,
// more yet, of sub-layers, which a still picture has no use for.
func (s *paramSets) profileTierLevel(r *paramReader) {
	space := r.u(2)
	r.u(6)
	r.u(12)
	known := r.u(20)
	r.u(14)
	reserved := r.u(32) | r.u(2)
	r.u(8)
	s.loose = s.loose || space != 0 || known != 0 || reserved != 0
	sub := make([][2]bool, s.subLayers-1)
	for i := range sub {
		sub[i] = [2]bool{r.flag(), r.flag()}
	}
	if len(sub) > 0 {
		s.loose = r.u(2*(8-len(sub))) != 0 || s.loose
	}
	for _, x := range sub {
		s.loose = s.loose || x[0] || x[1]
		if x[0] {
			r.at += 88
		}
		if x[1] {
			r.at += 8
		}
	}
	if r.at > 8*len(r.p) {
		r.bad = true
	}
}

// ordering reads how many pictures a decoder holds, for each sub-layer or for all.
func (s *paramSets) ordering(r *paramReader) {
	n := s.subLayers
	if !r.flag() {
		n = 1
	}
	r.skip(3 * n)
}

// timing reads how long a frame lasts, which is two free numbers of 32 bits. Programs that make one frame of a film
// put there what it would have been.
func (s *paramSets) timing(r *paramReader) {
	units, scale := r.u(32), r.u(32)
	s.loose = s.loose || units != 1 && units != 1000 && units != 1001 || scale > 120_000
	if r.flag() {
		r.skip(1)
	}
}

// usability reads the video usability information (E.2.1).
func (s *paramSets) usability(r *paramReader) {
	if r.flag() && r.u(8) == 255 {
		r.u(32)
		s.loose = true // the shape of a pixel, by free numbers
	}
	if r.flag() {
		r.u(1)
	}
	if r.flag() {
		r.u(3)
		s.colourSaid = true
		s.colour = nclx{2, 2, 2, r.flag()}
		if r.flag() {
			s.colour.primaries, s.colour.transfer, s.colour.matrix = int(r.u(8)), int(r.u(8)), int(r.u(8))
		}
	}
	if r.flag() {
		r.skip(2)
	}
	r.u(3)
	if r.flag() {
		r.skip(4)
		s.loose = true // a window that some readers cut to
	}
	if r.flag() {
		s.timing(r)
		if r.flag() {
			s.loose = true // a buffering model
			return
		}
	}
	if r.flag() {
		r.u(3)
		r.skip(5)
	}
}

// scalingLists reads 7.3.4.
func scalingLists(r *paramReader) {
	for size := range 4 {
		step := 1
		if size == 3 {
			step = 3
		}
		for m := 0; m < 6 && !r.bad; m += step {
			if !r.flag() {
				r.skip(1)
				continue
			}
			if size > 1 {
				r.skip(1)
			}
			r.skip(min(64, 1<<(4+2*size)))
		}
	}
}

// refSets reads n short-term reference picture sets (7.3.7).
func refSets(r *paramReader, n int) {
	sizes := make([]int, n)
	for i := range sizes {
		if r.bad {
			return
		}
		if i > 0 && r.flag() {
			r.u(1)
			r.skip(1)
			for range sizes[i-1] + 1 {
				used := r.flag()
				if !used {
					used = r.flag() // still taken over
				}
				if used {
					sizes[i]++
				}
			}
			continue
		}
		sizes[i] = r.upTo(maxRefSetSize) + r.upTo(maxRefSetSize)
		for range sizes[i] {
			r.skip(1)
			r.u(1)
		}
	}
}

// picture reads a picture parameter set (7.3.2.3).
func (s *paramSets) picture(nal []byte) error {
	r := newParamReader(nal)
	r.upTo(63)
	r.upTo(15)
	r.u(2)
	s.loose = r.u(3) != 0 || s.loose // free bits in each slice header
	r.u(2)
	r.skip(3)
	r.u(1)
	skipTransform := r.flag()
	if r.flag() {
		r.skip(1)
	}
	r.skip(2)
	r.u(4)
	tiles := r.flag()
	r.u(1)
	if tiles {
		cols, rows := r.upTo(1024), r.upTo(1024)
		if !r.flag() {
			r.skip(cols + rows)
		}
		r.u(1)
	}
	r.u(1)
	if r.flag() {
		r.u(1)
		if !r.flag() {
			r.skip(2)
		}
	}
	if r.flag() {
		scalingLists(r)
	}
	r.u(1)
	r.skip(1)
	s.loose = r.flag() || s.loose // free bytes in each
	if r.flag() {
		ranges, other := r.flag(), r.u(7)
		if ranges {
			if skipTransform {
				r.skip(1)
			}
			r.u(1)
			if r.flag() {
				r.skip(1)
				r.skip(2 * (1 + r.upTo(5)))
			}
			r.skip(2)
		}
		s.loose = s.loose || other != 0
	}
	if r.bad {
		return refuse(CodeCorrupt, "picture parameter set is malformed")
	}
	if r.large || !r.ends() {
		s.loose = true
	}
	return nil
}

// video reads a video parameter set (7.3.2.1). It is read after the sequence parameter set, whose
// number of sub-layers it must share.
func (s *paramSets) video(nal []byte) error {
	r := newParamReader(nal)
	r.u(6)
	layers := r.u(6)
	n := int(r.u(3)) + 1
	r.u(1)
	s.loose = r.u(16) != 0xFFFF || s.loose
	if n != s.subLayers {
		return refuse(CodeCorrupt, "parameter sets do not fit each other")
	}
	s.profileTierLevel(r)
	s.ordering(r)
	maxLayer, sets := int(r.u(6)), r.upTo(1023)
	for range sets {
		for range maxLayer + 1 {
			r.u(1)
		}
	}
	s.loose = s.loose || maxLayer != 0 || sets != 0
	if r.flag() {
		s.timing(r)
		if r.upTo(1024) != 0 {
			s.loose = true
			return nil
		}
	}
	if r.bad {
		return refuse(CodeCorrupt, "video parameter set is malformed")
	}
	if r.large || r.flag() || layers != 0 || !r.ends() {
		s.loose = true
	}
	return nil
}
