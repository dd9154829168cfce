package specimen

import (
	"bytes"
	"compress/flate"
	"io"
	"maps"
	"slices"
)

// Bounds of what is inflated while searching: of a stream, and of what is tried at every byte.
const (
	searchStream = 4 << 20
	searchTry    = 64 << 10
)

// Search looks for text in data as hard as it can: in every form of Forms, and in whatever can be
// inflated, with or without a zlib header, beginning at any byte. It returns where it was found.
func Search(data []byte, text string) []string {
	forms := Forms(text)
	found := map[string]bool{}
	look := func(where string, b []byte) {
		for name, form := range forms {
			if bytes.Contains(b, form) {
				found[where+name] = true
			}
		}
	}
	look("", data)
	z := flate.NewReader(nil)
	for at := range data {
		start, limit := at, int64(searchTry)
		if at+2 < len(data) && data[at]&0x8F == 8 && (int(data[at])<<8|int(data[at+1]))%31 == 0 {
			start, limit = at+2, searchStream
		}
		_ = z.(flate.Resetter).Reset(bytes.NewReader(data[start:]), nil)
		out, _ := io.ReadAll(io.LimitReader(z, limit)) // as far as it goes
		if len(out) >= len(text) {
			look("inflated ", out)
		}
	}
	return slices.Sorted(maps.Keys(found))
}
