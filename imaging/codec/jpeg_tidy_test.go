package codec_test

import (
	"bytes"
	"image/jpeg"
	"testing"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

// What no pixel depends on does not come out: pictures that differ in nothing else give the same bytes.
func TestWhatNoPixelNeedsIsNotKept(t *testing.T) {
	text := bytes.Repeat([]byte("Erika Mustermann 52.5200N "), 5)
	for name, pair := range map[string][2]specimen.Bare{
		"steps of no coefficient":            {{}, {Steps: text[:60]}},
		"steps of 16 bits of no coefficient": {{Wide: true}, {Wide: true, Steps: text[:120]}},
		"a component's name":                 {{}, {Name: 'G'}},
		"values behind those that are read":  {{}, {Behind: []byte("Erika Must-52.04N")}},
		"values among those that are read":   {{Before: []byte("\x01\x02")}, {Before: []byte("GP"), Behind: []byte("S 52N")}},
		"an interval beyond the picture":     {{}, {Interval: 'G'<<8 | 'P'}},
		"an interval of the whole picture":   {{}, {Interval: 64}},
		"bits behind the last code":          {{}, {Bits: text}}, // 192 bits of codes: there are none
		"bits behind each interval":          {{Interval: 1}, {Interval: 1, Bits: text}},
		"bits behind every other interval":   {{Interval: 3}, {Interval: 3, Bits: text}},
	} {
		var want []byte
		for i, o := range pair {
			in := o.JPEG()
			if _, err := jpeg.Decode(bytes.NewReader(in)); err != nil {
				t.Fatalf("%s: the specimen does not decode: %v", name, err)
			}
			a := sanitise(t, in)
			got := a.Renditions[0].Data
			if !a.Findings.CodedDataKept {
				t.Errorf("%s: coded anew", name)
			}
			if i > 0 && !bytes.Equal(got, want) {
				t.Errorf("%s: comes out\n%x, without\n%x", name, got, want)
			}
			if _, err := codec.Scan(got); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if again := sanitise(t, got); !bytes.Equal(again.Renditions[0].Data, got) || len(again.Findings.Removed) != 0 {
				t.Errorf("%s: something was left to remove: %v", name, again.Findings.Removed)
			}
			want = got
		}
	}
}

// Tables that anybody could compute hold nothing, and come through whole although the picture reads little of them.
func TestTablesOfTheStandardStay(t *testing.T) {
	flat := specimen.JPEG(specimen.Options{Width: 8, Height: 8, Quality: 30})
	got := sanitise(t, flat).Renditions[0].Data
	for _, marker := range []byte{0xDB, 0xC4} {
		for rest := flat; ; {
			i := bytes.Index(rest, []byte{0xFF, marker})
			if i < 0 {
				break
			}
			n := 2 + int(rest[i+2])<<8 + int(rest[i+3])
			for body := rest[i+4 : i+n]; len(body) > 0; {
				size := 65
				if marker == 0xC4 {
					if size = 17; body[0] == 0 || body[0] == 1 {
						size += 12
					} else {
						size += 162
					}
				}
				if !bytes.Contains(got, body[:size]) {
					t.Errorf("table %02X of segment %02X is not there", body[0], marker)
				}
				body = body[size:]
			}
			rest = rest[i+n:]
		}
	}
}
