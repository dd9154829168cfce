package codec_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"photovault/imaging/codec"
	"photovault/imaging/specimen"
)

// hevc makes the decoder ready, and skips where the build has none.
func hevc(t testing.TB) {
	t.Helper()
	if err := codec.PrepareHEVC(); err != nil {
		require(t, err.Error())
	}
}

var heicPictures = []string{"420", "422", "444", "10-bit", "gray", "limited-709", "grid"}

// layouts are ways in which the same photo can lie in a file.
func layouts(picture string) map[string]specimen.HEICOptions {
	full := func(change func(*specimen.HEICOptions)) specimen.HEICOptions {
		o := specimen.FullHEIC(picture, 1)
		change(&o)
		return o
	}
	out := map[string]specimen.HEICOptions{
		"EXIF before": full(func(o *specimen.HEICOptions) { o.EXIFAt = "before" }),
		"EXIF inside": full(func(o *specimen.HEICOptions) { o.EXIFAt = "inside"; o.Parts = 1 }),
		"EXIF after":  full(func(o *specimen.HEICOptions) { o.EXIFAt = "after" }),
		"idat":        full(func(o *specimen.HEICOptions) { o.Idat = true }),
		"wide":        full(func(o *specimen.HEICOptions) { o.Wide = true }),
		"turned":      full(func(o *specimen.HEICOptions) { o.Turn, o.Mirror = 3, 2 }),
		"Display P3":  full(func(o *specimen.HEICOptions) { o.ICC = specimen.WithText(specimen.DisplayP3(), o.Canary) }),
		"nclx":        full(func(o *specimen.HEICOptions) { o.NCLX, o.ICC = []int{1, 13, 6, 1}, nil }),
		"nclx and profile": full(func(o *specimen.HEICOptions) {
			o.NCLX, o.ICC = []int{12, 13, 6, 1}, specimen.WithText(specimen.DisplayP3(), o.Canary)
		}),
	}
	if picture != "grid" {
		// Where things lie has nothing to do with what they are.
		return map[string]specimen.HEICOptions{"EXIF inside": out["EXIF inside"], "turned": out["turned"], "nclx": out["nclx"]}
	}
	for seed := range uint64(8) {
		out[fmt.Sprintf("order %d", seed)] = full(func(o *specimen.HEICOptions) { o.Shuffle = seed + 1 })
	}
	return out
}

func TestNothingPlantedInHEICSurvives(t *testing.T) {
	hevc(t)
	planted, files := 0, 0
	for _, picture := range heicPictures {
		for name, o := range layouts(picture) {
			in := specimen.HEIC(o)
			forms := specimen.Find(in, o.Canary)
			if len(forms) != len(specimen.Forms(o.Canary)) {
				t.Fatalf("%s, %s: the specimen holds its canary as %v", picture, name, forms)
			}
			planted += bytes.Count(in, []byte(o.Canary))
			files++
			a := sanitise(t, in)
			if !a.Findings.CodedDataKept || a.Renditions[0].ContentType != "image/heic" {
				t.Errorf("%s, %s: coded anew: %+v", picture, name, a.Findings)
			}
			if !a.Findings.Plausible(int64(len(in))) {
				t.Errorf("%s, %s: findings %+v", picture, name, a.Findings)
			}
			for _, r := range a.Renditions {
				if found := specimen.Find(r.Data, o.Canary); found != nil {
					t.Errorf("%s, %s: %s holds the canary as %v", picture, name, r.Name, found)
				}
				seen, err := codec.Scan(r.Data)
				if err != nil || seen.Width != r.Width || seen.Height != r.Height || seen.ContentType != r.ContentType {
					t.Errorf("%s, %s: %s: %+v, %v", picture, name, r.Name, seen, err)
				}
				if r.Name == "original" && seen.Pixels != a.Findings.Pixels.Decoded {
					t.Errorf("%s, %s: other pixels come out", picture, name)
				}
			}
			again := sanitise(t, a.Renditions[0].Data)
			if len(again.Findings.Removed) != 0 || !bytes.Equal(again.Renditions[0].Data, a.Renditions[0].Data) {
				t.Errorf("%s, %s: sanitising twice differs: %v", picture, name, again.Findings.Removed)
			}
		}
	}
	t.Logf("%d canaries planted in %d files", planted, files)
}

// However a photo is laid out, and whatever lies around it, what comes out is the same.
func TestLayoutDoesNotMatter(t *testing.T) {
	hevc(t)
	plain := sanitise(t, specimen.HEIC(specimen.HEICOptions{Coded: "grid"}))
	for name, o := range layouts("grid") {
		o.ICC, o.NCLX, o.Turn, o.Mirror = nil, nil, 0, 0
		if got := sanitise(t, specimen.HEIC(o)); !bytes.Equal(got.Renditions[0].Data, plain.Renditions[0].Data) {
			t.Errorf("%s: another original", name)
		}
	}
}

func TestHEICFindingsNameWhatWasThere(t *testing.T) {
	hevc(t)
	o := specimen.FullHEIC("grid", 1)
	in := specimen.HEIC(o)
	f := sanitise(t, in).Findings
	kinds := map[string]bool{}
	var sum int64
	for _, r := range f.Removed {
		kinds[r.Kind] = true
		sum += r.Bytes
	}
	for _, want := range []string{"EXIF", "XMP", "thumbnail", "depth map", "gain map", "auxiliary image", "further images", "unknown items",
		"unknown boxes", "free space", "UUID boxes", "user data", "video", "unreferenced data", "SEI", "unused coded data", "ICC profile", "trailer"} {
		if !kinds[want] {
			t.Errorf("nothing said about %s: %v", want, f.Removed)
		}
	}
	// What is left is headers: of boxes, and of items that are gone.
	if all := int64(len(in) - len(sanitise(t, in).Renditions[0].Data)); sum < all-6000 || sum > all {
		t.Errorf("%d bytes said to be removed of %d", sum, all)
	}
	if !f.HadGPS || f.CaptureTime != "2026:03:14 09:26:53" || f.EXIFUnreadable || f.Format != "heic" || f.Width != 120 || f.Height != 112 {
		t.Errorf("findings %+v", f)
	}
	// EXIF's orientation does not count in this format (ISO/IEC 23008-12 annex A.2.1).
	o = specimen.HEICOptions{Options: specimen.Options{Orientation: 6}}
	if f := sanitise(t, specimen.HEIC(o)).Findings; f.Width != 160 || f.OrientationBaked || !f.CodedDataKept {
		t.Errorf("findings %+v", f)
	}
	o.Turn = 1
	if f := sanitise(t, specimen.HEIC(o)).Findings; f.Width != 120 || f.OrientationBaked || !f.CodedDataKept {
		t.Errorf("findings %+v", f)
	}
}

// turnedBy is the picture that irot and imir show, pixel by pixel: an oracle for the renditions.
func turnedBy(m image.Image, turn, mirror int) image.Image {
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	if turn%2 == 1 {
		w, h = h, w
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			sx, sy := x, y
			switch mirror {
			case 1:
				sy = h - 1 - y
			case 2:
				sx = w - 1 - x
			}
			// Undo quarter turns against the clock.
			cw, ch := w, h
			for range turn {
				sx, sy = ch-1-sy, sx
				cw, ch = ch, cw
			}
			out.Set(x, y, m.At(sx, sy))
		}
	}
	return out
}

// A position is looked for in so much of a file and no more, or items that claim the same bytes would be a bomb.
func TestWhatHEICSaysOfItselfIsReadWithinBounds(t *testing.T) {
	hevc(t)
	for packets, gps := range map[int]bool{0: true, 2: true, 6: false} {
		a := sanitise(t, specimen.HEIC(specimen.HEICOptions{Options: specimen.Options{XMP: true}, Packets: packets}))
		if a.Findings.HadGPS != gps || !a.Findings.CodedDataKept {
			t.Errorf("%d MB ahead: findings %+v", packets, a.Findings)
		}
	}
}

func TestHEICIsTurnedWithoutLoss(t *testing.T) {
	hevc(t)
	upright := sanitise(t, specimen.HEIC(specimen.HEICOptions{}))
	want := decode(t, upright.Renditions[1].Data)
	for turn := range 4 {
		for mirror := range 3 {
			a := sanitise(t, specimen.HEIC(specimen.HEICOptions{Turn: turn, Mirror: mirror}))
			if !a.Findings.CodedDataKept {
				t.Errorf("turn %d, mirror %d: coded anew", turn, mirror)
			}
			// The small picture is coded after it was turned, so blocks differ a little.
			got := decode(t, a.Renditions[1].Data)
			if p := psnr(t, turnedBy(want, turn, mirror), got); p < 36 {
				t.Errorf("turn %d, mirror %d: %.1f dB from what it should show", turn, mirror, p)
			}
		}
	}
}

func TestCleanAperture(t *testing.T) {
	hevc(t)
	whole := decode(t, sanitise(t, specimen.HEIC(specimen.HEICOptions{})).Renditions[1].Data)
	for name, c := range map[string]struct {
		clap []int32
		want image.Rectangle
		kept bool // else what was cut off would be in the file still
		code string
	}{
		"all":            {[]int32{160, 1, 120, 1, 0, 1, 0, 1}, image.Rect(0, 0, 160, 120), true, "accepted"},
		"the middle":     {[]int32{80, 1, 60, 1, 0, 1, 0, 1}, image.Rect(40, 30, 120, 90), false, "accepted"},
		"odd edges":      {[]int32{79, 1, 61, 1, 1, 2, 1, 2}, image.Rect(41, 30, 120, 91), false, "accepted"},
		"left upper":     {[]int32{158, 1, 118, 1, -1, 1, -1, 1}, image.Rect(0, 0, 158, 118), true, "accepted"},
		"right lower":    {[]int32{158, 1, 118, 1, 1, 1, 1, 1}, image.Rect(2, 2, 160, 120), false, "accepted"},
		"padding":        {[]int32{97, 1, 57, 1, -63, 2, -63, 2}, image.Rect(0, 0, 97, 57), true, "accepted"},
		"more than that": {[]int32{96, 1, 120, 1, -32, 1, 0, 1}, image.Rect(0, 0, 96, 120), false, "accepted"},
		"halves, halved": {[]int32{160, 2, 120, 2, 0, 7, 0, 9}, image.Rect(40, 30, 120, 90), false, "accepted"},
		"half a pixel":   {[]int32{80, 1, 60, 1, 1, 2, 0, 1}, image.Rectangle{}, false, "unsupported_coding"},
		"outside":        {[]int32{80, 1, 60, 1, 90, 1, 0, 1}, image.Rectangle{}, false, "corrupt"},
		"nothing":        {[]int32{0, 1, 60, 1, 0, 1, 0, 1}, image.Rectangle{}, false, "corrupt"},
		"over nothing":   {[]int32{80, 0, 60, 1, 0, 1, 0, 1}, image.Rectangle{}, false, "corrupt"},
		"vast":           {[]int32{1 << 30, 1, 1 << 30, 1, 0, 1, 0, 1}, image.Rectangle{}, false, "corrupt"},
	} {
		in := specimen.HEIC(specimen.HEICOptions{Clap: c.clap})
		if got := code(in); got != c.code {
			t.Errorf("%s: %s, want %s", name, got, c.code)
		}
		if c.code != "accepted" {
			continue
		}
		a := sanitise(t, in)
		got := decode(t, a.Renditions[1].Data)
		if got.Bounds().Size() != c.want.Size() || a.Findings.CodedDataKept != c.kept {
			t.Errorf("%s: %v, kept: %v", name, got.Bounds(), a.Findings.CodedDataKept)
			continue
		}
		if o := a.Renditions[0]; !c.kept && (o.ContentType != "image/jpeg" || decode(t, o.Data).Bounds().Size() != c.want.Size()) {
			t.Errorf("%s: the original is %s of %d×%d pixels", name, o.ContentType, o.Width, o.Height)
		}
		part := whole.(*image.YCbCr).SubImage(c.want)
		if p := psnr(t, part, got); p < 30 {
			t.Errorf("%s: %.1f dB from the part it should show", name, p)
		}
	}
}

// What the coded data's own window cuts off is there all the same: only as much as encoders pad is kept.
func TestWindowThatHidesPartOfAPicture(t *testing.T) {
	hevc(t)
	whole := decode(t, sanitise(t, specimen.HEIC(specimen.HEICOptions{})).Renditions[1].Data)
	for name, c := range map[string]struct {
		window [4]int
		want   image.Rectangle
		kept   bool
	}{
		"nothing":        {[4]int{}, image.Rect(0, 0, 160, 120), true},
		"padding":        {[4]int{0, 31, 0, 31}, image.Rect(0, 0, 98, 58), true},
		"more than that": {[4]int{0, 32, 0, 0}, image.Rect(0, 0, 96, 120), false},
		"left":           {[4]int{1, 0, 0, 0}, image.Rect(2, 0, 160, 120), false},
		"above":          {[4]int{0, 0, 20, 1}, image.Rect(0, 40, 160, 118), false},
	} {
		a := sanitise(t, specimen.HEIC(specimen.HEICOptions{Window: &c.window}))
		got := decode(t, a.Renditions[1].Data)
		if got.Bounds().Size() != c.want.Size() || a.Findings.CodedDataKept != c.kept || (a.Renditions[0].ContentType == "image/heic") != c.kept {
			t.Errorf("%s: %v, kept: %v", name, got.Bounds(), a.Findings.CodedDataKept)
			continue
		}
		if p := psnr(t, whole.(*image.YCbCr).SubImage(c.want), got); p < 30 {
			t.Errorf("%s: %.1f dB from the part it should show", name, p)
		}
	}
}

func TestHEICColours(t *testing.T) {
	hevc(t)
	for name, c := range map[string]struct {
		o           specimen.HEICOptions
		class, code string
		kept        bool
	}{
		"nothing said":      {specimen.HEICOptions{}, "none", "accepted", true},
		"sRGB profile":      {specimen.HEICOptions{Options: specimen.Options{ICC: specimen.SRGBSampled()}}, "sRGB", "accepted", true},
		"P3 profile":        {specimen.HEICOptions{Options: specimen.Options{ICC: specimen.DisplayP3()}}, "Display P3", "accepted", true},
		"Adobe RGB profile": {specimen.HEICOptions{Options: specimen.Options{ICC: specimen.AdobeRGB()}}, "Adobe RGB", "accepted", false},
		"gamma 2.2":         {specimen.HEICOptions{Options: specimen.Options{ICC: specimen.Gamma22()}}, "other RGB", "accepted", false},
		"table profile":     {specimen.HEICOptions{Options: specimen.Options{ICC: specimen.LUT()}}, "", "unsupported_colour_profile", false},
		"grey on colour":    {specimen.HEICOptions{Options: specimen.Options{ICC: specimen.GrayGamma(2.2)}}, "", "unsupported_colour_profile", false},
		"grey":              {specimen.HEICOptions{Coded: "gray"}, "none", "accepted", true},
		"grey, its gamma":   {specimen.HEICOptions{Coded: "gray", Options: specimen.Options{ICC: specimen.GrayGamma(1.8)}}, "gray", "accepted", false},
		"sRGB points":       {specimen.HEICOptions{NCLX: []int{1, 13, 6, 1}}, "none", "accepted", true},
		"P3 points":         {specimen.HEICOptions{NCLX: []int{12, 13, 6, 1}}, "Display P3", "accepted", true},
		"2020 points":       {specimen.HEICOptions{NCLX: []int{9, 1, 9, 0}}, "other RGB", "accepted", true},
		"PQ":                {specimen.HEICOptions{NCLX: []int{9, 16, 9, 0}}, "", "unsupported_colour_profile", false},
		"HLG":               {specimen.HEICOptions{NCLX: []int{9, 18, 9, 0}}, "", "unsupported_colour_profile", false},
		"RGB planes":        {specimen.HEICOptions{NCLX: []int{1, 13, 0, 1}}, "", "unsupported_colour_profile", false},
		"made up points":    {specimen.HEICOptions{NCLX: []int{77, 13, 6, 1}}, "", "unsupported_colour_profile", false},
	} {
		a, err := codec.Sanitise(specimen.HEIC(c.o), limits)
		if got := codeOf(err); got != c.code {
			t.Errorf("%s: %s", name, got)
			continue
		}
		if err != nil {
			continue
		}
		f := a.Findings
		if f.SourceProfile != c.class || f.CodedDataKept != c.kept || f.ColourConverted == c.kept {
			t.Errorf("%s: %+v", name, f)
		}
		if jpeg := a.Renditions[0].ContentType == "image/jpeg"; jpeg == c.kept {
			t.Errorf("%s: the original is %s", name, a.Renditions[0].ContentType)
		}
	}
}

// Whatever matrix and range the samples have, the rendition shows the colours of the picture.
func TestHEICRenditionsShowThePicture(t *testing.T) {
	hevc(t)
	for name, want := range map[string]image.Image{
		"420": specimen.Picture(160, 120, 6, false), "422": specimen.Picture(96, 64, 7, false),
		"444": specimen.Picture(96, 64, 8, false), "limited-709": specimen.Picture(96, 64, 9, false),
		"10-bit": specimen.Picture(96, 64, 10, false), "gray": specimen.Picture(96, 64, 11, true),
		"grid": specimen.Picture(128, 128, 5, false).(*image.YCbCr).SubImage(image.Rect(0, 0, 120, 112)),
	} {
		got := decode(t, sanitise(t, specimen.HEIC(specimen.HEICOptions{Coded: name})).Renditions[1].Data)
		if p := psnr(t, want, got); p < 28 {
			t.Errorf("%s: %.1f dB from the picture that was coded", name, p)
		}
	}
}

func TestHEICIsRefusedByContent(t *testing.T) {
	hevc(t)
	plain := specimen.HEIC(specimen.HEICOptions{})
	grid := specimen.HEIC(specimen.HEICOptions{Coded: "grid"})
	// change overwrites the bytes at an offset from the first occurrence of a box's name.
	change := func(in []byte, kind string, at int, b ...byte) []byte {
		out := slices.Clone(in)
		copy(out[bytes.Index(in, []byte(kind))+at:], b)
		return out
	}
	without := func(in []byte, kind string) []byte { return change(in, kind, 0, 'f', 'r', 'e', 'e') }
	twice := func(in []byte, kind string) []byte {
		at := bytes.Index(in, []byte(kind)) - 4
		size := int(binary.BigEndian.Uint32(in[at:]))
		out := slices.Insert(slices.Clone(in), at+size, in[at:at+size]...)
		meta := bytes.Index(out, []byte("meta")) - 4
		binary.BigEndian.PutUint32(out[meta:], binary.BigEndian.Uint32(out[meta:])+uint32(size))
		return out
	}
	for name, c := range map[string]struct {
		in   []byte
		code string
	}{
		"file type alone":             {plain[:24], "unsupported_coding"},
		"no meta box":                 {without(plain, "meta"), "unsupported_coding"},
		"two meta boxes":              {append(slices.Clone(plain), plain[bytes.Index(plain, []byte("meta"))-4:]...), "corrupt"},
		"a sequence alone":            {change(specimen.HEIC(specimen.HEICOptions{Sequence: true}), "meta", 0, 'm', 'o', 'o', 'v'), "unsupported_coding"},
		"not a picture":               {change(plain, "pict", 0, 'v', 'i', 'd', 'e'), "unsupported_coding"},
		"an overlay":                  {specimen.HEIC(specimen.HEICOptions{Derivation: "iovl"}), "unsupported_coding"},
		"an identity derivation":      {specimen.HEIC(specimen.HEICOptions{Derivation: "iden"}), "unsupported_coding"},
		"coded as AVIF":               {specimen.HEIC(specimen.HEICOptions{Derivation: "av01"}), "unsupported_avif"},
		"coded as JPEG":               {specimen.HEIC(specimen.HEICOptions{Derivation: "jpeg"}), "unsupported_coding"},
		"encrypted":                   {specimen.HEIC(specimen.HEICOptions{Encrypted: true}), "unsupported_coding"},
		"data in another item":        {specimen.HEIC(specimen.HEICOptions{Method2: true}), "unsupported_coding"},
		"data in another file":        {specimen.HEIC(specimen.HEICOptions{Elsewhere: true}), "unsupported_coding"},
		"transparency":                {specimen.HEIC(specimen.HEICOptions{Alpha: true}), "unsupported_coding"},
		"what must not be left out":   {specimen.HEIC(specimen.HEICOptions{Essential: true}), "unsupported_coding"},
		"no primary item":             {without(plain, "pitm"), "corrupt"},
		"no locations":                {without(plain, "iloc"), "corrupt"},
		"no properties":               {without(plain, "iprp"), "corrupt"},
		"no size":                     {without(plain, "ispe"), "corrupt"},
		"no parameters":               {without(plain, "hvcC"), "corrupt"},
		"two locations":               {twice(plain, "iloc"), "corrupt"},
		"two primary items":           {twice(plain, "pitm"), "corrupt"},
		"another size than coded":     {change(plain, "ispe", 8, 0, 0, 0, 162), "unsupported_coding"},
		"a box longer than its own":   {change(plain, "pitm", -4, 0, 0, 0xFF, 0xFF), "corrupt"},
		"a box without end":           {change(plain, "pitm", -4, 0, 0, 0, 0), "corrupt"},
		"a box of length 7":           {change(plain, "pitm", -4, 0, 0, 0, 7), "corrupt"},
		"items beyond counting":       {change(plain, "iinf", 8, 0xFF, 0xFF), "corrupt"},
		"a property that is not":      {change(plain, "ipma", 15, 0x7F), "corrupt"},
		"data beyond the file":        {change(plain, "iloc", 24, 0x7F, 0xFF, 0xFF, 0xFF), "truncated"},
		"data within the meta box":    {change(plain, "iloc", 24, 0, 0, 0, 40), "corrupt"},
		"no data":                     {change(plain, "iloc", 28, 0, 0, 0, 0), "corrupt"},
		"a unit longer than the data": {change(plain, "mdat", 4, 0, 0, 0xFF, 0xFF), "corrupt"},
		"a unit too short":            {change(plain, "mdat", 4, 0, 0, 0, 1), "corrupt"},
		"a picture that needs others": {change(plain, "mdat", 8, 2), "unsupported_coding"},
		"grid with another count":     {change(grid, "idat", 4+3, 2), "corrupt"},
		"grid beyond its tiles":       {change(grid, "idat", 4+4, 1), "corrupt"},
		"grid of itself":              {change(grid, "dimg", 8, 0, 5), "unsupported_coding"},
		"a tile that is not there":    {change(grid, "dimg", 8, 0, 99), "corrupt"},
	} {
		if got := code(c.in); got != c.code {
			t.Errorf("%s: %s, want %s", name, got, c.code)
		}
	}
	for i, cut := range specimen.Cuts(plain, 40) {
		if got := code(cut); got == "accepted" || got == "worker_failed" {
			t.Errorf("cut %d of 40: %s", i, got)
		}
	}
}

// A photo whose parts lie over one another is not one that a camera wrote.
func TestPictureDataBelongsToOneItem(t *testing.T) {
	hevc(t)
	grid := specimen.HEIC(specimen.HEICOptions{Coded: "grid", Options: specimen.Options{GPS: true}, EXIFAt: "inside"})
	at := bytes.Index(grid, []byte("iloc")) + 4 + 8
	entry := func(i int) int { return at + i*20 } // id, method, reference, base, count, offset, length
	over := slices.Clone(grid)
	copy(over[entry(1)+12:entry(1)+20], over[entry(0)+12:entry(0)+20])
	binary.BigEndian.PutUint32(over[entry(1)+12:], binary.BigEndian.Uint32(over[entry(0)+12:])-3) // its base is 3
	if got := code(over); got != "corrupt" {
		t.Errorf("two tiles of the same data: %s", got)
	}
	exif := slices.Clone(grid)
	copy(exif[entry(5)+12:], exif[entry(0)+12:entry(0)+16])
	binary.BigEndian.PutUint32(exif[entry(5)+16:], 20)
	if got := code(exif); got != "corrupt" {
		t.Errorf("EXIF over a tile: %s", got)
	}
}

func TestHEICBombsAreRefusedByTheirHeader(t *testing.T) {
	hevc(t)
	grid := specimen.HEIC(specimen.HEICOptions{Coded: "grid"})
	set := func(in []byte, kind string, n, at int, v uint32) []byte {
		out := slices.Clone(in)
		from := 0
		for range n {
			from += bytes.Index(in[from:], []byte(kind)) + 4
		}
		binary.BigEndian.PutUint32(out[from+at:], v)
		return out
	}
	for name, c := range map[string]struct {
		in   []byte
		code string
	}{
		"4 gigapixels":    {set(grid, "ispe", 1, 4, 1<<31), "too_many_pixels"},
		"a grid of 65535": {set(set(set(grid, "ispe", 5, 4, 65535), "ispe", 5, 8, 65535), "idat", 1, 4, 0xFFFFFFFF), "corrupt"},
		"9000 boxes":      {append(slices.Clone(grid), bytes.Repeat([]byte("\x00\x00\x00\x08free"), 9000)...), "too_complex"},
	} {
		if got := code(c.in); got != c.code {
			t.Errorf("%s: %s, want %s", name, got, c.code)
		}
	}
	small := limits
	small.MemoryBytes = 50 << 20
	if _, err := codec.Sanitise(grid, small); codeOf(err) != "too_many_pixels" {
		t.Errorf("without memory: %v", err)
	}
	small = limits
	small.MaxPixels = 120*112 - 1
	if _, err := codec.Sanitise(grid, small); codeOf(err) != "too_many_pixels" {
		t.Errorf("one pixel too many: %v", err)
	}
}

func TestScanRefusesHEICThatIsNotCanonical(t *testing.T) {
	hevc(t)
	clean := sanitise(t, specimen.HEIC(specimen.HEICOptions{Coded: "grid"})).Renditions[0].Data
	if _, err := codec.Scan(clean); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string][]byte{
		"a specimen":      specimen.HEIC(specimen.HEICOptions{Coded: "grid"}),
		"a trailer":       append(slices.Clone(clean), "secret"...),
		"a free box":      append(slices.Clone(clean), "\x00\x00\x00\x0Cfreefree"...),
		"a minor version": append(append(slices.Clone(clean[:12]), 0, 0, 0, 1), clean[16:]...),
		"cut":             clean[:len(clean)-40],
		"a name":          bytes.Replace(clean, []byte("pict\x00\x00"), []byte("pictAB"), 1),
	} {
		if _, err := codec.Scan(in); codeOf(err) != codec.CodeUnsafe {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHEICIsTheSameEveryTime(t *testing.T) {
	hevc(t)
	in := specimen.HEIC(specimen.FullHEIC("grid", 1))
	if diff := cmp.Diff(sanitise(t, in), sanitise(t, in)); diff != "" {
		t.Errorf("the same photo gives different bytes:\n%s", diff)
	}
}

// What cannot be accounted for is not passed on: the picture is coded anew.
func TestParametersWithRoomForMoreAreNotKept(t *testing.T) {
	hevc(t)
	for name, extend := range map[string]func(o *specimen.HEICOptions){
		"sequence parameters": func(o *specimen.HEICOptions) { o.Tail33 = true },
		"picture parameters":  func(o *specimen.HEICOptions) { o.Tail34 = true },
		"video parameters":    func(o *specimen.HEICOptions) { o.Tail32 = true },
	} {
		o := specimen.HEICOptions{Options: specimen.Options{Canary: "canary-of-a-parameter-set"}}
		extend(&o)
		in := specimen.HEIC(o)
		if specimen.Find(in, o.Canary) == nil {
			t.Fatalf("%s: no canary", name)
		}
		a := sanitise(t, in)
		if a.Findings.CodedDataKept || a.Renditions[0].ContentType != "image/jpeg" || specimen.Find(a.Renditions[0].Data, o.Canary) != nil {
			t.Errorf("%s: %+v", name, a.Findings)
		}
	}
}
