package main

import "photovault/imaging/specimen"

// generated is a photo as a camera would have written it: EXIF with a
// position, a maker note, a thumbnail, XMP and a trailer.
func generated() []byte {
	return specimen.JPEG(specimen.Full(3000, 2000, 1))
}
