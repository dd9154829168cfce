package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"photovault/api"
	"photovault/imaging/specimen"
	"photovault/vault/id"
)

// What a provider does with photos by commands: hide parts, show two beside one another, say whether somebody
// could be recognised.
func TestPhotosAreMaskedComparedAndFlagged(t *testing.T) {
	v := newVault(t)
	v.stop()
	v.start("--sweep-age", "15m") // on a slow machine the tests' sweep would take what is being made
	patient, set := v.patientWithConsent("MRN-MARKS"), string(id.New[id.Set]())
	put := func(kind string, seed uint64) api.Photo {
		file := photoFile(t, specimen.JPEG(specimen.Options{Width: 640, Height: 480, Seed: seed, Quality: 80 + int(seed)}))
		var p api.Photo
		if err := json.Unmarshal([]byte(v.must("provider", "put", file, "--patient", patient, "--kind", kind, "--set", set, "--json")), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	shown := func(p api.Photo, rendition string) image.Image {
		file := filepath.Join(t.TempDir(), "out.jpg")
		v.must("provider", "get", string(p.ID), "--purpose", "clinical", "--rendition", rendition, "-o", file)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := jpeg.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	black := func(m image.Image, x, y int) bool { return color.GrayModel.Convert(m.At(x, y)).(color.Gray).Y == 0 }
	before, after := put("before", 1), put("after", 2)

	if _, stderr, err := v.run("provider", "photo", "compare", string(after.ID), "--before", string(before.ID), "--masked"); err == nil || !strings.Contains(stderr, "nothing is marked") {
		t.Errorf("masked, and nothing is marked: %v, %s", err, stderr)
	}

	// In percent and in pixels of the web rendition, which is as large as the photo here.
	for _, region := range []string{"25,25,25,25", "160,120,160,120px"} {
		if got := v.must("provider", "photo", "mask", string(after.ID), "--hide", region); !strings.Contains(got, "masked: 640×480") {
			t.Errorf("mask %s says %q", region, got)
		}
		m := shown(after, "masked")
		if !black(m, 170, 130) || !black(m, 310, 230) || black(m, 100, 60) || black(m, 400, 300) {
			t.Errorf("mask %s hides something else", region)
		}
		if m := shown(after, "masked-thumb"); m.Bounds().Dx() != 320 || !black(m, 85, 65) || !black(m, 155, 115) || black(m, 50, 30) || black(m, 200, 150) {
			t.Errorf("the thumb of mask %s hides something else", region)
		}
	}
	v.must("provider", "photo", "mask", string(after.ID), "--oval", "50,50,40,40", "--hide", "0,0,10,10px")
	if m := shown(after, "masked"); black(m, 170, 130) || !black(m, 448, 336) || !black(m, 5, 5) {
		t.Error("regions do not replace those of before")
	}

	for name, args := range map[string][]string{
		"both named": {string(after.ID), "--before", string(before.ID), "--crop", "0,0,50,50", "--other", "25,25,50,50"},
		"in pixels":  {string(after.ID), "--before", string(before.ID), "--crop", "0,0,320,240px", "--other", "100,100,320,240px"},
		"the set":    {"--set", set, "--patient", patient},
	} {
		if got := v.must("provider", append([]string{"photo", "compare"}, args...)...); !strings.HasPrefix(got, string(after.ID)+" compare: ") {
			t.Errorf("%s: %q", name, got)
		}
		if m := shown(after, "compare"); m.Bounds().Dx() <= m.Bounds().Dy() {
			t.Errorf("%s: %v", name, m.Bounds())
		}
	}

	masked := func() image.Image {
		t.Helper()
		if got := v.must("provider", "photo", "compare", "--set", set, "--patient", patient, "--masked"); !strings.HasPrefix(got, string(after.ID)+" masked-compare: ") {
			t.Errorf("masked: %q", got)
		}
		return shown(after, "masked-compare")
	}
	// Both at the size they have, before on the left; the middle of the oval is hidden in after alone.
	if m := masked(); m.Bounds().Dx() != 2*640+16 || black(m, 448, 336) || !black(m, 640+16+448, 336) {
		t.Error("what is marked in one is not hidden there, or elsewhere, too")
	}
	release := releaseMasked(t, v, patient)
	get := func(rendition, out string) []string {
		return append([]string{"get", string(after.ID), "--rendition", rendition, "-o", filepath.Join(t.TempDir(), out)}, release...)
	}
	refused := func(why, rendition string) {
		t.Helper()
		if _, stderr, err := v.run("marketing", get(rendition, "refused.jpg")...); err == nil || !strings.Contains(stderr, why) {
			t.Errorf("%s for marketing: %v, %s", rendition, err, stderr)
		}
	}
	refused("rendition_not_authorized", "compare")
	refused("rendition_not_authorized", "masked-compare") // one of the two was never marked
	v.must("provider", "photo", "mask", string(before.ID), "--oval", "50,50,40,40")
	refused("photo_not_ready", "masked-compare")
	if m := masked(); !black(m, 448, 336) || !black(m, 640+16+448, 336) || black(m, 20, 300) {
		t.Error("what is marked in both is not hidden in both, or all is")
	}
	v.must("marketing", get("masked-compare", "released.jpg")...)

	flagged := func() *bool {
		var p api.Photo
		if err := json.Unmarshal([]byte(v.must("provider", "photo", "show", string(after.ID), "--json")), &p); err != nil {
			t.Fatal(err)
		}
		return p.Recognisable
	}
	for flag, want := range map[string]bool{"--recognisable": true, "--not-shown": false} {
		v.must("provider", "photo", "flag", string(after.ID), flag)
		if got := flagged(); got == nil || *got != want {
			t.Errorf("%s: %v", flag, got)
		}
	}

	put("after", 3)
	for name, c := range map[string]struct {
		role, says string
		args       []string
	}{
		"nothing to hide":        {"provider", "say what to hide", []string{"mask", string(after.ID)}},
		"a region of no numbers": {"provider", "a region is", []string{"mask", string(after.ID), "--hide", "eyes"}},
		"beyond the photo":       {"provider", "lies within the photo", []string{"mask", string(after.ID), "--hide", "50,0,51,10"}},
		"beyond it, in pixels":   {"provider", "within the photo", []string{"mask", string(after.ID), "--hide", "639,0,2,10px"}},
		"half a pixel":           {"provider", "in pixels", []string{"mask", string(after.ID), "--hide", "1.5,0,2,10px"}},
		"another role's mask":    {"marketing", "role_not_allowed", []string{"mask", string(after.ID), "--hide", "0,0,10,10"}},
		"one photo alone":        {"provider", "name both photos", []string{"compare", string(after.ID)}},
		"with itself":            {"provider", "another photo", []string{"compare", string(after.ID), "--before", string(after.ID)}},
		"two of a kind":          {"provider", "2 photos of kind after", []string{"compare", "--set", set, "--patient", patient}},
		"a set without photos":   {"provider", "0 photos of kind before", []string{"compare", "--set", string(id.New[id.Set]()), "--patient", patient}},
		"crops of other shapes":  {"provider", "same shape", []string{"compare", string(after.ID), "--before", string(before.ID), "--crop", "0,0,50,10"}},
		"no flag":                {"provider", "recognisable", []string{"flag", string(after.ID)}},
		"another role's flag":    {"admin", "role_not_allowed", []string{"flag", string(after.ID), "--recognisable"}},
	} {
		if _, stderr, err := v.run(c.role, append([]string{"photo"}, c.args...)...); err == nil || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: %v, %s", name, err, stderr)
		}
	}
}

// releaseMasked records an authorization for masked photos only, and returns what a release under it is asked with.
func releaseMasked(t *testing.T, v *vaultProcess, patient string) []string {
	t.Helper()
	var signed map[string]any
	if err := json.Unmarshal([]byte(v.must("front-desk", "consent", "authorize", "--example")), &signed); err != nil {
		t.Fatal(err)
	}
	signed["patient"], signed["scope"] = patient, map[string]bool{"all_photos": true, "masked_only": true}
	text, err := json.Marshal(signed)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "authorization.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	v.must("front-desk", "consent", "authorize", file)
	campaign := v.must("marketing", "campaign", "add", "Spring", "--purpose", "Show results of treatment to prospective patients",
		"--recipient", "Clinic website", "--channel", "website", "--until", "2099-01-01")
	return []string{"--purpose", "marketing", "--recipient", "Clinic website", "--channel", "website", "--campaign", campaign}
}
