package codec

// Tables of ITU-T T.81 annex K: suggestions that every decoder is tuned for.

// zigZag gives the natural index of the k-th coefficient in zig-zag order (figure A.6).
var zigZag = [64]byte{
	0, 1, 8, 16, 9, 2, 3, 10,
	17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34,
	27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36,
	29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46,
	53, 60, 61, 54, 47, 55, 62, 63,
}

// Quantisation in natural order (tables K.1 and K.2).
var (
	quantLuma = [64]byte{
		16, 11, 10, 16, 24, 40, 51, 61,
		12, 12, 14, 19, 26, 58, 60, 55,
		14, 13, 16, 24, 40, 57, 69, 56,
		14, 17, 22, 29, 51, 87, 80, 62,
		18, 22, 37, 56, 68, 109, 103, 77,
		24, 35, 55, 64, 81, 104, 113, 92,
		49, 64, 78, 87, 103, 121, 120, 101,
		72, 92, 95, 98, 112, 100, 103, 99,
	}
	quantChroma = [64]byte{
		17, 18, 24, 47, 99, 99, 99, 99,
		18, 21, 26, 66, 99, 99, 99, 99,
		24, 26, 56, 99, 99, 99, 99, 99,
		47, 66, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
	}
)

// Huffman tables K.3 to K.6: how many codes of each length 1..16, and their values.
var (
	dcLumaCounts   = [16]byte{0, 1, 5, 1, 1, 1, 1, 1, 1}
	dcChromaCounts = [16]byte{0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}
	dcValues       = []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}

	acLumaCounts = [16]byte{0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125}
	acLumaHead   = []byte{
		0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
		0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
		0x24, 0x33, 0x62, 0x72, 0x82,
	}
	acChromaCounts = [16]byte{0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119}
	acChromaHead   = []byte{
		0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
		0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
		0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1,
	}
)

// acValues completes a head of table K.5 or K.6: the remaining values, all of the longest code, stand
// in ascending order of run and size.
func acValues(head []byte) []byte {
	var seen [256]bool
	for _, v := range head {
		seen[v] = true
	}
	out := append([]byte(nil), head...)
	for run := range 16 {
		for size := 1; size <= 10; size++ {
			if v := byte(run<<4 | size); !seen[v] {
				out = append(out, v)
			}
		}
	}
	return out
}
