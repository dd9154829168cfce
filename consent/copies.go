package consent

import (
	"time"

	"photovault/vault/id"
)

// KeepsCopies reports whether marketing's copies of a photo that were made
// under the authorization may exist at now: while it is in force, and neither a
// restriction (164.522(a)) nor the photo's end stands against it.
func (r *Record) KeepsCopies(a id.Authorization, p id.Photo, now time.Time) bool {
	return r.Status(string(a), now) == StatusActive && !r.endsCopies(p)
}

// EndedCopies reports whether something that was recorded has ended them: their
// key was removed with it, and one that is there was put back.
func (r *Record) EndedCopies(a id.Authorization, p id.Photo) bool {
	of := r.happenings().of[string(a)]
	return r.authorization(string(a)) == nil || of.revoked || of.expired || of.foundFalse || r.endsCopies(p)
}

func (r *Record) endsCopies(p id.Photo) bool {
	return r.restricted(p, ForMarketing) != nil || r.has(Deleted, string(p))
}
