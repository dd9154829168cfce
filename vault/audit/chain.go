package audit

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"photovault/vault/canon"
	"photovault/vault/id"
)

// Head is the chain value after an entry: it commits to that entry and to
// every one before it, in order. The Head of an empty log is all zero.
type Head [sha256.Size]byte

func (h Head) String() string { return hex.EncodeToString(h[:]) }

// MarshalText and UnmarshalText write a Head as 64 hexadecimal digits.
func (h Head) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

func (h *Head) UnmarshalText(b []byte) error {
	if hex.DecodedLen(len(b)) != len(h) {
		return errors.New("audit: a chain value has 64 hexadecimal digits")
	}
	_, err := hex.Decode(h[:], b)
	return err
}

// Next returns the head after appending the encoded entry as number seq
// (the first is 1):
//
//	SHA-256(canon("photovault/audit/chain/v1", seq, prev, SHA-256(entry)))
func (h Head) Next(seq int64, encoded []byte) Head {
	leaf := sha256.Sum256(encoded)
	return sha256.Sum256(canon.Encode("photovault/audit/chain/v1",
		strconv.FormatInt(seq, 10), string(h[:]), string(leaf[:])))
}

// Record is an entry as it is stored.
type Record struct {
	Seq     int64 // 0: written, but not yet given its number
	Encoded []byte
	MAC     []byte
	Head    Head // after this entry; undefined while Seq is 0
}

// Checkpoint is a signed statement of the log's length and head. It is kept
// outside the database, so that a database restored from yesterday shows.
type Checkpoint struct {
	Practice  id.Practice `json:"practice"`
	Size      int64       `json:"size"` // entries in the chain
	Head      Head        `json:"head"`
	At        time.Time   `json:"at"` // UTC, milliseconds
	Signature []byte      `json:"signature"`
}

func (c *Checkpoint) statement() []byte {
	return canon.Encode("photovault/audit/checkpoint/v1", string(c.Practice),
		strconv.FormatInt(c.Size, 10), string(c.Head[:]), strconv.FormatInt(c.At.UnixMilli(), 10))
}

// Sign fills in Signature (Ed25519, FIPS 186-5).
func (c *Checkpoint) Sign(key ed25519.PrivateKey) { c.Signature = ed25519.Sign(key, c.statement()) }

// Verify reports whether the signature is that of key.
func (c *Checkpoint) Verify(key ed25519.PublicKey) error {
	if !ed25519.Verify(key, c.statement(), c.Signature) {
		return fmt.Errorf("%w: the checkpoint's signature does not match", ErrTampered)
	}
	return nil
}

// ErrTampered reports a log that is not the one that was written. What is
// wrong, and where, is in the message.
var ErrTampered = errors.New("audit: the log has been tampered with")

// Verifier checks a log from its first entry. It holds constant memory,
// except for 16 bytes an entry to see one that stands twice.
type Verifier struct {
	practice id.Practice
	macKey   []byte
	size     int64
	head     Head
	pending  int64
	seen     map[[16]byte]struct{}
	check    map[int64]Head // what checkpoints say of the heads to come
}

// NewVerifier begins the verification of one practice's log against the
// checkpoints, whose signatures the caller has verified. macKey is borrowed.
func NewVerifier(practice id.Practice, macKey []byte, checkpoints ...Checkpoint) (*Verifier, error) {
	v := &Verifier{practice: practice, macKey: macKey, seen: map[[16]byte]struct{}{}, check: map[int64]Head{}}
	for _, c := range checkpoints {
		if c.Practice != practice {
			return nil, fmt.Errorf("%w: a checkpoint is of another practice", ErrTampered)
		}
		if h, ok := v.check[c.Size]; ok && h != c.Head {
			return nil, fmt.Errorf("%w: two checkpoints of size %d differ (fork)", ErrTampered, c.Size)
		}
		v.check[c.Size] = c.Head
	}
	if h, ok := v.check[0]; ok && h != (Head{}) {
		return nil, fmt.Errorf("%w: a checkpoint of size 0 has a head", ErrTampered)
	}
	return v, nil
}

// Add checks the next record: those with a number first, in order, then those
// still without. It returns the entry, or an error that wraps ErrTampered.
func (v *Verifier) Add(r Record) (*Entry, error) {
	where := fmt.Sprintf("entry %d", v.size+1)
	if r.Seq == 0 {
		where = "an entry without a number"
	}
	if !hmac.Equal(MAC(v.macKey, r.Encoded), r.MAC) {
		return nil, fmt.Errorf("%w: %s was edited or inserted (its MAC does not match)", ErrTampered, where)
	}
	e, err := Decode(r.Encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrTampered, where, err)
	}
	if e.Practice != v.practice {
		return nil, fmt.Errorf("%w: %s is of another practice", ErrTampered, where)
	}
	sum := sha256.Sum256([]byte(e.ID))
	key := [16]byte(sum[:16])
	if _, twice := v.seen[key]; twice {
		return nil, fmt.Errorf("%w: %s stands twice", ErrTampered, where)
	}
	v.seen[key] = struct{}{}
	if r.Seq == 0 {
		v.pending++
		return e, nil
	}
	if v.pending > 0 || r.Seq != v.size+1 {
		return nil, fmt.Errorf("%w: %s is missing or out of order (found number %d)", ErrTampered, where, r.Seq)
	}
	v.size, v.head = r.Seq, v.head.Next(r.Seq, r.Encoded)
	if v.head != r.Head {
		return nil, fmt.Errorf("%w: the chain breaks at %s", ErrTampered, where)
	}
	if want, ok := v.check[v.size]; ok && want != v.head {
		return nil, fmt.Errorf("%w: %s or one before it differs from the signed checkpoint", ErrTampered, where)
	}
	return e, nil
}

// Report is what a whole log was found to be.
type Report struct {
	Entries    int64 `json:"entries"`    // chained
	Pending    int64 `json:"pending"`    // written, waiting for their number
	Checkpoint int64 `json:"checkpoint"` // size at the newest checkpoint
	Head       Head  `json:"head"`
}

// Finish checks that the log reaches every checkpoint: a shorter one had its
// tail cut or was restored from an older copy.
func (v *Verifier) Finish() (Report, error) {
	r := Report{Entries: v.size, Pending: v.pending, Head: v.head}
	for size := range v.check {
		r.Checkpoint = max(r.Checkpoint, size)
	}
	if r.Checkpoint > v.size {
		return r, fmt.Errorf("%w: it ends at entry %d, but a signed checkpoint saw %d (tail cut, or an older copy restored)",
			ErrTampered, v.size, r.Checkpoint)
	}
	return r, nil
}
