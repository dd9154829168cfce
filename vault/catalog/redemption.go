package catalog

import (
	"context"
	"slices"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

// releaseQuery reads all that a redemption is decided on, in one statement and
// so at one moment: each line adds the rows of one kind. The database's clock
// stands in the token's line. The key is that of the copies under the token's
// authorization, or without one the photo's own.
func releaseQuery(clock string) string {
	return `SELECT 'token', t.practice, t.id, t.patient, t.account, t.photo, t.campaign, t.authorization_id, t.expires_at, ` + clock + `, t.sealed
	FROM token t WHERE t.hash = $1
UNION ALL SELECT 'account', x.practice, x.id, '', '', '', '', '', x.version, 0, x.sealed
	FROM token t JOIN account x ON x.practice = t.practice AND x.id = t.account WHERE t.hash = $1
UNION ALL SELECT 'campaign', x.practice, x.id, '', '', '', '', '', x.version, 0, x.sealed
	FROM token t JOIN campaign x ON x.practice = t.practice AND x.id = t.campaign WHERE t.hash = $1
UNION ALL SELECT 'photo', x.practice, x.id, x.patient, x.device, x.capture, x.state, '', x.version, 0, x.sealed
	FROM token t JOIN photo x ON x.practice = t.practice AND x.id = t.photo WHERE t.hash = $1
UNION ALL SELECT 'key', x.practice, x.photo, '', x.authorization_id, '', '', '', x.keep_until, 0, x.sealed
	FROM token t JOIN photo_key x ON x.practice = t.practice AND x.photo = t.photo AND x.authorization_id = t.authorization_id WHERE t.hash = $1
UNION ALL SELECT 'use', x.practice, x.token, '', '', '', '', '', x.n, x.version, x.sealed
	FROM token t JOIN token_use x ON x.practice = t.practice AND x.token = t.id WHERE t.hash = $1
UNION ALL SELECT 'record', x.practice, x.id, x.id, '', '', '', 'subject', x.epoch, 0, x.sealed
	FROM token t JOIN subject x ON x.practice = t.practice AND x.id = t.patient WHERE t.hash = $1
UNION ALL SELECT 'record', x.practice, x.id, x.patient, '', '', '', x.kind, 0, 0, x.sealed
	FROM token t JOIN permission x ON x.practice = t.practice AND x.patient = t.patient WHERE t.hash = $1`
}

// releaseRow is a row of any of these kinds; what a, b, c, n and m are depends
// on the kind.
type releaseRow struct {
	table      string
	practice   id.Practice
	id         string
	patient    id.Patient
	a, b, c    string
	permission string // kind of permission, or kindHead; of a token: its authorization
	n, m       int64
	sealed     []byte
}

// Release reads what a use of the token is decided on and opened with.
func (d *DB) Release(ctx context.Context, h consent.BearerHash) (*vault.Release, error) {
	return watched(d, func() (*vault.Release, []sighting, error) { return d.release(ctx, h) })
}

func (d *DB) release(ctx context.Context, h consent.BearerHash) (*vault.Release, []sighting, error) {
	rows := map[string][]releaseRow{}
	err := d.read().each(ctx, releaseQuery(d.dialect.clock), []any{h[:]}, func(scan scanner) error {
		var r releaseRow
		err := scan(&r.table, &r.practice, &r.id, &r.patient, &r.a, &r.b, &r.c, &r.permission, &r.n, &r.m, &r.sealed)
		rows[r.table] = append(rows[r.table], r)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if len(rows["token"]) == 0 {
		return nil, nil, d.absent(ctx, vault.ErrNotFound)
	}
	k, err := d.keysOfRow(ctx, rows["token"][0].practice, "token")
	if err != nil {
		return nil, nil, err
	}
	rel := &vault.Release{}
	if rel.Now = d.now(); rows["token"][0].m != 0 {
		rel.Now = fromMS(rows["token"][0].m)
	}
	var seen []sighting
	for _, step := range []func(*practiceKeys, map[string][]releaseRow, *vault.Release) ([]sighting, error){
		func(k *practiceKeys, rows map[string][]releaseRow, rel *vault.Release) ([]sighting, error) {
			return nil, releaseToken(k, rows["token"][0], h, rel)
		},
		releaseHolder, releaseUses, releaseRecord, releasePhoto, releaseCampaign,
	} {
		s, err := step(k, rows, rel)
		if err != nil {
			return nil, nil, err
		}
		seen = append(seen, s...)
	}
	return rel, seen, nil
}

func releaseToken(k *practiceKeys, r releaseRow, h consent.BearerHash, rel *vault.Release) error {
	t, err := openRow(k, place{"token", k.practice, r.id, 1}, r.sealed, func(v *consent.Token) bool {
		return v.Practice == k.practice && string(v.ID) == r.id && v.Hash == h && v.Patient == r.patient &&
			string(v.Account) == r.a && string(v.Photo) == r.b && string(v.Campaign) == r.c &&
			string(v.Authorization) == r.permission && ms(v.ExpiresAt) == r.n
	})
	if err == nil {
		rel.Token = *t
	}
	return err
}

func releaseHolder(k *practiceKeys, rows map[string][]releaseRow, rel *vault.Release) ([]sighting, error) {
	if len(rows["account"]) != 1 {
		return nil, errRow("account")
	}
	r := rows["account"][0]
	a, err := openAccount(k, rel.Token.Account, r.n, r.sealed)
	if err != nil {
		return nil, err
	}
	rel.Holder = consent.Principal{Practice: a.Practice, Account: a.ID, Role: a.Role}
	rel.HolderActive, rel.HolderVersion = a.Active(), a.Version
	return []sighting{saw("account", k.practice, a.ID, a.Version)}, nil
}

// releaseUses: uses are numbered without a gap, so that one taken out shows,
// and the last one is remembered for as long as a token can live.
func releaseUses(k *practiceKeys, rows map[string][]releaseRow, rel *vault.Release) ([]sighting, error) {
	list := rows["use"]
	slices.SortFunc(list, func(a, b releaseRow) int { return int(a.n - b.n) })
	for i, r := range list {
		u, err := openUse(k, rel.Token.ID, r.n, r.m, r.sealed)
		if err != nil {
			return nil, err
		}
		if u.N != i+1 {
			return nil, errRow("token_use")
		}
		rel.Uses = append(rel.Uses, consent.Use{Practice: u.Practice, Token: u.Token, N: u.N, Outcome: u.Outcome})
	}
	s := saw("token_use", k.practice, rel.Token.ID, int64(len(list)))
	s.until = rel.Token.ExpiresAt
	return []sighting{s}, nil
}

func releaseRecord(k *practiceKeys, rows map[string][]releaseRow, rel *vault.Release) ([]sighting, error) {
	var list []recordRow
	for _, r := range rows["record"] {
		list = append(list, recordRow{kind: r.permission, id: r.id, patient: r.patient, epoch: r.n, sealed: r.sealed})
	}
	if !slices.ContainsFunc(list, func(r recordRow) bool { return r.kind == kindHead }) {
		return nil, errRow("subject") // a token's patient has a head
	}
	record, err := assemble(k, rel.Token.Patient, list)
	if err != nil {
		return nil, err
	}
	rel.Record = record
	return []sighting{saw("subject", k.practice, record.Patient, record.Epoch)}, nil
}

func releasePhoto(k *practiceKeys, rows map[string][]releaseRow, rel *vault.Release) ([]sighting, error) {
	if len(rows["photo"]) != 1 || len(rows["key"]) > 1 {
		return nil, errRow("photo")
	}
	r := rows["photo"][0]
	row := photoRow{id.Photo(r.id), r.patient, id.Device(r.a), id.Capture(r.b), vault.PhotoState(r.c), r.n, r.sealed}
	photo, err := row.open(k)
	if err != nil {
		return nil, err
	}
	if photo.ID != rel.Token.Photo || photo.Patient != rel.Token.Patient {
		return nil, errRow("photo")
	}
	for _, r := range rows["key"] {
		row := photoKeyRow{photo: id.Photo(r.id), authorization: id.Authorization(r.a), keepUntil: r.n, sealed: r.sealed}
		if rel.Key, err = row.open(k); err != nil {
			return nil, err
		}
		if row.photo != photo.ID || row.authorization != rel.Token.Authorization {
			return nil, errRow("photo_key")
		}
	}
	// The record says what became of a photo; a row or a key put back after
	// its deletion contradicts it.
	deleted := hasEvent(rel.Record, consent.Deleted, string(photo.ID))
	if deleted != (photo.State == vault.Removed) || deleted && rel.Key != nil {
		return nil, errRow("photo")
	}
	if rel.Key != nil && rel.Key.Authorization != "" && rel.Record.EndedCopies(rel.Key.Authorization, photo.ID) {
		return nil, errRow("photo_key")
	}
	rel.Photo, rel.Redemption.Photo = photo, photo.Subject()
	return nil, nil
}
