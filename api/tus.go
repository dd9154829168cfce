package api

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

// tus 1.0 (tus.io/protocols/resumable-upload): core, creation,
// creation-with-upload, termination, expiration. Offsets count ciphertext.

const (
	tusVersion    = "1.0.0"
	tusExtensions = "creation,creation-with-upload,termination,expiration"
	tusMediaType  = "application/offset+octet-stream"
	maxUpload     = 64 << 20 // bytes of sealed photo
)

var (
	errTusVersion = errors.New("api: tus version not supported")
	errMediaType  = errors.New("api: media type not supported")
	errMethod     = errors.New("api: method not allowed")
)

// tus checks the version.
func (c *call) tus() error {
	if c.Get("Tus-Resumable") != tusVersion {
		c.Set("Tus-Version", tusVersion)
		return errTusVersion
	}
	return nil
}

func (c *call) tusOptions() error {
	c.Set("Tus-Version", tusVersion)
	c.Set("Tus-Extension", tusExtensions)
	c.Set("Tus-Max-Size", strconv.Itoa(maxUpload))
	return c.SendStatus(204)
}

// tusCreate begins the upload of a declared photo, named by the grant or by
// Upload-Metadata "photo"; a body that comes along is its beginning.
func (c *call) tusCreate() error {
	if err := c.tus(); err != nil {
		return err
	}
	length, err := strconv.ParseInt(c.Get("Upload-Length"), 10, 64)
	if err != nil || c.Get("Upload-Defer-Length") != "" {
		return &vault.InvalidError{Code: "upload_length_required", Defects: []consent.Defect{{Field: "Upload-Length",
			Sentence: "Declare the length of the sealed file in bytes; it is known before the upload begins."}}}
	}
	p, err := c.uploadPhoto()
	if err != nil {
		return err
	}
	u, err := c.service().CreateUpload(c.ctx, c.who, p, length)
	if err != nil {
		return err
	}
	c.Set("Location", "/v1/uploads/"+string(u.ID))
	if n := c.Request().Header.ContentLength(); n != 0 && c.Get("Content-Type") == tusMediaType {
		// The upload exists: a beginning that breaks off is reported by its
		// offset, and the client goes on from there.
		if after, err := c.service().AppendUpload(c.ctx, c.who, u.ID, 0, c.body, c.bodyLength(n, length)); after != nil {
			u = after
			if err != nil {
				c.Context().SetConnectionClose()
			}
		}
	}
	c.progress(u)
	c.Status(201) // not SendStatus, which adds a text
	return nil
}

// bodyLength is the declared length, or for a chunked body what is left.
func (c *call) bodyLength(declared int, left int64) int64 {
	if declared < 0 {
		return left
	}
	return int64(declared)
}

func (c *call) uploadPhoto() (id.Photo, error) {
	if c.who.Grant != "" {
		return c.who.Grant, nil
	}
	for pair := range strings.SplitSeq(c.Get("Upload-Metadata"), ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if key != "photo" {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return "", errBadRequest
		}
		p, err := id.Parse[id.Photo](string(raw))
		if err != nil {
			return "", vault.ErrNotFound
		}
		return p, nil
	}
	return "", &vault.InvalidError{Code: "photo_required", Defects: []consent.Defect{{Field: "Upload-Metadata",
		Sentence: "Name the declared photo in Upload-Metadata (photo, base64), or use its upload grant."}}}
}

func (c *call) progress(u *vault.Upload) {
	c.Set("Upload-Offset", strconv.FormatInt(u.Offset, 10))
	c.Set("Upload-Expires", u.ExpiresAt.UTC().Format(http.TimeFormat))
}

func (c *call) tusStatus() error {
	if err := c.tus(); err != nil {
		return err
	}
	uid, err := pathID[id.Upload](c, "upload")
	if err != nil {
		return err
	}
	u, err := c.service().UploadStatus(c.ctx, c.who, uid)
	if err != nil {
		return err
	}
	c.progress(u)
	c.Set("Upload-Length", strconv.FormatInt(u.Length, 10))
	return nil
}

func (c *call) tusAppend() error {
	if err := c.tus(); err != nil {
		return err
	}
	if c.Get("Content-Type") != tusMediaType {
		return errMediaType
	}
	uid, err := pathID[id.Upload](c, "upload")
	if err != nil {
		return err
	}
	offset, err := strconv.ParseInt(c.Get("Upload-Offset"), 10, 64)
	if err != nil || offset < 0 {
		return errBadRequest
	}
	n := c.Request().Header.ContentLength()
	if n < 0 {
		return c.appendChunked(uid, offset)
	}
	u, err := c.service().AppendUpload(c.ctx, c.who, uid, offset, c.body, int64(n))
	if err != nil {
		return err
	}
	c.progress(u)
	return c.SendStatus(204)
}

// appendChunked takes a body of undeclared length, up to what is left.
func (c *call) appendChunked(uid id.Upload, offset int64) error {
	u, err := c.service().UploadStatus(c.ctx, c.who, uid)
	if err != nil {
		return err
	}
	u, err = c.service().AppendUpload(c.ctx, c.who, uid, offset, c.body, max(0, u.Length-offset))
	if err != nil && !(u != nil && errors.Is(err, vault.ErrShortBody)) {
		return err
	}
	c.progress(u)
	return c.SendStatus(204)
}

func (c *call) tusCancel() error {
	if err := c.tus(); err != nil {
		return err
	}
	uid, err := pathID[id.Upload](c, "upload")
	if err != nil {
		return err
	}
	if err := c.service().CancelUpload(c.ctx, c.who, uid); err != nil {
		return err
	}
	return c.SendStatus(204)
}
