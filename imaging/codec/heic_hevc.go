package codec

import (
	"bytes"
	"encoding/binary"
)

// Types of NAL units (ITU-T H.265 table 7-1).
const (
	nalIRAPFirst, nalIRAPLast = 16, 21 // pictures that decode without others
	nalVideo, nalSeq, nalPic  = 32, 33, 34
	nalPrefixSEI, nalSuffix   = 39, 40
)

// Bounds of one coded picture.
const (
	maxNALs      = 4096
	maxParamSets = 16
	maxParamSize = 4096
)

// hevcConfig is a decoder configuration record (ISO/IEC 14496-15, 8.3.3) reduced to its parameter sets.
type hevcConfig struct {
	raw    []byte // as it stood in the file
	length int    // bytes of a NAL unit's length
	sets   [3][][]byte
	params paramSets
	shown  [64]bool // picture parameter sets, by number, that a slice names
	// What is left out of the record.
	sei, unused int
}

// parseConfig reads a configuration record. Exactly one video and one sequence parameter set must be
// there; repetitions are left out.
func parseConfig(p []byte) (*hevcConfig, error) {
	c := cursor{p: p}
	if c.u8() != 1 {
		return nil, refuse(CodeCoding, "decoder configuration of another version")
	}
	c.take(20)
	h := &hevcConfig{raw: p, length: c.u8()&3 + 1}
	total := 0
	for range c.u8() {
		kind := c.u8() & 0x3F
		for range c.u16() {
			nal := c.take(c.u16())
			if total++; c.bad || total > maxNALs {
				return nil, refuse(CodeCorrupt, "decoder configuration is malformed")
			}
			if err := h.add(kind, nal); err != nil {
				return nil, err
			}
		}
	}
	if c.bad || len(c.p) != 0 {
		return nil, refuse(CodeCorrupt, "decoder configuration is malformed")
	}
	if len(h.sets[0]) != 1 || len(h.sets[1]) != 1 || len(h.sets[2]) < 1 {
		return nil, refuse(CodeCoding, "a picture without exactly one set of parameters")
	}
	if err := h.params.sequence(h.sets[1][0][2:]); err != nil {
		return nil, err
	}
	for _, nal := range h.sets[2] {
		if err := h.params.picture(nal[2:]); err != nil {
			return nil, err
		}
	}
	return h, h.params.video(h.sets[0][0][2:])
}

// add takes one NAL unit of the record.
func (h *hevcConfig) add(kind int, nal []byte) error {
	if kind == nalPrefixSEI || kind == nalSuffix {
		h.sei += 2 + len(nal)
		return nil
	}
	if kind < nalVideo || kind > nalPic {
		h.unused += 2 + len(nal)
		return nil
	}
	if len(nal) < 3 || len(nal) > maxParamSize || int(nal[0]) != kind<<1 || nal[1] != 1 {
		return refuse(CodeCorrupt, "decoder configuration is malformed")
	}
	if h.holds(nal) {
		h.unused += 2 + len(nal)
		return nil
	}
	i := kind - nalVideo
	if h.sets[i] = append(h.sets[i], nal); len(h.sets[i]) > maxParamSets {
		return refuse(CodeComplex, "more than %d parameter sets", maxParamSets)
	}
	return nil
}

// holds reports whether a parameter set is already there.
func (h *hevcConfig) holds(nal []byte) bool {
	for _, s := range h.sets[nal[0]>>1&0x3F-nalVideo] {
		if bytes.Equal(s, nal) {
			return true
		}
	}
	return false
}

// record writes the configuration anew. What it repeats of the sequence parameter set comes from there.
func (h *hevcConfig) record() []byte {
	s := &h.params
	b := append([]byte{1}, s.profile...)
	b = append(b, 0xF0, 0, 0xFC, 0xFC|byte(s.chroma), 0xF8|byte(s.bits-8), 0xF8|byte(s.chromaBits-8), 0, 0)
	last := byte(s.subLayers)<<3 | 3
	if s.nesting {
		last |= 4
	}
	b = append(b, last, 3)
	for i, set := range h.sets {
		b = append(b, 0x80|byte(nalVideo+i))
		b = binary.BigEndian.AppendUint16(b, uint16(len(set)))
		for _, nal := range set {
			b = binary.BigEndian.AppendUint16(b, uint16(len(nal)))
			b = append(b, nal...)
		}
	}
	return b
}

// picture picks from an item's data the NAL units that the picture consists of: its slices. SEI
// messages can hold anything, as can delimiters, filler and units of types that nobody has defined.
func (h *hevcConfig) picture(data []byte, removed *removals) ([][]byte, error) {
	var slices [][]byte
	kind := 0
	for count := 0; len(data) > 0; count++ {
		if count == maxNALs {
			return nil, refuse(CodeComplex, "a picture of more than %d parts", maxNALs)
		}
		c := cursor{p: data}
		var size uint64
		for _, b := range c.take(h.length) {
			size = size<<8 | uint64(b)
		}
		if c.bad || size < 2 || size > uint64(len(c.p)) {
			return nil, refuse(CodeCorrupt, "coded data does not add up")
		}
		nal := c.p[:size]
		data = c.p[size:]
		whole := h.length + len(nal)
		t := int(nal[0] >> 1)
		switch {
		case nal[0]&0x80 != 0 || nal[1]&7 == 0:
			return nil, refuse(CodeCorrupt, "coded data is malformed")
		case nal[0]&1 != 0 || nal[1]>>3 != 0: // another layer than the picture's
			removed.add("unused coded data", whole)
		case t == nalPrefixSEI || t == nalSuffix:
			removed.add("SEI", whole)
		case t >= nalVideo && t <= nalPic:
			if !h.holds(nal) {
				return nil, refuse(CodeCoding, "parameters that change within the picture")
			}
			removed.add("unused coded data", whole)
		case t >= nalVideo:
			removed.add("unused coded data", whole)
		case t < nalIRAPFirst || t > nalIRAPLast || nal[1] != 1:
			return nil, refuse(CodeCoding, "a picture that needs others")
		default:
			first := len(nal) > 2 && nal[2]&0x80 != 0
			if first != (slices == nil) || kind != 0 && t != kind {
				return nil, refuse(CodeCoding, "more or less than one picture in an item")
			}
			kind = t
			kept := trimSlice(nal)
			if len(kept) < 4 {
				return nil, refuse(CodeCorrupt, "coded data is malformed")
			}
			removed.add("unused coded data", len(nal)-len(kept))
			h.shown[namedPicture(kept)] = true
			slices = append(slices, kept)
		}
	}
	if slices == nil {
		return nil, refuse(CodeCorrupt, "an item without a picture")
	}
	return slices, nil
}

// namedPicture is the number of the picture parameter set that a slice of a picture that decodes without others names
// (7.3.6.1).
func namedPicture(slice []byte) int {
	r := newParamReader(slice[2:min(len(slice), 16)])
	r.u(2)
	return r.upTo(63)
}

// dropUnused leaves out the picture parameter sets that no slice names, once all slices were seen.
func (h *hevcConfig) dropUnused(removed *removals) {
	kept := h.sets[2][:0:0]
	for _, nal := range h.sets[2] {
		if r := newParamReader(nal[2:]); h.shown[r.upTo(63)] {
			kept = append(kept, nal)
		} else {
			removed.add("unused coded data", 2+len(nal))
		}
	}
	h.sets[2] = kept
}

// trimSlice cuts off what may follow the stop bit of a slice: zero words (7.3.2.13) and zero bytes.
func trimSlice(nal []byte) []byte {
	for {
		switch {
		case bytes.HasSuffix(nal, []byte{0, 0, 3}):
			nal = nal[:len(nal)-3]
		case len(nal) > 0 && nal[len(nal)-1] == 0:
			nal = nal[:len(nal)-1]
		default:
			return nal
		}
	}
}
