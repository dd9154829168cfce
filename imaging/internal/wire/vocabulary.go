package wire

import (
	"slices"
	"strconv"
	"strings"
)

// The words that findings may hold. A worker that was taken over knows the photo: it must not be able
// to write what it knows into a receipt or a log, so everything textual comes from a closed list.
var (
	Formats  = []string{"jpeg", "png", "webp", "heic"}
	Profiles = []string{"none", "sRGB", "Display P3", "Adobe RGB", "other RGB", "gray", "CMYK"}
	Kinds    = []string{"EXIF", "XMP", "FLIR", "MPF", "Photoshop/IPTC", "ICC profile", "Adobe", "comment",
		"JFIF thumbnail", "JFXX thumbnail", "unused tables", "between segments", "after image data", "trailer",
		"text", "time stamp", "colour description", "display hints", "animation", "unknown chunks", "padding", "alpha channel",
		"thumbnail", "depth map", "gain map", "auxiliary image", "video", "further images", "unknown items", "unknown boxes",
		"free space", "UUID boxes", "user data", "unreferenced data", "SEI", "unused coded data"}
)

// ContentTypes are what an original may be; smaller renditions are always JPEG.
var ContentTypes = []string{"image/jpeg", "image/png", "image/webp", "image/heic"}

// Plausible reports whether findings about an upload of size bytes use these words only and claim
// nothing that cannot be.
func (f *Findings) Plausible(size int64) bool {
	if !slices.Contains(Formats, f.Format) || !slices.Contains(Profiles, f.SourceProfile) ||
		f.Width < 1 || f.Height < 1 || f.CaptureTime != "" && !IsEXIFTime(f.CaptureTime) ||
		f.TurnedWithoutLoss && (f.Format != "jpeg" || !f.OrientationBaked || f.CodedDataKept || f.ColourConverted) {
		return false
	}
	left := size
	for i, r := range f.Removed {
		n, numbered := strings.CutPrefix(r.Kind, "APP")
		app, err := strconv.Atoi(n)
		numbered = numbered && err == nil && app >= 0 && app <= 15 && n == strconv.Itoa(app)
		if !numbered && !slices.Contains(Kinds, r.Kind) || r.Bytes < 1 || r.Bytes > left {
			return false
		}
		left -= r.Bytes
		for _, o := range f.Removed[:i] {
			if o.Kind == r.Kind {
				return false
			}
		}
	}
	return true
}

// IsEXIFTime admits "2006:01:02 15:04:05" and nothing else: the field is free text in EXIF, and the
// receipt must not carry that.
func IsEXIFTime(s string) bool {
	const form = "0000:00:00 00:00:00"
	if len(s) != len(form) {
		return false
	}
	for i := range form {
		digit := s[i] >= '0' && s[i] <= '9'
		if form[i] == '0' && !digit || form[i] != '0' && s[i] != form[i] {
			return false
		}
	}
	return true
}
