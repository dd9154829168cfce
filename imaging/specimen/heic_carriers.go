package specimen

import (
	"encoding/base64"
	"slices"
)

// metadata adds the EXIF and XMP items.
func (f *heifFile) metadata() {
	o := f.o
	if tiff := o.exif(f.canary); tiff != nil {
		it := &heifItem{kind: "Exif", parts: f.split(slices.Concat(be32(6), []byte("Exif\x00\x00"), tiff))}
		it.early, it.late = o.EXIFAt == "" || o.EXIFAt == "before", o.EXIFAt == "after"
		f.refer("cdsc", f.add(it), f.primary)
	}
	for range o.Packets {
		f.add(&heifItem{kind: "mime", extra: []byte("application/rdf+xml\x00"), parts: [][]byte{make([]byte, 1<<20)}})
	}
	if o.XMP {
		packet := `<x:xmpmeta xmlns:x="adobe:ns:meta/" exif:GPSLatitude="52,31.2N">` + string(f.canary) +
			base64.StdEncoding.EncodeToString(f.canary) + `</x:xmpmeta>`
		f.refer("cdsc", f.add(&heifItem{kind: "mime", extra: []byte("application/rdf+xml\x00"), parts: [][]byte{[]byte(packet)}}), f.primary)
	}
}

// carriers adds the other items.
func (f *heifFile) carriers() {
	o := f.o
	if o.Items {
		f.refer("cdsc", f.add(&heifItem{kind: "mime", name: o.Canary, extra: []byte("application/json\x00" + o.Canary + "\x00"), parts: [][]byte{f.canary}}), f.primary)
		f.add(&heifItem{kind: "uri ", extra: []byte("tag:apple.com," + o.Canary + "\x00"), parts: [][]byte{f.canary, f.canary}})
		unused := f.codedItem("422") // a picture that nothing shows
		f.items[unused-1].name, f.items[unused-1].hidden = o.Canary, true
	}
	aux := func(kind string) int {
		return f.prop(isoBox("auxC", be32(0), []byte(kind+"\x00"), f.canary))
	}
	if o.Thumb {
		f.refer("thmb", f.codedItem("444"), f.primary)
	}
	if o.Auxiliary {
		f.refer("auxl", f.codedItem("gray", aux("urn:mpeg:hevc:2015:auxid:2")), f.primary)
		gain := f.codedItem("gray", aux("urn:com:apple:photo:2020:aux:hdrgainmap"))
		f.refer("auxl", gain, f.primary)
		f.refer("auxl", f.codedItem("gray", aux("urn:com:apple:photo:2019:aux:semanticskinmatte")), f.primary)
		f.refer("dimg", f.add(&heifItem{kind: "tmap", parts: [][]byte{f.canary}}), f.primary, gain)
	}
	if o.Alpha {
		f.refer("auxl", f.codedItem("gray", aux("urn:mpeg:mpegB:cicp:systems:auxiliary:alpha")), f.primary)
	}
	if o.Boxes {
		f.prop(isoBox("udes", be32(0), []byte("en\x00"+o.Canary+"\x00"+o.Canary+"\x00")))
		f.prop(isoBox("free", f.canary))
		f.prop(isoBox("uuid", []byte("0123456789abcdef"), f.canary))
		p := f.items[f.primary-1]
		p.props = append(p.props, f.prop(isoBox("uuid", []byte("fedcba9876543210"), f.canary)))
	}
}

// loose are boxes of no picture.
func (f *heifFile) loose() [][]byte {
	if !f.o.Boxes {
		return nil
	}
	return [][]byte{isoBox("free", f.canary), isoBox("skip", f.canary),
		isoBox("uuid", []byte("0123456789abcdef"), f.canary), isoBox("what", f.canary),
		isoBox("udta", isoBox("name", f.canary))}
}

// video are a movie as phones keep one beside the picture, and one in a box of its own.
func (f *heifFile) video() [][]byte {
	if !f.o.Video {
		return nil
	}
	movie := slices.Concat(isoBox("ftyp", []byte("mp42"), be32(0)), isoBox("mdat", f.canary))
	return [][]byte{isoBox("moov", isoBox("udta", f.canary)), isoBox("mpvd", movie)}
}
