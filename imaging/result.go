package imaging

import "photovault/imaging/internal/wire"

// The plain types of a result are shared with the worker; they are documented there.
type (
	// Rendition is one finished picture: Name (original, web, thumb), ContentType, Width and Height in
	// pixels, Data and its SHA256.
	Rendition = wire.Rendition
	// Findings say what an upload carried and what was done about it; they belong in the receipt.
	Findings = wire.Findings
	// Removed counts one kind of carrier that did not survive.
	Removed = wire.Removed
	// Pixels are the hashes of decoded pixels along the way.
	Pixels = wire.Pixels
	// Region is a part of the upright picture, in ten thousandths of its width and height.
	Region = wire.Region
	// Shape of a region: Rectangle, or Ellipse for the one inscribed in it.
	Shape = wire.Shape
)

// Shapes of regions.
const (
	Rectangle = wire.Rectangle
	Ellipse   = wire.Ellipse
)

// MaxRegions of one picture.
const MaxRegions = wire.MaxRegions

// Names of renditions.
const (
	Original    = "original"     // full size
	Web         = "web"          // long side at most 1600 pixels
	Thumb       = "thumb"        // long side at most 320 pixels
	Masked      = "masked"       // web with regions blacked out
	MaskedThumb = "masked-thumb" // masked, long side at most 320 pixels
	Compare     = "compare"      // two of web or masked side by side
)

// Result is what becomes of one accepted photo. The caller owns it; the data of the renditions is not
// shared with anything.
type Result struct {
	Renditions []Rendition // original, web, thumb, in this order
	Findings   Findings
}
