package vault

import (
	"context"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
	"photovault/vault/keys"
	"photovault/vault/secret"
)

// Catalogs is the database. Everything is reached through one practice; only
// secrets, which nobody can guess, are looked up across practices.
//
// Methods that change something take the audit entry that records it and
// write both in one transaction, or neither. The entry's ID, Practice and At
// are filled in by the catalog. Every method may return ErrUnavailable; rows
// that fail authentication, or contradict their clear columns or their
// patient's head, are ErrBroken.
type Catalogs interface {
	ForPractice(id.Practice) Catalog
	// Holder finds who a credential belongs to. ErrNotFound.
	Holder(ctx context.Context, h consent.BearerHash) (*Account, *Credential, error)
	// Grant finds an upload grant and the account that declared. ErrNotFound.
	Grant(ctx context.Context, h consent.BearerHash) (*Account, *Grant, error)
	// Release reads in one query all that a use of the token is decided on
	// and opened with. ErrNotFound.
	Release(ctx context.Context, h consent.BearerHash) (*Release, error)
	// ClaimJob leases the next due job until now+lease, or returns nil.
	ClaimJob(ctx context.Context, now time.Time, lease time.Duration) (*Job, error)
	// ClaimNotice leases the next message to the audience that is due until
	// now+lease, or returns nil.
	ClaimNotice(ctx context.Context, to Audience, now time.Time, lease time.Duration) (*Outgoing, error)
	// Expired returns uploads that expired before now.
	Expired(ctx context.Context, now time.Time, limit int) ([]*Upload, error)
	// TakeDead moves objects that were planned before t and never committed
	// from pending to dead, and returns dead ones.
	TakeDead(ctx context.Context, t time.Time, limit int) ([]DeadObject, error)
	// PracticeKey lends one of the practice's own keys; the catalog destroys it.
	PracticeKey(ctx context.Context, p id.Practice, purpose keys.Purpose) (*secret.Key, error)
	// PracticeKeys lends every version of one, oldest first.
	PracticeKeys(ctx context.Context, p id.Practice, purpose keys.Purpose) ([]*secret.Key, error)
	// RefreshKeys learns of keys that another process has made.
	RefreshKeys(ctx context.Context) error
	Practices(ctx context.Context) ([]id.Practice, error)
	// RewrapFile moves the database file's own key, where there is one, to the
	// newest version of the key-encryption key; it reports whether it did. It
	// touches the file and no practice's log: the rewrapping that it is part of
	// is logged by each practice.
	RewrapFile(ctx context.Context) (bool, error)
	Ready(ctx context.Context) error
}

// DeadObject is an object to be removed from the blob store.
type DeadObject struct {
	Practice id.Practice
	Object
}

// Release is a Redemption with what is needed to open the rendition.
type Release struct {
	consent.Redemption
	Photo *Photo
	Key   *PhotoKey // nil: revoked
}

// Catalog is one practice's part of the database.
type Catalog interface {
	Accounts
	Patients
	Records
	Campaigns
	Papers
	Takedowns
	Outbox
	Photos
	Derivations
	Uploads
	Releases
	AuditLog
	UploadKeys
	KeyCatalog
	Inspector
}

// Accounts and their credentials.
type Accounts interface {
	AddAccount(ctx context.Context, a *Account, c *Credential, e *audit.Entry) error
	ListAccounts(ctx context.Context) ([]*Account, error)
	// RevokeAccount ends an account and all its credentials. ErrNotFound;
	// revoking twice is no error.
	RevokeAccount(ctx context.Context, a id.Account, e *audit.Entry) error
}

// Patients and their blind index.
type Patients interface {
	// AddPatient adds a patient; first, which may be nil, says who treats the
	// patient from the beginning. ConflictError record_number_taken.
	AddPatient(ctx context.Context, p *Patient, first *consent.Event, e *audit.Entry) error
	Patient(ctx context.Context, p id.Patient) (*Patient, error)
	PatientByRecordNumber(ctx context.Context, number string) (*Patient, error)
}

// Records are append-only; each addition moves the patient's epoch by one.
// Where it ends what earlier releases for marketing stood on, a takedown opens
// for each of them in the same transaction; where it shows that one was not
// allowed when it was made, an event says that a review is owed.
// The keys of those copies for marketing that may not be kept any more go with
// it, too.
type Records interface {
	// Record reads a patient's record whole and checks it against the head.
	Record(ctx context.Context, p id.Patient) (*consent.Record, error)
	AddClinical(ctx context.Context, c *consent.Clinical, e *audit.Entry) error
	AddAuthorization(ctx context.Context, a *consent.Authorization, e *audit.Entry) error
	// AddEvent appends what consent.Record.Accepts: ErrNotFound,
	// ConflictError already_recorded, InvalidError event_incomplete.
	AddEvent(ctx context.Context, ev *consent.Event, e *audit.Entry) error
	// Event finds an event and whose record it is in. ErrNotFound.
	Event(ctx context.Context, ev id.Event) (id.Patient, *consent.Event, error)
	// PatientOf finds whose consent or authorization it is. ErrNotFound.
	PatientOf(ctx context.Context, subject string) (id.Patient, error)
	// Authorized lists patients with at least one authorization.
	Authorized(ctx context.Context) ([]id.Patient, error)
}

// Campaigns are what marketing does with photos.
type Campaigns interface {
	AddCampaign(ctx context.Context, c *consent.Campaign, e *audit.Entry) error
	// CloseCampaign ends it now and returns it; closing twice is no error. ErrNotFound.
	CloseCampaign(ctx context.Context, c id.Campaign, e *audit.Entry) (*consent.Campaign, error)
	Campaign(ctx context.Context, c id.Campaign) (*consent.Campaign, error)
	Campaigns(ctx context.Context) ([]consent.Campaign, error)
}

// Takedowns are what must come down. Additions to records open them.
type Takedowns interface {
	// Takedowns lists all, with their confirmations.
	Takedowns(ctx context.Context) ([]consent.Takedown, error)
	Takedown(ctx context.Context, t id.Takedown) (*consent.Takedown, error)
	// Overdue lists open ones that were due at now.
	Overdue(ctx context.Context, now time.Time) ([]consent.Takedown, error)
	// EscalateTakedown marks an open one as overdue. ErrGone: it is not open any more.
	EscalateTakedown(ctx context.Context, t id.Takedown, e *audit.Entry) error
	// ConfirmTakedown appends a confirmation, whose N is set here, and returns
	// the takedown as it is then. ErrNotFound.
	ConfirmTakedown(ctx context.Context, c *consent.Confirmation, e *audit.Entry) (*consent.Takedown, error)
}

// Outbox holds messages to receivers outside. What they tell of writes them.
type Outbox interface {
	// RetryNotice gives the lease back; the message is due at t. ErrGone when the lease was lost.
	RetryNotice(ctx context.Context, o *Outgoing, t time.Time) error
	// EndNotice removes a message that was taken, or is given up. ErrGone when the lease was lost.
	EndNotice(ctx context.Context, o *Outgoing, e *audit.Entry) error
}

// Papers are the practice's texts of authorizations, and signed documents.
type Papers interface {
	// AddTemplate sets t.Version: 1, or with next, the one after the newest.
	// ErrNotFound: there is none to follow on.
	AddTemplate(ctx context.Context, t *consent.Template, next bool, e *audit.Entry) error
	// Templates returns every version.
	Templates(ctx context.Context) ([]consent.Template, error)
	// AddDocument: ErrNotFound when there is no such patient.
	AddDocument(ctx context.Context, d *consent.Document, e *audit.Entry) error
	Document(ctx context.Context, d id.Document) (*consent.Document, error)
}

// Photos and what becomes of them.
type Photos interface {
	// DeclarePhoto adds the photo and a grant. If (device, capture) is known,
	// it returns the photo that is there, with the new grant added to it when
	// that photo is the same patient's.
	DeclarePhoto(ctx context.Context, p *Photo, g *Grant, e *audit.Entry) (*Photo, error)
	Photo(ctx context.Context, p id.Photo) (*Photo, error)
	PhotosOf(ctx context.Context, p id.Patient) ([]*Photo, error)
	// PlanObjects records objects as pending before they are put.
	PlanObjects(ctx context.Context, o ...Object) error
	// CommitPhoto makes the photo ready: its objects go from pending to live
	// (all must still be pending), key and audit entry are written, the
	// upload's segments die, and the job, whose lease must still be held,
	// ends. ErrGone when lease, object or photo was lost.
	CommitPhoto(ctx context.Context, j *Job, p *Photo, k *PhotoKey, e *audit.Entry) error
	// RejectPhoto ends the job with a refusal; objects and segments die.
	RejectPhoto(ctx context.Context, j *Job, code string, e *audit.Entry) error
	// RenewJob prolongs the lease and sets j.Lease. ErrGone when it was lost.
	RenewJob(ctx context.Context, j *Job, until time.Time) error
	// ReturnJob gives the lease back; the job is due at once, and the attempt
	// does not count. ErrGone when the lease was lost.
	ReturnJob(ctx context.Context, j *Job) error
	// MarkDamaged notes that what is staged for the job is not what arrived,
	// and writes e, the first time only. ErrGone when the lease was lost.
	MarkDamaged(ctx context.Context, j *Job, e *audit.Entry) (first bool, err error)
	// Damaged lists the photos whose jobs are marked so.
	Damaged(ctx context.Context) ([]id.Photo, error)
	// RetryJob gives the lease back; the job is due at t.
	RetryJob(ctx context.Context, j *Job, t time.Time) error
	// DeletePhoto appends the Deleted event, removes the wrapped keys, marks
	// the photo and lets all its objects die, in one transaction. It returns
	// the photo as it is now; deleting twice is no error.
	DeletePhoto(ctx context.Context, p id.Photo, ev *consent.Event, e *audit.Entry) (*Photo, error)
	// AbandonObject lets an object die that is still pending, and reports
	// whether it may go from the store: it is dead, or has no row any more.
	AbandonObject(ctx context.Context, o id.Object) (bool, error)
	// ForgetObject removes the row of a dead object that is gone from the
	// store. One that died while it was pending keeps its row until it is old:
	// whoever planned it may still be putting it.
	ForgetObject(ctx context.Context, o id.Object) error
	// DeadObjects lists dead objects of one owner that are not gone yet.
	DeadObjects(ctx context.Context, owner string) ([]DeadObject, error)
}

// Derivations are renditions made from stored ones.
type Derivations interface {
	consent.DeriveCommitter
	// PhotoKey reads the wrapped data key of a photo; with an authorization,
	// that of its copies under it. ErrNotFound.
	PhotoKey(ctx context.Context, p id.Photo, a id.Authorization) (*PhotoKey, error)
	// AddCopy makes a copy one of those that marketing has under
	// key.Authorization; the first brings the key. The object must still be
	// pending. ErrGone when object or photo was lost, the authorization is not
	// in force any more, the photo's rendition is no more the copy's source, or
	// another was first: with the same copy, or with another key.
	AddCopy(ctx context.Context, p id.Patient, key *PhotoKey, c Copy, e *audit.Entry) error
	// CopyHolders lists patients of whose photos there are copies under an
	// authorization that ends by a date not after `by`; zero: under any.
	CopyHolders(ctx context.Context, by time.Time) ([]id.Patient, error)
	// EndCopies removes the keys of the patient's copies that may not be kept on
	// the record as it is now, and lets their objects die, as everything that is
	// added to the record does by itself. It returns how many keys; with none, e
	// is not used.
	EndCopies(ctx context.Context, p id.Patient, e *audit.Entry) (int, error)
	// AddRendition makes r, whose object must still be pending, a rendition of
	// a ready photo. One of the same name goes, its object dies, and the copies
	// that were made of it end. ErrGone
	// when object or photo was lost.
	AddRendition(ctx context.Context, p id.Photo, r Rendition, e *audit.Entry) error
}

// Uploads in progress.
type Uploads interface {
	// AddUpload begins an upload of a photo that has not arrived, or was
	// rejected. A whole one ends every older upload of the photo; a partial
	// one ends a whole one, and the oldest partial ones when there are
	// MaxParts already. ConflictError already_received.
	AddUpload(ctx context.Context, u *Upload, e *audit.Entry) error
	// Upload returns it with its segments in order. ErrNotFound.
	Upload(ctx context.Context, u id.Upload) (*Upload, []Segment, error)
	// UploadOf returns the upload of a photo that is not partial, for ingest. ErrNotFound.
	UploadOf(ctx context.Context, p id.Photo) (*Upload, []Segment, error)
	// AddSegments makes pending objects part of the upload, all or none, if
	// its offset is still where the first begins: ErrOffset. When an upload
	// that is not partial is then complete, the photo becomes received, the
	// job exists and e is written, in the same transaction; otherwise e is
	// not used. Errors: ErrOffset, ErrTooLarge, ErrGone, ErrSwept, ErrNotFound
	// where it would be complete and its owner's account has ended.
	AddSegments(ctx context.Context, u *Upload, s []Segment, expires time.Time, e *audit.Entry) error
	// Concatenate begins and completes an upload that takes over the segments
	// of u.Parts in order; all other uploads of the photo end, and it becomes
	// received. Parts must be complete partial uploads of u's photo and
	// owner. Asked again for the same parts it returns what is there.
	// Errors: ErrNotFound, ConflictError upload_unfinished, part_used, already_received.
	Concatenate(ctx context.Context, u *Upload, e *audit.Entry) (*Upload, error)
	// EndUpload removes it; its segments die, and its photo is declared again
	// if it has no other. ErrNotFound when it is gone or received.
	EndUpload(ctx context.Context, u id.Upload, e *audit.Entry) error
}

// Releases are retrieval tokens and their uses.
type Releases interface {
	consent.UseCommitter
	// AddToken counts the photo for the token's account, unless it was counted
	// within the day, and adds the token if the account may have one more; it
	// sets t.CountedAt. Otherwise e is written as the refusal, and nothing but
	// that: VolumeError. Warnings that are due have their entries and messages
	// in the same transaction.
	AddToken(ctx context.Context, t *consent.Token, a consent.Allowance, e *audit.Entry) ([]consent.Warning, error)
	// FinishUse records how a delivery ended.
	FinishUse(ctx context.Context, u consent.Use, o consent.UseOutcome, e *audit.Entry) error
	// Versions returns, in one query, what a running delivery stands on: the
	// epoch of each patient and the version of each account and campaign.
	// What is not there is left out.
	Versions(ctx context.Context, of Standing) (Versions, error)
}

// Standing names what deliveries stand on.
type Standing struct {
	Patients  []id.Patient
	Accounts  []id.Account
	Campaigns []id.Campaign
}

// Versions are the current ones of what Standing names, by id.
type Versions struct {
	Patients  map[id.Patient]int64
	Accounts  map[id.Account]int64
	Campaigns map[id.Campaign]int64
}

// AuditLog is written by every method above too.
type AuditLog interface {
	// WriteAudit writes an entry of its own: a refusal, a failure, a reading.
	WriteAudit(ctx context.Context, e *audit.Entry) error
	// AuditRecords calls f for each entry after number `after`, the chained
	// ones in order and then those that have no number yet.
	AuditRecords(ctx context.Context, after int64, f func(audit.Record) error) error
	// PatientAudit calls f for each entry about the patient, oldest first.
	PatientAudit(ctx context.Context, p id.Patient, f func(audit.Record) error) error
	// Integrate numbers and chains up to limit entries; it returns how many,
	// and a checkpoint (unsigned) of the log after them. Entries that were
	// edited are left aside: the error is then audit.ErrAside, and the rest
	// was done.
	Integrate(ctx context.Context, limit int) (int, audit.Checkpoint, error)
}

// UploadKeys are the key pairs that tablets seal to.
type UploadKeys interface {
	AddUploadKey(ctx context.Context, k *UploadKey, e *audit.Entry) error
	// RotateUploadKeys adds keys and ends sealing to all older ones at t.
	RotateUploadKeys(ctx context.Context, k []*UploadKey, t time.Time, e *audit.Entry) error
	UploadKeys(ctx context.Context) ([]*UploadKey, error)
}
