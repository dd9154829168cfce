package catalog

import (
	"bytes"
	"fmt"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// sealedTables are all tables with a sealed column; a test holds the list
// against the schema.
var sealedTables = []inspected{
	{"account", []string{"id"}, "t", "version", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var version int64
		var sealed []byte
		if err := scan(&version, &sealed); err != nil {
			return "", nil, err
		}
		v, err := openAccount(k, id.Account(text(key[0])), version, sealed)
		return text(key[0]), v, err
	}},
	{"credential", []string{"id"}, "t", "account, hash", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var account id.Account
		var hash, sealed []byte
		if err := scan(&account, &hash, &sealed); err != nil {
			return "", nil, err
		}
		_, err := openRow(k, place{"credential", k.practice, text(key[0]), 1}, sealed, func(v *vault.Credential) bool {
			return v.Practice == k.practice && string(v.ID) == text(key[0]) && v.Account == account && bytes.Equal(v.Hash[:], hash)
		})
		return text(key[0]), nil, err
	}},
	{"upload_grant", []string{"hash"}, "b", "photo, account", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var photo id.Photo
		var account id.Account
		var sealed []byte
		if err := scan(&photo, &account, &sealed); err != nil {
			return "", nil, err
		}
		var hash consent.BearerHash
		if copy(hash[:], raw(key[0])) != len(raw(key[0])) {
			return string(photo), nil, errRow("upload_grant")
		}
		_, err := openRow(k, place{"upload_grant", k.practice, hash.String(), 1}, sealed, func(v *vault.Grant) bool {
			return v.Practice == k.practice && v.Photo == photo && v.Account == account && v.Hash == hash
		})
		return string(photo), nil, err
	}},
	{"patient", []string{"id"}, "t", "record_index", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var index, sealed []byte
		if err := scan(&index, &sealed); err != nil {
			return "", nil, err
		}
		_, err := openRow(k, place{"patient", k.practice, text(key[0]), 1}, sealed, func(v *vault.Patient) bool {
			return v.Practice == k.practice && string(v.ID) == text(key[0]) && bytes.Equal(k.recordIndex(v.RecordNumber), index)
		})
		return text(key[0]), id.Patient(text(key[0])), err
	}},
	{"subject", []string{"id"}, "t", "epoch", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var epoch int64
		var sealed []byte
		if err := scan(&epoch, &sealed); err != nil {
			return "", nil, err
		}
		_, err := openHead(k, text(key[0]), epoch, sealed)
		return text(key[0]), nil, err
	}},
	{"permission", []string{"id"}, "t", "kind, patient", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var row recordRow
		if err := scan(&row.kind, &row.patient, &row.sealed); err != nil {
			return "", nil, err
		}
		row.id = text(key[0])
		_, err := row.openPermission(k)
		return row.id, nil, err
	}},
	{"photo", []string{"id"}, "t", "patient, device, capture, state, version", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var r photoRow
		if err := scan(&r.patient, &r.device, &r.capture, &r.state, &r.version, &r.sealed); err != nil {
			return "", nil, err
		}
		r.id = id.Photo(text(key[0]))
		v, err := r.open(k)
		return string(r.id), v, err
	}},
	{"photo_key", []string{"photo", "authorization_id"}, "tt", "keep_until", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var r photoKeyRow
		if err := scan(&r.keepUntil, &r.sealed); err != nil {
			return "", nil, err
		}
		r.photo, r.authorization = id.Photo(text(key[0])), id.Authorization(text(key[1]))
		v, err := r.open(k)
		return r.name(), v, err
	}},
	{"upload", []string{"id"}, "t", "photo, owner, length, received, expires_at, partial", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		r := uploadRow{practice: k.practice}
		if err := scan(&r.photo, &r.owner, &r.length, &r.received, &r.expires, &r.partial, &r.sealed); err != nil {
			return "", nil, err
		}
		r.id = id.Upload(text(key[0]))
		_, err := r.open(k)
		return string(r.id), nil, err
	}},
	{"segment", []string{"upload", "start_at"}, "tn", "size, object", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var size int64
		var object id.Object
		var sealed []byte
		if err := scan(&size, &object, &sealed); err != nil {
			return "", nil, err
		}
		u, start := id.Upload(text(key[0])), number(key[1])
		v, err := openSegment(k, u, start, size, object, sealed)
		return fmt.Sprintf("%s/%d", u, start), v, err
	}},
	{"token", []string{"id"}, "t", "hash, account, patient, photo, expires_at, campaign, authorization_id, counted_at", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		r := tokenRow{}
		if err := scan(&r.hash, &r.account, &r.patient, &r.photo, &r.expires, &r.campaign, &r.authorization, &r.counted, &r.sealed); err != nil {
			return "", nil, err
		}
		r.id = id.Token(text(key[0]))
		_, err := r.open(k)
		return string(r.id), nil, err
	}},
	{"volume", []string{"account"}, "t", "version", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var version int64
		var sealed []byte
		if err := scan(&version, &sealed); err != nil {
			return "", nil, err
		}
		v, err := openVolume(k, id.Account(text(key[0])), version, sealed)
		return text(key[0]), v, err
	}},
	{"token_use", []string{"token", "n"}, "tn", "version", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var version int64
		var sealed []byte
		if err := scan(&version, &sealed); err != nil {
			return "", nil, err
		}
		_, err := openUse(k, id.Token(text(key[0])), number(key[1]), version, sealed)
		return fmt.Sprintf("%s/%d", text(key[0]), number(key[1])), nil, err
	}},
	{"audit_entry", []string{"id"}, "t", "patient, mac, COALESCE(seq, 0), head", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var s storedEntry
		if err := scan(&s.patient, &s.mac, &s.seq, &s.head, &s.sealed); err != nil {
			return "", nil, err
		}
		s.id = id.Entry(text(key[0]))
		r, err := s.open(k)
		if err != nil {
			return string(s.id), nil, errRow("audit_entry")
		}
		e, err := audit.Decode(r.Encoded)
		return string(s.id), e, err
	}},
	{"upload_key", []string{"id"}, "t", "seal_until, version", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var until, version int64
		var sealed []byte
		if err := scan(&until, &version, &sealed); err != nil {
			return "", nil, err
		}
		v, err := openRow(k, place{"upload_key", k.practice, text(key[0]), version}, sealed, func(v *storedUploadKey) bool {
			return v.Practice == k.practice && string(v.ID) == text(key[0]) && v.Version == version && ms(v.SealUntil) == until
		})
		if err != nil {
			return text(key[0]), nil, err
		}
		return text(key[0]), &v.UploadKey, nil
	}},
	{"campaign", []string{"id"}, "t", "version", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var version int64
		var sealed []byte
		if err := scan(&version, &sealed); err != nil {
			return "", nil, err
		}
		v, err := openCampaign(k, id.Campaign(text(key[0])), version, sealed)
		return text(key[0]), v, err
	}},
	{"template", []string{"id", "version"}, "tn", "", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var sealed []byte
		if err := scan(&sealed); err != nil {
			return "", nil, err
		}
		v, err := openTemplate(k, id.Template(text(key[0])), number(key[1]), sealed)
		return fmt.Sprintf("%s/%d", text(key[0]), number(key[1])), v, err
	}},
	{"document", []string{"id"}, "t", "patient", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var (
			patient id.Patient
			sealed  []byte
		)
		if err := scan(&patient, &sealed); err != nil {
			return "", nil, err
		}
		v, err := openDocument(k, id.Document(text(key[0])), patient, sealed)
		return text(key[0]), v, err
	}},
	{"takedown", []string{"id"}, "t", "patient, release_id, state, due_at, version", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		r := takedownRow{}
		if err := scan(&r.patient, &r.release, &r.state, &r.due, &r.version, &r.sealed); err != nil {
			return "", nil, err
		}
		r.id = id.Takedown(text(key[0]))
		v, err := r.open(k)
		return string(r.id), v, err
	}},
	{"takedown_confirmation", []string{"takedown", "n"}, "tn", "", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var sealed []byte
		if err := scan(&sealed); err != nil {
			return "", nil, err
		}
		v, err := openConfirmation(k, id.Takedown(text(key[0])), number(key[1]), sealed)
		return fmt.Sprintf("%s/%d", text(key[0]), number(key[1])), v, err
	}},
	{"outbox", []string{"id"}, "t", "audience", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		var audience vault.Audience
		var sealed []byte
		if err := scan(&audience, &sealed); err != nil {
			return "", nil, err
		}
		v, err := openNotice(k, id.Notice(text(key[0])), audience, sealed)
		return text(key[0]), v, err
	}},
	{"key_floor", []string{"below"}, "n", "version", func(k *practiceKeys, key []any, scan func(...any) error) (string, any, error) {
		f := floor{Practice: k.practice}
		var sealed []byte
		if err := scan(&f.Version, &sealed); err != nil {
			return "", nil, err
		}
		f.Below = uint32(number(key[0]))
		_, err := openRow(k, f.place(), sealed, func(v *floor) bool {
			return v.Practice == k.practice && v.Below == f.Below && v.Version == f.Version
		})
		return fmt.Sprint(f.Below), nil, err
	}},
}
