package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// storedSegment is a segment's sealed row: whoever can write to the database
// and to the objects cannot make other bytes pass for those that arrived.
type storedSegment struct {
	Practice id.Practice `json:"practice"`
	Upload   id.Upload   `json:"upload"`
	vault.Segment
	Digest []byte `json:"sha256"`
}

func segmentPlace(p id.Practice, u id.Upload, start int64) place {
	return place{"segment", p, fmt.Sprintf("%s/%d", u, start), 1}
}

func openSegment(k *practiceKeys, u id.Upload, start, size int64, object id.Object, sealed []byte) (*vault.Segment, error) {
	row, err := openRow(k, segmentPlace(k.practice, u, start), sealed, func(v *storedSegment) bool {
		return v.Practice == k.practice && v.Upload == u && v.Start == start && v.Size == size && v.Object == object && size > 0 &&
			copy(v.SHA256[:], v.Digest) == len(v.Digest) && len(v.Digest) == len(v.SHA256)
	})
	if err != nil {
		return nil, err
	}
	return &row.Segment, nil
}

func (c *practice) insertSegment(ctx context.Context, tx querier, k *practiceKeys, u id.Upload, s vault.Segment) error {
	sealed, err := sealRow(k, segmentPlace(c.p, u, s.Start), &storedSegment{c.p, u, s, s.SHA256[:]})
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO segment (practice, upload, start_at, size, object, sealed) VALUES ($1, $2, $3, $4, $5, $6)`,
		c.p, u, s.Start, s.Size, s.Object, sealed)
	return err
}

// segments returns an upload's segments in order; they lie end to end.
func (c *practice) segments(ctx context.Context, q querier, k *practiceKeys, u id.Upload) (list []vault.Segment, err error) {
	err = q.each(ctx, `SELECT start_at, size, object, sealed FROM segment WHERE practice = $1 AND upload = $2 ORDER BY start_at`, []any{c.p, u},
		func(scan scanner) error {
			var (
				start, size int64
				object      id.Object
				sealed      []byte
			)
			if err := scan(&start, &size, &object, &sealed); err != nil {
				return err
			}
			s, err := openSegment(k, u, start, size, object, sealed)
			if err != nil {
				return err
			}
			if start != extent(list) {
				return errRow("segment")
			}
			list = append(list, *s)
			return nil
		})
	return list, err
}

// extent is where segments that lie end to end end.
func extent(list []vault.Segment) int64 {
	if len(list) == 0 {
		return 0
	}
	last := list[len(list)-1]
	return last.Start + last.Size
}

// Concatenate moves rows only: the objects stay where they are and change
// their owner.
func (c *practice) Concatenate(ctx context.Context, u *vault.Upload, e *audit.Entry) (*vault.Upload, error) {
	if u.Practice != c.p || u.Partial || len(u.Parts) == 0 || u.Offset != u.Length {
		return nil, errForeign
	}
	var out *vault.Upload
	err := c.change(ctx, e, func(tx querier, k *practiceKeys, _ *audit.Entry) error {
		photo, err := c.lockPhoto(ctx, tx, k, u.Photo)
		if err != nil {
			return err
		}
		all, err := c.uploadsOf(ctx, tx, u.Photo)
		if err != nil {
			return err
		}
		for _, r := range all {
			before, err := r.open(k)
			if err != nil {
				return err
			}
			if before.Owner == u.Owner && slices.Equal(before.Parts, u.Parts) {
				out = before
				return nil
			}
		}
		switch photo.State {
		case vault.Receiving:
		case vault.Received, vault.Ready:
			return errReceived
		default:
			return vault.ErrNotFound
		}
		segments, err := c.segmentsOfParts(ctx, tx, k, u, all)
		if err != nil {
			return err
		}
		for _, r := range all {
			if slices.Contains(u.Parts, r.id) {
				continue // a client that asks again finds it complete
			}
			if err := c.endUpload(ctx, tx, r.id, string(r.id)); err != nil {
				return err
			}
		}
		if err := c.insertUpload(ctx, tx, k, u, u.Length); err != nil {
			return err
		}
		for _, part := range u.Parts {
			if _, err := tx.exec(ctx, `DELETE FROM segment WHERE practice = $1 AND upload = $2`, c.p, part); err != nil {
				return err
			}
			if _, err := tx.exec(ctx, `UPDATE object SET owner = $1 WHERE practice = $2 AND owner = $3 AND state = $4`,
				u.ID, c.p, part, live); err != nil {
				return err
			}
		}
		for _, s := range segments {
			if err := c.insertSegment(ctx, tx, k, u.ID, s); err != nil {
				return err
			}
		}
		out = u
		return c.receive(ctx, tx, k, u.Photo, u.Owner)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// segmentsOfParts returns the parts' segments as they will lie in the final upload.
func (c *practice) segmentsOfParts(ctx context.Context, tx querier, k *practiceKeys, u *vault.Upload, all []uploadRow) (list []vault.Segment, err error) {
	for i, part := range u.Parts {
		at := slices.IndexFunc(all, func(r uploadRow) bool { return r.id == part && r.owner == u.Owner && r.partial != 0 })
		switch {
		case at < 0:
			return nil, vault.ErrNotFound
		case slices.Contains(u.Parts[:i], part):
			return nil, errForeign
		case all[at].received != all[at].length:
			return nil, &vault.ConflictError{Code: "upload_unfinished", Sentence: "A part is not complete; finish it, then put the parts together."}
		}
		segments, err := c.segments(ctx, tx, k, part)
		if err != nil {
			return nil, err
		}
		switch extent(segments) {
		case all[at].length:
		case 0:
			return nil, &vault.ConflictError{Code: "part_used", Sentence: "A part belongs to another upload already; upload it anew."}
		default:
			return nil, errRow("segment")
		}
		base := extent(list)
		for _, s := range segments {
			s.Start += base
			list = append(list, s)
		}
	}
	if extent(list) != u.Length {
		return nil, errors.Join(errForeign, errRow("upload"))
	}
	return list, nil
}
