// Package vault is the domain: patients, their photos and what becomes of
// them. It takes sealed uploads in, has them sanitised, keeps every rendition
// under the photo's own data key, and opens one only against a consent.Permit.
//
// Every method that acts for somebody takes the consent.Principal, decides,
// and writes the audit entry in the same place.
package vault

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"photovault/consent"
	"photovault/imaging"
	"photovault/vault/audit"
	"photovault/vault/blobs"
	"photovault/vault/id"
	"photovault/vault/keys"
)

// Config is what a Service is made of. All but the last group is required.
type Config struct {
	Practice id.Practice // the installation's first; a process works for all of them
	Catalogs Catalogs
	Keys     keys.Service
	Blobs    blobs.Store
	Media    Media
	// Checkpoints keeps signed checkpoints outside the database.
	Checkpoints Checkpoints
	// Receivers are told at once of what concerns them; the catalog writes
	// messages for these audiences.
	Receivers map[Audience]Receiver
	// Policies are what the practice forbids beyond the law; nil: nothing.
	Policies *consent.Policies
	// Caps are how many photos an account of a role may ask for; default
	// consent.DefaultCaps.
	Caps map[consent.Role]consent.Cap

	Logger     *slog.Logger
	Now        func() time.Time // UTC clock; for tests
	Software   string           // named in receipts
	MaxUpload  int64            // bytes of envelope; default 64 MiB
	UploadLife time.Duration    // since the last byte; default 24 h
	SweepAge   time.Duration    // how long an object may stay planned; default 15 min
	Ingests    int              // photos in work at once; default 2
	// UploadBuffers is how many MiB of uploads are in memory at once; default
	// 48. UploadWait is how long an upload waits for one, or for its turn;
	// default 10 s.
	UploadBuffers int
	UploadWait    time.Duration
	CheckpointAt  time.Duration // how often the log is chained; default 500 ms
}

// Media sanitises photos and makes their renditions: *imaging.Pool, which says
// what its errors mean.
type Media interface {
	Process(ctx context.Context, photo []byte) (*imaging.Result, error)
	// Mask, ShrinkMasked and Compare make a picture of finished renditions.
	Mask(ctx context.Context, web []byte, regions []imaging.Region) (*imaging.Rendition, error)
	ShrinkMasked(ctx context.Context, masked []byte) (*imaging.Rendition, error)
	Compare(ctx context.Context, before, after []byte, crops [2]imaging.Region) (*imaging.Rendition, error)
}

// Checkpoints is where checkpoints are kept, out of the database's reach.
type Checkpoints interface {
	Save(audit.Checkpoint) error
	// Newest returns nil when there is none yet.
	Newest(id.Practice) (*audit.Checkpoint, error)
}

// Service is the domain's entry. It is safe for concurrent use.
type Service struct {
	Config
	uploads  turns
	fair     fair
	wake     chan struct{} // a photo was received
	deriving chan struct{} // derivations under way
	copying  chan struct{} // the copy for marketing that is being made
	segments chan []byte   // buffers for segments: bounds the memory of uploads
	streams  watch
	decodes  recent         // workers that failed at a photo
	refused  recent         // refusals and peeks of tokens
	leaving  chan struct{}  // closed by Drain
	ingests  sync.WaitGroup // of running ingest loops
	drain    sync.Once
	logs     logs
	told     map[Audience]chan struct{} // a notice was written
}

// New returns a Service. Prepare it before it is used; Run does its background work.
func New(c Config) (*Service, error) {
	if c.Catalogs == nil || c.Keys == nil || c.Blobs == nil || c.Media == nil || c.Checkpoints == nil || !id.Valid(string(c.Practice)) {
		return nil, errors.New("vault: incomplete configuration")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Caps == nil {
		c.Caps = consent.DefaultCaps()
	}
	c.MaxUpload = or(c.MaxUpload, 64<<20)
	c.UploadLife = or(c.UploadLife, 24*time.Hour)
	c.SweepAge = or(c.SweepAge, 15*time.Minute)
	c.Ingests = or(c.Ingests, 2)
	c.CheckpointAt = or(c.CheckpointAt, 500*time.Millisecond)
	c.UploadBuffers = or(c.UploadBuffers, 48)
	c.UploadWait = or(c.UploadWait, 10*time.Second)
	s := &Service{Config: c, wake: make(chan struct{}, 1), leaving: make(chan struct{}), deriving: make(chan struct{}, maxDerivations), copying: make(chan struct{}, 1), segments: make(chan []byte, c.UploadBuffers)}
	for range c.UploadBuffers {
		s.segments <- nil // made when first needed
	}
	s.told = map[Audience]chan struct{}{}
	for to := range c.Receivers {
		s.told[to] = make(chan struct{}, 1)
	}
	s.streams.service, s.streams.again = s, make(chan struct{}, 1)
	return s, nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// entry begins the audit entry of an act by who.
func entry(who consent.Principal, a audit.Action, o audit.Outcome) *audit.Entry {
	return &audit.Entry{Practice: who.Practice, Actor: who.Account, Role: string(who.Role), Action: a, Outcome: o, Source: who.Source}
}

// allow checks that the role may do the act at all; a refusal is written to
// the log with what else is known of the attempt.
func (s *Service) allow(ctx context.Context, who consent.Principal, act consent.Act, e *audit.Entry) error {
	if who.May(act) {
		return nil
	}
	if e.Patient == "" && e.Photo != "" { // who tried stands in the patient's trail, too
		if p, err := s.Catalogs.ForPractice(who.Practice).Photo(ctx, e.Photo); err == nil {
			e.Patient = p.Patient
		}
	}
	return s.deny(ctx, who, e, consent.Refusal{Code: "role_not_allowed", Paragraph: "164.312(a)(1)",
		Sentence: "Your role may not " + string(act) + "."})
}

// deny writes the refusal and returns it. An attempt that cannot be logged
// fails as unavailable: nothing goes unlogged, refusals neither.
func (s *Service) deny(ctx context.Context, who consent.Principal, e *audit.Entry, why ...consent.Refusal) error {
	e.Outcome, e.Reason = audit.Denied, why[0].Code
	if err := s.log(ctx, who, e); err != nil {
		return err
	}
	if e.Reason == Code(ErrNotFound) { // there is no such rendition
		return ErrNotFound
	}
	return &DeniedError{Refusals: why}
}

// log writes an entry of its own.
func (s *Service) log(ctx context.Context, who consent.Principal, e *audit.Entry) error {
	// A client that hangs up must not keep its attempt out of the log.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.Catalogs.ForPractice(who.Practice).WriteAudit(ctx, e); err != nil {
		return fmt.Errorf("%w: audit: %w", ErrUnavailable, err)
	}
	return nil
}

// signingKey derives the practice's Ed25519 key from its sealed seed.
func (s *Service) signingKey(ctx context.Context, p id.Practice, purpose keys.Purpose) (ed25519.PrivateKey, error) {
	seed, err := s.Catalogs.PracticeKey(ctx, p, purpose)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed.Bytes()), nil
}
