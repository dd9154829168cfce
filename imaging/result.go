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
)

// Names of renditions.
const (
	Original = "original" // full size
	Web      = "web"      // long side at most 1600 pixels
	Thumb    = "thumb"    // long side at most 320 pixels
)

// Result is what becomes of one accepted photo. The caller owns it; the data of the renditions is not
// shared with anything.
type Result struct {
	Renditions []Rendition // original, web, thumb, in this order
	Findings   Findings
}
