package codec

// What a picture costs grows with its pixels, and a file of fifty bytes can have as many as the limits admit.
// So its bytes buy pixels. As many as a 12 megapixel camera takes (4096×3072) may be as plain as they like,
// as drawings and screenshots are. More of them in less than a mebibyte are less than two thirds of a bit
// each, which no camera writes: a white wall has noise. From there each byte buys 64 pixels, so that a photo
// of 24 megapixels needs 1.23 megabytes and one of 48 needs 1.6. A JPEG that is kept as it is coded, as most are,
// costs a quarter: 50 megapixels are free.
const (
	plainBytes    = 1 << 20
	plainPixels   = 12.6e6
	pixelsPerByte = 64
)

// checkProportion refuses on the header alone a picture that has far more pixels than the file has bytes for.
// Pixels of more than three bytes count for more than one.
func checkProportion(pixels, bytesPerPixel, size int64) error {
	if cost := max(pixels, pixels*bytesPerPixel/3); cost > plainPixels+pixelsPerByte*max(0, size-plainBytes) {
		return refuse(CodeComplex, "%d pixels of %d bytes in a file of %d bytes", pixels, bytesPerPixel, size)
	}
	return nil
}
