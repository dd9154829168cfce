// Package wire is what the service and a media worker say to each other: plain types and small
// length-prefixed frames. It decodes no pictures. Everything a worker sends is treated as hostile:
// every length is checked against a bound before memory is set aside for it.
package wire

import "crypto/sha256"

// Mode says what a worker is to do with its one request.
type Mode byte

const (
	// Sanitise takes one photo and answers with its renditions and findings.
	Sanitise Mode = 'S'
	// Scan takes finished renditions and answers with what it saw while decoding each of them.
	Scan Mode = 'V'
	// Mask takes one finished rendition and answers with it, its regions blacked out.
	Mask Mode = 'M'
	// Shrink takes one finished rendition and answers with it in the size of a thumb.
	Shrink Mode = 'T'
	// Compare takes two finished renditions, before and after, and answers with both side by side.
	Compare Mode = 'C'
	// Probe takes nothing: the worker tries what its fences forbid and says which attempts failed.
	Probe Mode = 'P'
)

// WithHEVC, as the first argument that a worker gets, has it make ready to decode HEVC before it puts up
// its fences.
const WithHEVC = "hevc"

// Limits bound one photo. They travel with the request, so that the worker refuses on the header
// alone and does not have to run into its fences.
type Limits struct {
	MaxPixels   int64 // width × height
	MaxSide     int64 // pixels
	MemoryBytes int64 // what the worker may allocate in total, including the Go runtime
}

// Request is the one message a worker reads.
type Request struct {
	Mode    Mode
	Limits  Limits
	Regions []Region // of Mask: what is blacked out; of Compare: what is shown of each picture
	Blobs   [][]byte
}

// Shape of a region.
type Shape byte

const (
	Rectangle Shape = 'R'
	Ellipse   Shape = 'E' // the one inscribed in the rectangle
)

// RegionUnit is the width or height of the upright picture, whichever is measured.
const RegionUnit = 10000

// Region is a part of the upright picture, in RegionUnits from its left and upper edge.
type Region struct {
	Shape               Shape
	X, Y, Width, Height int
}

// Valid reports that a region has an area and lies within the picture.
func (r Region) Valid() bool {
	return (r.Shape == Rectangle || r.Shape == Ellipse) && r.X >= 0 && r.Y >= 0 && r.Width > 0 && r.Height > 0 &&
		r.X <= RegionUnit-r.Width && r.Y <= RegionUnit-r.Height && r.Width <= RegionUnit && r.Height <= RegionUnit
}

// MaxRegions of one request.
const MaxRegions = 32

// Removed counts what one kind of carrier took up in the upload and did not survive.
type Removed struct {
	Kind  string
	Bytes int64
}

// Pixels are SHA-256 hashes over decoded pixels in one canonical form (see codec.HashPixels), so
// that anybody can check what happened to the picture between upload and delivery.
type Pixels struct {
	// Decoded is the upload as it decodes, before orientation and colour.
	Decoded [sha256.Size]byte
	// Encoded is what was handed to the encoder; equal to Decoded when the coded data was kept.
	Encoded [sha256.Size]byte
	// Delivered is the finished original as a fresh worker decoded it.
	Delivered [sha256.Size]byte
}

// Findings say what was in the upload and what was done about it. They hold no position, no device
// name and no serial number: they may be shown to people who may not see the photo.
type Findings struct {
	Format         string // of the upload: jpeg, png, webp, heic
	Width, Height  int    // of the upload as coded, before orientation
	CaptureTime    string // as EXIF wrote it, "2006:01:02 15:04:05"; empty when absent
	Orientation    int    // EXIF orientation 1..8; 0 when absent
	HadGPS         bool
	EXIFUnreadable bool // EXIF was there and could not be read in full
	Removed        []Removed

	CodedDataKept     bool   // the original's coded picture is the upload's, bit for bit
	OrientationBaked  bool   // the picture was turned, and therefore coded anew
	TurnedWithoutLoss bool   // ... and of a JPEG every coefficient kept its value
	ColourConverted   bool   // pixels were converted to sRGB, and therefore coded anew
	SourceProfile     string // one of Profiles

	Pixels       Pixels
	InputSHA256  [sha256.Size]byte // of the upload; filled in by the service
	WorkerMaxRSS int64             // bytes, the larger of the workers used; filled in by the service
}

// Rendition is one finished picture.
type Rendition struct {
	Name          string // original, web, thumb
	ContentType   string // one of ContentTypes
	Width, Height int    // pixels
	Data          []byte
	SHA256        [sha256.Size]byte // of Data; filled in by the service
}

// Seen is what a scanning worker found in one finished picture.
type Seen struct {
	ContentType   string
	Width, Height int
	Pixels        [sha256.Size]byte
}

// Answer is the one message a worker writes after its greeting. Code is empty when the request was
// carried out; otherwise only Code, Detail, Need and HEVC are set.
type Answer struct {
	Code, Detail string
	Need         int64 // bytes that a worker must be able to allocate to carry it out, if more than this one
	HEVC         bool  // it must be one that can decode HEVC, which this one is not or is too small
	Findings     Findings
	Renditions   []Rendition
	// Pieces may stand in for the Data of renditions when an answer is written: what follows one
	// another on the wire need not do so in a worker's scarce memory. Reading fills in Data.
	Pieces [][][]byte
	Seen   []Seen
	Held   Fences // after Probe: which forbidden attempts were refused
}

// Fences is a set of fences that hold.
type Fences uint32

const (
	NoNewPrivs Fences = 1 << iota
	NonDumpable
	MemoryLimit
	CPULimit
	NoFileWrites  // RLIMIT_FSIZE 0
	NoCore        // RLIMIT_CORE 0
	NoDescriptors // RLIMIT_NOFILE 0
	Seccomp       // system call allow-list on all threads
	Landlock      // file system and network denied by Landlock on all threads
	OpenDenied    // from here on: tried from inside and refused
	SocketDenied
	ExecDenied
	ForkDenied
	PtraceDenied
	PeekDenied // process_vm_readv of the parent
	SignalDenied
	ExecMapDenied // executable memory
	EmptyEnvironment
)

// Hello is the first message of a worker, sent once its fences stand and before it reads anything.
type Hello struct {
	Fences Fences
}
