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
	out := slices.Clone(p.config[:23])
	for at := 23; at < len(p.config); {
		size := int(binary.BigEndian.Uint16(p.config[at+3:]))
		unit := p.config[at+5 : at+5+size]
		if p.config[at]&0x3F == 33 {
			unit = cutSequence(unit, window)
		}
		out = append(out, p.config[at:at+3]...)
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(unit))), unit...)
		at += 5 + size
	}
	p.config = out
	p.width -= 2 * (window[0] + window[1])
	p.height -= 2 * (window[2] + window[3])
	return p
}

// cutSequence rewrites a sequence parameter set of one sub-layer, bit by bit.
func cutSequence(nal []byte, window [4]int) []byte {
	var b strings.Builder
	for _, v := range bytes.ReplaceAll(nal, []byte{0, 0, 3}, []byte{0, 0}) {
		fmt.Fprintf(&b, "%08b", v)
	}
	bits := b.String()
	at := 16 + 8 + 96 // unit header; numbers of sets and sub-layers; profile and level
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
	bits = head + strings.TrimRight(bits[at:], "0") // as far as the stop bit
	bits += strings.Repeat("0", (8-len(bits)%8)%8)
	var out []byte
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
