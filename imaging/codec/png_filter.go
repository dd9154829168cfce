package codec

// unfilter turns a filtered row into samples in place (PNG 9.2); prev is the row above it, in samples.
// It reports false for a filter that does not exist.
func unfilter(kind byte, row, prev []byte, bpp int) bool {
	switch kind {
	case 0:
	case 1:
		for i := bpp; i < len(row); i++ {
			row[i] += row[i-bpp]
		}
	case 2:
		for i, p := range prev {
			row[i] += p
		}
	case 3:
		for i := range row {
			left := 0
			if i >= bpp {
				left = int(row[i-bpp])
			}
			row[i] += byte((left + int(prev[i])) / 2)
		}
	case 4:
		for i := range row {
			var left, corner byte
			if i >= bpp {
				left, corner = row[i-bpp], prev[i-bpp]
			}
			row[i] += paeth(left, prev[i], corner)
		}
	default:
		return false
	}
	return true
}

// filter writes the filtered form of a row of samples to out.
func filter(kind byte, out, row, prev []byte, bpp int) {
	for i, v := range row {
		var left, corner byte
		if i >= bpp {
			left, corner = row[i-bpp], prev[i-bpp]
		}
		switch kind {
		case 1:
			v -= left
		case 2:
			v -= prev[i]
		case 3:
			v -= byte((int(left) + int(prev[i])) / 2)
		case 4:
			v -= paeth(left, prev[i], corner)
		}
		out[i] = v
	}
}

func paeth(a, b, c byte) byte {
	p := int(a) + int(b) - int(c)
	pa, pb, pc := abs(p-int(a)), abs(p-int(b)), abs(p-int(c))
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}

func abs(v int) int {
	if v < 0 {
		return -v
	}
	return v
}
