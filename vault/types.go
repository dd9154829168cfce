package vault

import (
	"crypto/sha256"
	"time"

	"photovault/consent"
	"photovault/vault/id"
)

// Patient is one patient's sealed row. The record number is found by a blind
// index; neither it nor the name ever stands in a clear column.
type Patient struct {
	ID           id.Patient  `json:"id"`
	Practice     id.Practice `json:"practice"`
	RecordNumber string      `json:"record_number"`
	Name         string      `json:"name,omitempty"`
	CreatedAt    time.Time   `json:"created_at"`
	CreatedBy    id.Account  `json:"created_by"`
}

// Account is a person or system that can authenticate; one role each
// (45 CFR 164.312(a)(2)(i): no shared accounts).
type Account struct {
	ID        id.Account   `json:"id"`
	Practice  id.Practice  `json:"practice"`
	Name      string       `json:"name"`
	Role      consent.Role `json:"role"`
	Version   int64        `json:"version"`
	CreatedAt time.Time    `json:"created_at"`
	RevokedAt time.Time    `json:"revoked_at,omitzero"`
}

// Active reports whether the account may authenticate.
func (a *Account) Active() bool { return a.RevokedAt.IsZero() }

// Credential is one personal token of an account.
type Credential struct {
	ID        id.Credential      `json:"id"`
	Practice  id.Practice        `json:"practice"`
	Account   id.Account         `json:"account"`
	Hash      consent.BearerHash `json:"hash"`
	ExpiresAt time.Time          `json:"expires_at"`
}

// Grant lets its holder add one photo, and nothing else.
type Grant struct {
	Practice  id.Practice        `json:"practice"`
	Photo     id.Photo           `json:"photo"`
	Account   id.Account         `json:"account"` // who declared the photo
	Hash      consent.BearerHash `json:"hash"`
	ExpiresAt time.Time          `json:"expires_at"`
}

// Upload is one tus upload of a photo's sealed envelope, of a part of it
// (Partial), or one that was put together from such parts (Parts).
type Upload struct {
	ID        id.Upload   `json:"id"`
	Practice  id.Practice `json:"practice"`
	Photo     id.Photo    `json:"photo"`
	Patient   id.Patient  `json:"patient"`
	Owner     id.Account  `json:"owner"`
	Length    int64       `json:"length"` // bytes of envelope
	CreatedAt time.Time   `json:"created_at"`
	Partial   bool        `json:"partial,omitempty"` // nothing follows from its last byte
	Parts     []id.Upload `json:"parts,omitempty"`   // what a final upload took its bytes from, in order
	Asked     Asked       `json:"asked,omitzero"`

	Offset    int64     `json:"-"` // bytes that are durable
	ExpiresAt time.Time `json:"-"` // moves with each byte received
}

// Asked is what a client said of an upload when it began it. It is told that
// again, as tus demands, and nothing else follows from it. A file's name may
// stand in it: it is kept in the sealed row only, and goes with the upload.
type Asked struct {
	Metadata string `json:"metadata,omitempty"` // Upload-Metadata
	Concat   string `json:"concat,omitempty"`   // Upload-Concat
}

// Segment is a durable part of an upload. Segments lie end to end.
type Segment struct {
	Start  int64             `json:"start"`
	Size   int64             `json:"size"`
	Object id.Object         `json:"object"`
	SHA256 [sha256.Size]byte `json:"-"` // of the bytes as they were received
}

// Job is the durable promise to turn a received upload into a photo.
type Job struct {
	Practice id.Practice
	Photo    id.Photo
	Attempts int
	Lease    time.Time // held until; the fence of its commit
}

// PhotoKey is a photo's wrapped data key. Removing the row is what revokes a
// photo: the running system can never open it again. With an authorization it
// is the key of the copies that were made for marketing under that, and ends
// with it.
type PhotoKey struct {
	Photo         id.Photo         `json:"photo"`
	Authorization id.Authorization `json:"authorization,omitempty"`
	Wrapped       []byte           `json:"wrapped"`

	Copies    []Copy    `json:"copies,omitempty"`
	KeepUntil time.Time `json:"keep_until,omitzero"` // when the authorization ends by date
}

// Copy is a rendition that was copied for marketing.
type Copy struct {
	Rendition
	Source id.Object `json:"source"` // the photo's own rendition that it was made from
}

// copyOf returns the copy of a photo's rendition as that is now; nil: there is none.
func (k *PhotoKey) copyOf(r *Rendition) *Rendition {
	if k == nil || r == nil {
		return nil
	}
	for i := range k.Copies {
		if c := &k.Copies[i]; c.Name == r.Name && c.Source == r.Object {
			return &c.Rendition
		}
	}
	return nil
}

// UploadKey is one key pair that tablets seal to; the pair is derived from the
// wrapped seed.
type UploadKey struct {
	ID        id.UploadKey `json:"id"`
	Practice  id.Practice  `json:"practice"`
	Suite     uint16       `json:"suite"` // HPKE KEM id, RFC 9180 §7.1
	Public    []byte       `json:"public"`
	Wrapped   []byte       `json:"wrapped"`
	CreatedAt time.Time    `json:"created_at"`
	SealUntil time.Time    `json:"seal_until"` // tablets stop sealing to it
	OpenUntil time.Time    `json:"open_until"` // the vault stops opening what was sealed to it
}

// Object is the catalog's row of an object in the blob store. It is written
// before the object is, so that nothing in the store is ever unknown.
type Object struct {
	ID    id.Object
	Area  string // blobs.Area
	Owner string // id of the photo or upload
	Size  int64
	// Authorization is set for copies that are made for marketing.
	Authorization id.Authorization
}
