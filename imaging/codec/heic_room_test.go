package codec_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

// bitsOfText writes text as bits.
func bitsOfText(s string) string {
	var b strings.Builder
	for _, v := range []byte(s) {
		fmt.Fprintf(&b, "%08b", v)
	}
	return b.String()
}

// Numbers of parameter sets that no picture depends on are room for text, some of it byte by byte. A picture whose
// sets say something there is coded anew.
func TestParametersThatSayAnythingAreNotKept(t *testing.T) {
	hevc(t)
	const text = "GPS52N"
	over := func(at int, with string) func(string) []string {
		return func(bits string) []string { return []string{bits[:at] + with + bits[at+len(with):]} }
	}
	subLayers := func(count, profile int) func(string) []string {
		return func(bits string) []string {
			// Seven sub-layers, each with a profile and a level of its own.
			layers := strings.Repeat("11", 6) + "0000" + strings.Repeat(bitsOfText(text+text), 6)
			out := bits[:count] + "110" + bits[count+3:profile+96] + layers
			rest := bits[profile+96:]
			if profile == 8 { // behind the size and the bits of a sample in a sequence's set
				at := 0
				skip := func(n int) {
					for range n {
						at += 2*strings.IndexByte(rest[at:], '1') + 1
					}
				}
				skip(4)
				if at++; rest[at-1] == '1' {
					skip(4)
				}
				skip(3)
				out, rest = out+rest[:at], rest[at:]
			}
			return []string{out + "0" + rest[1:]} // what is said of order counts for all
		}
	}
	both := func(o specimen.HEICOptions, kind byte, f func(string) []string) specimen.HEICOptions {
		sets := map[byte]func(string) []string{kind: f}
		for k, v := range o.Sets {
			sets[k] = v
		}
		o.Sets = sets
		return o
	}
	for name, o := range map[string]specimen.HEICOptions{
		"reserved bits of a video's set":     both(specimen.HEICOptions{}, 32, over(16, bitsOfText("GP"))),
		"reserved bits of a profile":         both(specimen.HEICOptions{}, 33, over(8+8+32+14, bitsOfText("S52N"))),
		"reserved bits of a video's profile": both(specimen.HEICOptions{}, 32, over(32+8+32+14, bitsOfText("S52N"))),
		"profiles that there are none of":    both(specimen.HEICOptions{}, 33, over(8+8+16, bitsOfText("GP"))),
		"profiles of sub-layers":             both(both(specimen.HEICOptions{}, 33, subLayers(4, 8)), 32, subLayers(12, 32)),
		"how long a frame lasts": both(specimen.HEICOptions{}, 33, func(bits string) []string {
			return []string{strings.Replace(bits, fmt.Sprintf("%032b%032b", 1, 1), bitsOfText("52N13.4E"), 1)}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			in := specimen.HEIC(o)
			if bytes.Equal(in, specimen.HEIC(specimen.HEICOptions{})) {
				t.Fatal("the specimen is a plain one")
			}
			a := sanitise(t, in)
			if r := a.Renditions[0]; a.Findings.CodedDataKept || r.ContentType != "image/jpeg" {
				t.Errorf("kept as %s", r.ContentType)
			}
			plain := sanitise(t, specimen.HEIC(specimen.HEICOptions{}))
			if a.Findings.Pixels.Decoded != plain.Findings.Pixels.Decoded || !plain.Findings.CodedDataKept {
				t.Error("it is not the same picture")
			}
		})
	}
}

// A set of picture parameters that no slice names goes; the one that is named stays.
func TestParametersThatNoSliceNamesGo(t *testing.T) {
	hevc(t)
	plain := sanitise(t, specimen.HEIC(specimen.HEICOptions{})).Renditions[0].Data
	a := sanitise(t, specimen.HEIC(specimen.HEICOptions{Sets: map[byte]func(string) []string{34: func(bits string) []string {
		if bits[0] != '1' {
			t.Fatalf("the specimen's parameters have another number: %s", bits)
		}
		return []string{"010" + bits[1:], bits, "00110" + bits[1:]} // numbers 1 and 5
	}}}))
	if !a.Findings.CodedDataKept || !bytes.Equal(a.Renditions[0].Data, plain) {
		t.Errorf("kept: %v, %d bytes, without %d", a.Findings.CodedDataKept, len(a.Renditions[0].Data), len(plain))
	}
	if _, err := codec.Scan(a.Renditions[0].Data); err != nil {
		t.Error(err)
	}
}
