package codec

import "bytes"

// quantTables keeps the latest table of each slot. A table that changes between scans of the
// components that use it is legal (T.81 B.2.4.1) but written by nobody, and decoders disagree on it.
func (l *jpegLayout) quantTables(body []byte) error {
	for len(body) > 0 {
		size := 1 + 64*(1+int(body[0]>>4))
		slot := body[0] & 15
		if body[0]>>4 > 1 || slot > 3 || len(body) < size {
			return refuse(CodeCorrupt, "malformed quantisation table")
		}
		if l.quantUsed[slot] && !bytes.Equal(l.quant[slot], body[:size]) {
			return refuse(CodeCoding, "quantisation table changes inside the image")
		}
		if l.quant[slot] != nil {
			l.removed.add("unused tables", size)
		}
		l.quant[slot] = body[:size]
		body = body[size:]
	}
	return nil
}

func (l *jpegLayout) huffTables(body []byte) error {
	for len(body) > 0 {
		if len(body) < 17 {
			return refuse(CodeCorrupt, "malformed Huffman table")
		}
		n := 0
		for _, c := range body[1:17] {
			n += int(c)
		}
		class, slot := body[0]>>4, body[0]&15
		if class > 1 || slot > 3 || n > 256 || len(body) < 17+n {
			return refuse(CodeCorrupt, "malformed Huffman table")
		}
		h, err := newHuffSpec(class, body[1:17], body[17:17+n])
		if err != nil {
			return err
		}
		if l.huffAll = append(l.huffAll, h); len(l.huffAll) > maxTables {
			return refuse(CodeComplex, "more than %d Huffman tables", maxTables)
		}
		if class == 0 {
			l.huffDC[slot] = h
		} else {
			l.huffAC[slot] = h
		}
		body = body[17+n:]
	}
	return nil
}

// startScan takes a scan header (T.81 B.2.3) and checks it against the frame.
func (l *jpegLayout) startScan(body, data []byte) error {
	if l.comps == nil {
		return refuse(CodeCorrupt, "a scan before the frame header")
	}
	if len(l.scans) == maxScans {
		return refuse(CodeComplex, "more than %d scans", maxScans)
	}
	if len(body) < 1 || body[0] < 1 || int(body[0]) > len(l.comps) || len(body) != 4+2*int(body[0]) {
		return refuse(CodeCorrupt, "malformed scan header")
	}
	n := int(body[0])
	s := scan{ss: body[1+2*n], se: body[2+2*n], ah: body[3+2*n] >> 4, al: body[3+2*n] & 15,
		dc: l.huffDC, ac: l.huffAC, restart: l.restart, data: data}
	if err := s.checkSpectral(l.sof == mSOF2, n); err != nil {
		return err
	}
	for i := range n {
		sc := scanComponent{index: -1, td: body[2+2*i] >> 4, ta: body[2+2*i] & 15}
		for j, c := range l.comps {
			if c.id == body[1+2*i] {
				sc.index = j
			}
		}
		limit := byte(3)
		if l.sof == mSOF0 {
			limit = 1
		}
		// The components of a scan stand in the order of the frame (T.81 B.2.3), so none twice.
		if sc.index < 0 || sc.td > limit || sc.ta > limit || i > 0 && sc.index <= s.comps[i-1].index {
			return refuse(CodeCorrupt, "malformed scan header")
		}
		if s.usesDC() && s.dc[sc.td] == nil || s.usesAC() && s.ac[sc.ta] == nil {
			return refuse(CodeCorrupt, "a scan without its Huffman table")
		}
		if s.usesDC() {
			s.dc[sc.td].used = true
		}
		if s.usesAC() {
			s.ac[sc.ta].used = true
		}
		tq := l.comps[sc.index].tq
		if l.quant[tq] == nil {
			return refuse(CodeCorrupt, "a scan without its quantisation table")
		}
		l.quantUsed[tq] = true
		s.comps = append(s.comps, sc)
	}
	l.scans = append(l.scans, s)
	return nil
}

func (s *scan) checkSpectral(progressive bool, n int) error {
	ok := s.ss == 0 && s.se == 63 && s.ah == 0 && s.al == 0
	if progressive {
		ok = (s.ss == 0 && s.se == 0 || s.ss > 0 && s.ss <= s.se && s.se < 64 && n == 1) &&
			s.al <= 13 && (s.ah == 0 || s.ah == s.al+1)
	}
	if !ok {
		return refuse(CodeCorrupt, "scan of coefficients %d..%d, bits %d..%d", s.ss, s.se, s.ah, s.al)
	}
	return nil
}

// usesDC and usesAC say which kinds of Huffman table the scan reads with.
func (s *scan) usesDC() bool { return s.ss == 0 && s.ah == 0 }
func (s *scan) usesAC() bool { return s.se > 0 }
