package codec

import (
	"bytes"
	"fmt"
)

// Identifiers that application segments begin with.
var (
	idJFIF  = []byte("JFIF\x00")
	idJFXX  = []byte("JFXX\x00")
	idEXIF  = []byte("Exif\x00")
	idXMP   = []byte("http://ns.adobe.com/xap/1.0/\x00")
	idXMPX  = []byte("http://ns.adobe.com/xmp/extension/\x00")
	idICC   = []byte("ICC_PROFILE\x00")
	idMPF   = []byte("MPF\x00")
	idFLIR  = []byte("FLIR\x00")
	idPhoto = []byte("Photoshop 3.0\x00")
	idAdobe = []byte("Adobe")
)

// metadata takes an application segment or a comment. None is kept; a few are read first: the EXIF
// block for the receipt, the ICC profile for the colours, JFIF and Adobe for the colour model.
func (l *jpegLayout) metadata(marker byte, body []byte) {
	size := len(body) + 4
	kind := fmt.Sprintf("APP%d", marker&15)
	switch {
	case marker == mCOM:
		kind = "comment"
	case marker == mAPP0 && bytes.HasPrefix(body, idJFIF):
		l.sawJFIF = true
		// The fixed part is written anew; what may follow it is a thumbnail.
		size = max(0, size-jfifSize)
		kind = "JFIF thumbnail"
	case marker == mAPP0 && bytes.HasPrefix(body, idJFXX):
		kind = "JFXX thumbnail"
	case marker == mAPP1 && bytes.HasPrefix(body, idEXIF):
		kind = "EXIF"
		if l.exif == nil && len(body) > 6 {
			l.exif = body[6:]
		}
	case marker == mAPP1 && (bytes.HasPrefix(body, idXMP) || bytes.HasPrefix(body, idXMPX)):
		kind = "XMP"
		l.xmpGPS = l.xmpGPS || bytes.Contains(body, []byte("GPSLatitude"))
	case marker == mAPP1 && bytes.HasPrefix(body, idFLIR):
		kind = "FLIR"
	case marker == mAPP2 && bytes.HasPrefix(body, idICC):
		l.iccSize += size
		l.icc.add(body[len(idICC):])
		return // counted once it is known whether it is our own
	case marker == mAPP2 && bytes.HasPrefix(body, idMPF):
		kind = "MPF"
	case marker == mAPP13 && bytes.HasPrefix(body, idPhoto):
		kind = "Photoshop/IPTC"
	case marker == mAPP14 && bytes.HasPrefix(body, idAdobe) && len(body) >= 12:
		l.adobe = int(body[11])
		l.adobeSize += size
		return // counted once it is known whether one is written
	}
	l.removed.add(kind, size)
}
