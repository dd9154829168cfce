package api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

// tus 1.0 (tus.io/protocols/resumable-upload): core, creation,
// creation-with-upload, termination, expiration, checksum (no trailer),
// concatenation (of complete parts only). Offsets count ciphertext.

const (
	tusVersion    = "1.0.0"
	tusExtensions = "creation,creation-with-upload,termination,expiration,checksum,concatenation"
	tusMediaType  = "application/offset+octet-stream"
	maxUpload     = 64 << 20 // bytes of sealed photo
)

var (
	errTusVersion = errors.New("api: tus version not supported")
	errMediaType  = errors.New("api: media type not supported")
	errMethod     = errors.New("api: method not allowed")
	errChecksum   = errors.New("api: checksum not supported")
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
	c.Set("Tus-Checksum-Algorithm", strings.Join(vault.ChecksumAlgorithms, ","))
	c.Set("Tus-Max-Size", strconv.Itoa(maxUpload))
	return c.SendStatus(204)
}

// tusCreate begins the upload of a declared photo, named by the grant or by
// Upload-Metadata "photo"; a body that comes along is its beginning.
func (c *call) tusCreate() error {
	if err := c.tus(); err != nil {
		return err
	}
	concat := c.Get("Upload-Concat")
	asked := vault.Asked{Metadata: c.Get("Upload-Metadata"), Concat: concat}
	if list, final := strings.CutPrefix(concat, "final;"); final {
		return c.tusConcatenate(list, asked)
	}
	if concat != "" && concat != "partial" {
		return errConcat
	}
	length, ok := decimal(c.Get("Upload-Length"))
	if !ok || c.Get("Upload-Defer-Length") != "" {
		return &vault.InvalidError{Code: "upload_length_required", Defects: []consent.Defect{{Field: "Upload-Length",
			Sentence: "Declare the length of the sealed file in bytes; it is known before the upload begins."}}}
	}
	sum, err := c.checksum()
	if err != nil {
		return err
	}
	p, err := c.uploadPhoto()
	if err != nil {
		return err
	}
	u, err := c.service().CreateUpload(c.ctx, c.who, p, length, concat == "partial", asked)
	if err != nil {
		return err
	}
	c.Set("Location", uploadPath+string(u.ID))
	if n := c.Request().Header.ContentLength(); n != 0 && c.Get("Content-Type") == tusMediaType {
		// The upload exists: a beginning that breaks off, or fails its
		// checksum, is reported by its offset, and the client goes on from there.
		a := vault.Append{Body: c.body, Length: int64(n), Checksum: sum}
		if after, err := c.service().AppendUpload(c.ctx, c.who, u.ID, a); after != nil {
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

// tusConcatenate puts partial uploads together; it moves no bytes.
func (c *call) tusConcatenate(list string, asked vault.Asked) error {
	parts, err := uploadsIn(list)
	if err != nil {
		return err
	}
	if c.Get("Upload-Length") != "" {
		return errConcat
	}
	p, err := c.uploadPhoto()
	if err != nil {
		return err
	}
	u, err := c.service().Concatenate(c.ctx, c.who, p, parts, asked)
	if err != nil {
		return err
	}
	c.Set("Location", uploadPath+string(u.ID))
	c.progress(u)
	c.Status(201)
	return nil
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
	if u.Asked.Concat != "" {
		c.Set("Upload-Concat", u.Asked.Concat)
	}
	if u.Asked.Metadata != "" {
		c.Set("Upload-Metadata", u.Asked.Metadata)
	}
	return nil
}

func (c *call) tusAppend() error {
	if err := c.tus(); err != nil {
		return err
	}
	if c.Get("Content-Type") != tusMediaType || c.Get("Content-Encoding") != "" { // a coding is not undone: its bytes would be stored
		return errMediaType
	}
	uid, err := pathID[id.Upload](c, "upload")
	if err != nil {
		return err
	}
	offset, ok := decimal(c.Get("Upload-Offset"))
	if !ok {
		return errBadRequest
	}
	sum, err := c.checksum()
	if err != nil {
		return err
	}
	// The length of a chunked body is below 0: what is left is taken.
	a := vault.Append{Offset: offset, Body: c.body, Length: int64(c.Request().Header.ContentLength()), Checksum: sum}
	u, err := c.service().AppendUpload(c.ctx, c.who, uid, a)
	if err != nil {
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

// tusOverride is for clients whose network lets neither PATCH nor DELETE
// through: tus demands that X-HTTP-Method-Override takes the method's place.
// Only here, where POST means nothing else.
func (c *call) tusOverride() error {
	switch c.Get("X-HTTP-Method-Override") {
	case "PATCH":
		return c.tusAppend()
	case "DELETE":
		return c.tusCancel()
	default:
		c.Set("Allow", "HEAD, PATCH, DELETE")
		return errMethod
	}
}
