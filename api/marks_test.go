package api_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"slices"
	"testing"

	"photovault/api"
	"photovault/consent"
	"photovault/vault/id"
)

// tattooed is a grey photo with a patch of one colour in it, from a quarter to a half of its width and height.
func tattooed(s *stack, colour color.NRGBA) func() []byte {
	s.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 640, 480))
	draw.Draw(m, m.Rect, image.NewUniform(color.NRGBA{150, 150, 150, 255}), image.Point{}, draw.Src)
	draw.Draw(m, image.Rect(160, 120, 320, 240), image.NewUniform(colour), image.Point{}, draw.Src)
	var b bytes.Buffer
	s.must(jpeg.Encode(&b, m, &jpeg.Options{Quality: 92}))
	return b.Bytes
}

// tattoo is where tattooed has its patch.
var tattoo = []consent.Region{{Shape: "rectangle", X: 2500, Y: 2500, Width: 2500, Height: 2500}}

// coloured counts pixels that are clearly red, green or black.
func (s *stack) coloured(picture []byte) (red, green, black int) {
	s.Helper()
	m, err := jpeg.Decode(bytes.NewReader(picture))
	s.must(err)
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			r, g, b, _ := m.At(x, y).RGBA()
			r, g, b = r>>8, g>>8, b>>8
			switch {
			case r > g+30 && r > b+30:
				red++
			case g > r+30 && g > b+30:
				green++
			case r+g+b == 0:
				black++
			}
		}
	}
	return red, green, black
}

// carriers are the segments of a JPEG that can hold anything but the picture: APPn and comments.
func (s *stack) carriers(picture []byte) (out []string) {
	s.Helper()
	for at := 2; at+4 <= len(picture) && picture[at] == 0xFF && picture[at+1] != 0xDA; {
		n := int(binary.BigEndian.Uint16(picture[at+2:]))
		if k := picture[at+1]; k >= 0xE0 && k <= 0xEF || k == 0xFE {
			out = append(out, string(picture[at+4:at+8]))
		}
		at += 2 + n
	}
	return out
}

// A number that is left out is not zero: what is to be hidden would lie somewhere else.
func TestARegionSaysWhereItLies(t *testing.T) {
	s := newStack(t)
	photo := "/v1/photos/" + string(s.ready(s.consented(), small).ID)
	for _, part := range []string{`"y":0,"width":9,"height":9`, `"x":0,"width":9,"height":9`, `"x":0,"y":0,"height":9`, `"x":0,"y":0,"width":9`, `"x":null,"y":0,"width":9,"height":9`} {
		part = `{"shape":"rectangle",` + part + `}`
		s.ask("POST", photo+"/mask", s.token("provider"), []byte(`{"regions":[`+part+`]}`), odd).problem(422, "field_invalid")
		s.ask("POST", photo+"/comparison", s.token("provider"), []byte(`{"before":"`+string(id.New[id.Photo]())+`","crops":{"before":`+part+`,"after":`+part+`}}`), odd).problem(422, "field_invalid")
	}
	s.ask("POST", photo+"/mask", s.token("provider"), api.NewMask{Regions: []consent.Region{{Shape: "rectangle", Width: 9, Height: 9}}}).ok(201)
}

// An authorization for masked photos only allows a comparison that is masked on both sides as the newest
// markings say, and no other; and no pixel of a marked region leaves under it.
func TestMaskedOnlyAllowsAComparisonOfMaskedPhotos(t *testing.T) {
	s := newStack(t)
	patient := s.consented()
	before, after := s.ready(patient, tattooed(s, color.NRGBA{220, 20, 20, 255})), s.ready(patient, tattooed(s, color.NRGBA{20, 200, 20, 255}))
	auth := s.newAuthorization(patient)
	auth.Scope.MaskedOnly = true
	s.authorize(auth)

	compare := func(masked bool) answer {
		t.Helper()
		in := api.NewComparison{Before: before.ID, Masked: masked}
		in.Crops.Before = consent.Region{Shape: "rectangle", Width: 10000, Height: 10000}
		in.Crops.After = in.Crops.Before
		return s.ask("POST", "/v1/photos/"+string(after.ID)+"/comparison", s.token("provider"), in)
	}
	mask := func(p id.Photo) {
		t.Helper()
		s.ask("POST", "/v1/photos/"+string(p)+"/mask", s.token("provider"), api.NewMask{Regions: tattoo}).ok(201)
	}
	market := func(rendition string) answer {
		t.Helper()
		in := s.forMarketing()
		in.Rendition, in.Uses = rendition, 2
		return s.request(after.ID, s.token("marketing"), in)
	}

	compare(true).problem(422, "field_invalid")
	mask(after.ID)
	compare(false).ok(201)
	one := into[api.Rendition](compare(true), 201)
	market("compare").problem(403, "rendition_not_authorized")
	market("masked-compare").problem(403, "rendition_not_authorized") // of the photo from before nobody said what is to be hidden
	shown := s.fetch("GET", s.forCare(after.ID, "masked-compare", consent.InHeader, 1))
	s.wantPhoto(shown, one)
	if red, green, black := s.coloured(shown.body); red == 0 || green != 0 || black == 0 {
		t.Errorf("one is marked: %d red, %d green, %d black pixels", red, green, black)
	}

	mask(before.ID)
	market("masked-compare").problem(403, "photo_not_ready")
	made := into[api.Rendition](compare(true), 201)
	if made.Name != "masked-compare" {
		t.Errorf("made %+v", made)
	}
	token := into[api.Token](market("masked-compare"), 201)
	got := s.fetch("GET", token)
	s.wantPhoto(got, made)
	if red, green, black := s.coloured(got.body); red != 0 || green != 0 || black < 2*120*80 {
		t.Errorf("both are marked: %d red, %d green, %d black pixels", red, green, black)
	}
	if found := s.carriers(got.body); slices.ContainsFunc(found, func(c string) bool { return c != "JFIF" }) {
		t.Errorf("it carries %q", found)
	}
	usable := s.usable()
	i := slices.IndexFunc(usable, func(u api.UsablePhoto) bool { return u.Photo == after.ID })
	if i < 0 || !slices.Equal(usable[i].Usable[0].Renditions, []string{"masked", "masked-thumb", "masked-compare"}) {
		t.Errorf("usable: %+v", usable)
	}
	for _, rendition := range []string{"web", "thumb", "original", "compare"} {
		market(rendition).problem(403, "rendition_not_authorized")
	}

	// Marked anew: the token opens nothing more, and neither does what is made before both are masked so.
	mask(before.ID)
	s.fetch("GET", token).problem(404, "not_found")
	market("masked-compare").problem(403, "photo_not_ready")
	made = into[api.Rendition](compare(true), 201)
	got = s.fetch("GET", into[api.Token](market("masked-compare"), 201))
	s.wantPhoto(got, made)
	if red, green, _ := s.coloured(got.body); red+green != 0 {
		t.Errorf("marked anew: %d red, %d green pixels", red, green)
	}

	events := into[api.ConsentList](s.ask("GET", "/v1/consents?patient="+string(patient), s.token("provider"), nil), 200).Events
	if last := events[len(events)-1]; last.Kind != consent.Compared || !last.Masked || last.With != before.ID {
		t.Errorf("the record ends with %+v", last)
	}
	token = into[api.Token](market("masked-compare"), 201)
	s.ask("DELETE", "/v1/photos/"+string(before.ID), s.token("privacy"), nil).ok(200)
	s.fetch("GET", token).problem(404, "not_found")
	s.intact()
}
