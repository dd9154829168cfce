package specimen

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// withWindow has the sequence parameter set of a 4:2:0 picture cut off so many pairs of samples at the left,
// right, upper and lower edge (conformance window, ITU-T H.265 7.3.2.2). They stay in the coded data.
func withWindow(p codedPicture, window [4]int) codedPicture {
	p.config = rewriteSets(p.config, 33, func(bits string) []string { return []string{cutSequence(bits, window)} })
	p.width -= 2 * (window[0] + window[1])
	p.height -= 2 * (window[2] + window[3])
	return p
}

// rewriteSets has the one parameter set of a kind in a decoder configuration record rewritten, bit by bit, behind its
// unit header and as far as its stop bit, and puts all that come of it in its place.
func rewriteSets(config []byte, kind byte, rewrite func(bits string) []string) []byte {
	out := slices.Clone(config[:23])
	for at := 23; at < len(config); {
		size := int(binary.BigEndian.Uint16(config[at+3:]))
		units := [][]byte{config[at+5 : at+5+size]}
		if config[at]&0x3F == kind {
			units = nil
			for _, bits := range rewrite(bitsOf(config[at+5 : at+5+size])) {
				units = append(units, unitOf(kind, bits))
			}
		}
		out = binary.BigEndian.AppendUint16(append(out, config[at]), uint16(len(units)))
		for _, unit := range units {
			out = append(binary.BigEndian.AppendUint16(out, uint16(len(unit))), unit...)
		}
		at += 5 + size
	}
	return out
}

// bitsOf are the bits of a parameter set behind its header.
func bitsOf(nal []byte) string {
	var b strings.Builder
	for _, v := range bytes.ReplaceAll(nal[2:], []byte{0, 0, 3}, []byte{0, 0}) {
		fmt.Fprintf(&b, "%08b", v)
	}
	return strings.TrimRight(b.String(), "0")
}

// unitOf is a parameter set of these bits.
func unitOf(kind byte, bits string) []byte {
	bits += strings.Repeat("0", (8-len(bits)%8)%8)
	out := []byte{kind << 1, 1}
	zeros := 0
	for i := 0; i < len(bits); i += 8 {
		var v byte
		for _, c := range bits[i : i+8] {
			v = v<<1 | byte(c-'0')
		}
		if zeros == 2 && v <= 3 {
			out, zeros = append(out, 3), 0
		}
		if out = append(out, v); v == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}

// cutSequence rewrites a sequence parameter set of one sub-layer.
func cutSequence(bits string, window [4]int) string {
	at := 8 + 96 // numbers of sets and sub-layers; profile and level
	skip := func(n int) {
		for range n {
			zeros := strings.IndexByte(bits[at:], '1')
			at += 2*zeros + 1
		}
	}
	skip(4) // number, chroma format, width, height
	head := bits[:at] + "1"
	if at++; bits[at-1] == '1' {
		skip(4)
	}
	for _, v := range window {
		code := fmt.Sprintf("%b", v+1)
		head += strings.Repeat("0", len(code)-1) + code
	}
	return head + bits[at:]
}
