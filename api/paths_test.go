package api_test

import (
	"encoding/base64"
	"strconv"
	"strings"

	"photovault/vault/id"
)

// cut2 takes a route of the matrix apart: method, path, variant.
func cut2(route string) (method, path, variant string) {
	method, rest, _ := strings.Cut(route, " ")
	path, variant, _ = strings.Cut(rest, " ")
	return method, path, variant
}

// fill puts ids into a path's parameters.
func fill(path string, p *prepared) string {
	return strings.NewReplacer("{account}", string(p.account), "{patient}", string(p.patient), "{consent}", string(p.consent),
		"{photo}", string(p.done.ID), "{upload}", strings.TrimPrefix(p.upload, "/v1/uploads/"), "{token}", p.retrieve.Token,
		"{event}", string(p.restriction), "{campaign}", string(p.campaign)).Replace(path)
}

// namingPhoto is what a provider's own upload names its photo with.
func namingPhoto(p id.Photo) tweak {
	return header("Upload-Metadata", "filename "+base64.StdEncoding.EncodeToString([]byte("x"))+",photo "+base64.StdEncoding.EncodeToString([]byte(p)))
}

// create begins a tus upload and returns its path.
func (s *stack) create(token string, length int, tweaks ...tweak) string {
	s.Helper()
	tweaks = append([]tweak{tus, header("Upload-Length", strconv.Itoa(length))}, tweaks...)
	return s.ask("POST", "/v1/uploads", token, nil, tweaks...).ok(201).header.Get("Location")
}

// patch sends bytes at an offset.
func (s *stack) patch(upload, token string, offset int, b []byte, tweaks ...tweak) answer {
	s.Helper()
	tweaks = append([]tweak{tus, header("Content-Type", "application/offset+octet-stream"),
		header("Upload-Offset", strconv.Itoa(offset))}, tweaks...)
	return s.ask("PATCH", upload, token, b, tweaks...)
}

// offset asks how far an upload has come.
func (s *stack) offset(upload, token string) int {
	s.Helper()
	n, err := strconv.Atoi(s.ask("HEAD", upload, token, nil, tus).ok(200).header.Get("Upload-Offset"))
	s.must(err)
	return n
}
