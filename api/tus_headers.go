package api

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

// uploadPath precedes an upload's id in its address.
const uploadPath = "/v1/uploads/"

// decimal reads digits and nothing else: no sign, no space, no leading zero.
func decimal(s string) (int64, bool) {
	if s == "" || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// checksum reads Upload-Checksum; without one it is nil.
func (c *call) checksum() (*vault.Checksum, error) {
	h := c.Get("Upload-Checksum")
	if h == "" {
		if strings.Contains(strings.ToLower(c.Get("Trailer")), "upload-checksum") { // the extension checksum-trailer is not there
			return nil, errChecksum
		}
		return nil, nil
	}
	algorithm, digest, _ := strings.Cut(h, " ")
	raw, err := base64.StdEncoding.Strict().DecodeString(digest)
	if err != nil {
		return nil, errChecksum
	}
	sum, err := vault.NewChecksum(algorithm, raw)
	if err != nil {
		return nil, errChecksum
	}
	return sum, nil
}

// uploadPhoto is the photo that an upload is of: the grant's, or the one that
// Upload-Metadata names.
func (c *call) uploadPhoto() (id.Photo, error) {
	metadata, err := pairs(c.Get("Upload-Metadata"))
	switch photo, named := metadata["photo"]; {
	case err != nil:
		return "", err
	case c.who.Grant != "":
		return c.who.Grant, nil
	case !named:
		return "", &vault.InvalidError{Code: "photo_required", Defects: []consent.Defect{{Field: "Upload-Metadata",
			Sentence: "Name the declared photo in Upload-Metadata (photo, base64), or use its upload grant."}}}
	default:
		p, err := id.Parse[id.Photo](photo)
		if err != nil {
			return "", vault.ErrNotFound
		}
		return p, nil
	}
}

// pairs reads Upload-Metadata: keys of printable ASCII, each once, with values
// in base64 that may be empty.
func pairs(header string) (map[string]string, error) {
	out := map[string]string{}
	if header == "" {
		return out, nil
	}
	for pair := range strings.SplitSeq(header, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), " ")
		raw, err := base64.StdEncoding.DecodeString(value)
		_, twice := out[key]
		if err != nil || key == "" || twice || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, errBadRequest
		}
		out[key] = string(raw)
	}
	return out, nil
}

// errConcat: Upload-Concat is not what concatenation has.
var errConcat = &vault.InvalidError{Code: "upload_concat_invalid", Defects: []consent.Defect{{Field: "Upload-Concat",
	Sentence: "Send partial, or final; and the addresses of the parts with a space between them, without Upload-Length."}}}

// uploadsIn reads the addresses in Upload-Concat: final;… , absolute or not.
// Which host they name does not matter: ids are this vault's.
func uploadsIn(list string) ([]id.Upload, error) {
	var out []id.Upload
	for address := range strings.FieldsSeq(list) {
		u, err := url.Parse(address)
		if err != nil || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return nil, errConcat
		}
		name, ok := strings.CutPrefix(u.Path, uploadPath)
		if !ok {
			return nil, errConcat
		}
		part, err := id.Parse[id.Upload](name)
		if err != nil {
			return nil, vault.ErrNotFound
		}
		out = append(out, part)
	}
	if len(out) == 0 {
		return nil, errConcat
	}
	return out, nil
}
