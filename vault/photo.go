package vault

import (
	"time"

	"photovault/consent"
	"photovault/vault/id"
)

// PhotoState is how far a photo has come.
type PhotoState string

// States of a photo:
// declared → receiving → received → ready | rejected; any → deleted.
const (
	Declared  PhotoState = "declared"  // id and grant handed out, no byte here
	Receiving PhotoState = "receiving" // an upload was created
	Received  PhotoState = "received"  // the last byte is durable; ingest will follow
	Ready     PhotoState = "ready"     // renditions are stored
	Rejected  PhotoState = "rejected"  // it was no acceptable photo; see Photo.RejectedCode
	Removed   PhotoState = "deleted"   // revoked: the key is gone
)

// Photo is one photo's sealed row.
type Photo struct {
	ID         id.Photo     `json:"id"`
	Practice   id.Practice  `json:"practice"`
	Patient    id.Patient   `json:"patient"`
	Device     id.Device    `json:"device"`
	Capture    id.Capture   `json:"capture"`
	State      PhotoState   `json:"state"`
	Version    int64        `json:"version"` // grows with each change
	Kind       string       `json:"kind,omitempty"`
	View       string       `json:"view,omitempty"`
	BodySite   string       `json:"body_site,omitempty"`
	Set        id.Set       `json:"set,omitempty"`       // photos that belong together
	Treatment  id.Treatment `json:"treatment,omitempty"` // the course of treatment it shows
	SetBy      id.Account   `json:"set_by,omitempty"`    // who made the set
	DeclaredBy id.Account   `json:"declared_by"`
	DeclaredAt time.Time    `json:"declared_at"`
	ReadyAt    time.Time    `json:"ready_at,omitzero"`
	DeletedAt  time.Time    `json:"deleted_at,omitzero"`

	RejectedCode string      `json:"rejected_code,omitempty"`
	Renditions   []Rendition `json:"renditions,omitempty"`
	Receipt      *Receipt    `json:"receipt,omitempty"`

	Recognisable *bool `json:"-"` // set by Service.Photo, from the patient's record
}

// Kinds of photo a client may declare; empty is allowed too.
var Kinds = []string{"before", "after", "progress"}

// Rendition is one stored form of a photo. The object holds exactly
// seal.SealedSize(Size) bytes.
type Rendition struct {
	Name        string    `json:"name"` // one of RenditionNames or DerivedNames
	Object      id.Object `json:"object"`
	ContentType string    `json:"content_type"`
	Width       int       `json:"width"`  // pixels
	Height      int       `json:"height"` // pixels
	Size        int64     `json:"size"`   // bytes of plaintext
	SHA256      string    `json:"sha256"` // of the plaintext, hexadecimal

	Marking id.Event      `json:"marking,omitempty"` // of "masked", "masked-thumb" and "masked-compare": what says which regions of the photo are hidden
	With    consent.Photo `json:"with,omitzero"`     // of "compare" and "masked-compare": the other photo that it shows
}

// Subject is what a decision needs to know of the photo.
func (p *Photo) Subject() consent.Photo {
	out := consent.Photo{ID: p.ID, Patient: p.Patient, Set: p.Set, Treatment: p.Treatment, DeclaredBy: p.DeclaredBy, SetBy: p.SetBy, Ready: p.State == Ready}
	if r := p.rendition(consent.Masked); r != nil {
		out.Marking = r.Marking
	}
	if r := p.rendition(consent.MaskedThumb); r != nil {
		out.ThumbMarking = r.Marking
	}
	if r := p.rendition(consent.Compare); r != nil {
		other := r.With
		out.With = &other
	}
	if r := p.rendition(consent.MaskedCompare); r != nil {
		other := r.With
		out.PairMarking, out.MaskedWith = r.Marking, &other
	}
	return out
}

func (p *Photo) rendition(name string) *Rendition {
	for i := range p.Renditions {
		if p.Renditions[i].Name == name {
			return &p.Renditions[i]
		}
	}
	return nil
}

// Receipt is what sanitising found, removed and made. It tells that a position
// was there, never which.
type Receipt struct {
	Photo     id.Photo    `json:"photo"`
	Practice  id.Practice `json:"practice"`
	IssuedAt  time.Time   `json:"issued_at"`
	Software  string      `json:"software"`
	Findings  Findings    `json:"findings"`
	Signature []byte      `json:"signature"` // Ed25519, by the practice's evidence key
}

// Findings are what sanitising saw and did. Hashes are SHA-256, hexadecimal.
type Findings struct {
	Format         string    `json:"format"`        // of the upload: jpeg, png, webp, heic
	OutputFormat   string    `json:"output_format"` // of the original rendition
	Width          int       `json:"width"`         // pixels, as uploaded, before orientation
	Height         int       `json:"height"`        // pixels
	InputSHA256    string    `json:"input_sha256"`
	OutputSHA256   string    `json:"output_sha256"`                 // of the original rendition
	CapturedAt     string    `json:"captured_at,omitempty"`         // by the camera's clock, "2006:01:02 15:04:05"
	Orientation    int       `json:"orientation"`                   // EXIF, 1 to 8; 0: none given
	HadGPS         bool      `json:"had_gps"`                       // that there was a position, never which
	EXIFUnreadable bool      `json:"exif_unreadable"`               // EXIF was there, but malformed
	Removed        []Dropped `json:"removed"`                       // what did not survive
	CodedDataKept  bool      `json:"coded_data_kept"`               // the original's coded picture is the upload's, bit for bit
	Baked          bool      `json:"orientation_baked"`             // turned upright, and so coded anew
	Exactly        bool      `json:"turned_without_loss,omitempty"` // ... and every coefficient of the JPEG kept its value
	Converted      bool      `json:"colour_converted"`              // to sRGB, and so coded anew
	Profile        string    `json:"colour_profile"`                // of the upload
	PixelsBefore   string    `json:"pixels_before_sha256"`          // as the upload decodes
	PixelsEncoded  string    `json:"pixels_encoded_sha256"`         // as given to the encoder; equal to before if kept
	PixelsAfter    string    `json:"pixels_after_sha256"`           // as the original rendition decodes
}

// Dropped is one kind of thing that was dropped, never what it said.
type Dropped struct {
	Kind  string `json:"kind"`
	Bytes int64  `json:"bytes"`
}

// RenditionNames in order of size: those that every photo has.
var RenditionNames = []string{consent.Original, consent.Web, consent.Thumb}

// DerivedNames are those that are made of them when somebody asks for it.
var DerivedNames = []string{consent.Masked, consent.MaskedThumb, consent.Compare, consent.MaskedCompare}
