package api

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// wellFramed reports whether every reader of a request's head sees the same
// fields in it and the same end (RFC 9112 §2.2, §3.2, §5.1, §5.2, §6.1, §6.3,
// §11.2). fasthttp lets some heads through that a proxy before it may read in
// another way: lines that end in a bare LF, an empty one among them; folded
// lines; names with a space in them; Content-Length beside Transfer-Encoding.
// No client that is well sends one. What follows one is not read. Nor is a
// field given twice that may stand once and decides what is asked, or for whom
// (§5.3 of RFC 9110): who stands before this service may have read the other.
func wellFramed(h *fasthttp.RequestHeader) bool {
	switch version := string(h.Protocol()); {
	case version != "HTTP/1.1" && version != "HTTP/1.0", version == "HTTP/1.1" && len(h.Host()) == 0:
		return false
	}
	var lengths, codings int
	seen := map[string]bool{}
	for line := range bytes.Lines(h.RawHeaders()) {
		line, crlf := bytes.CutSuffix(line, []byte("\r\n"))
		if !crlf || bytes.ContainsAny(line, "\r\n\x00") {
			return false
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.ContainsAny(name, " \t") { // folded, if it begins so
			return false
		}
		letters := squeezed(name)
		if once[letters] && seen[letters] {
			return false
		}
		seen[letters] = true
		switch letters {
		case "contentlength":
			if !bytes.EqualFold(name, []byte("Content-Length")) {
				return false
			}
			lengths++
		case "transferencoding":
			if !bytes.EqualFold(name, []byte("Transfer-Encoding")) || !bytes.EqualFold(bytes.Trim(value, " \t"), []byte("chunked")) {
				return false
			}
			codings++
		}
	}
	return lengths+codings <= 1
}

// once are the fields, by their letters, that decide and may stand only once.
var once = map[string]bool{
	"authorization": true, "contenttype": true, "host": true, "range": true,
	"tusresumable": true, "uploadlength": true, "uploadoffset": true, "uploaddeferlength": true,
	"uploadchecksum": true, "uploadconcat": true, "uploadmetadata": true, "trailer": true, "xhttpmethodoverride": true,
}

// squeezed is a field's name by its letters alone: as a reader may see it that
// takes Transfer_Encoding for Transfer-Encoding.
func squeezed(name []byte) string {
	out := make([]byte, 0, 32)
	for _, c := range name {
		switch {
		case 'A' <= c && c <= 'Z':
			out = append(out, c|0x20)
		case 'a' <= c && c <= 'z':
			out = append(out, c)
		}
	}
	return string(out)
}
