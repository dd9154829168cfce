package main

import (
	"fmt"
	"strings"

	"photovault/api"
	"photovault/consent"
	"photovault/vault"
	"photovault/vault/id"
)

type photoMask struct {
	Photo string   `arg:"" help:"Photo's id."`
	Hide  []string `sep:"none" help:"What to hide: X,Y,WIDTH,HEIGHT in percent of the upright photo, from its left and upper edge, or in pixels of its web rendition as X,Y,W,Hpx; may be given several times." placeholder:"X,Y,W,H"`
	Oval  []string `sep:"none" help:"The same, hiding the oval in it only." placeholder:"X,Y,W,H"`
}

// Help is shown by photovault photo mask --help.
func (photoMask) Help() string {
	return `Example, for eyes that lie in a band across the upper half:
  photovault photo mask PHOTO --hide 20,30,60,12.5
  photovault get PHOTO --purpose clinical --rendition masked -o masked.jpg

The regions replace those of before. What is hidden is gone from the rendition;
the photo itself is not changed. A masked photo is not a de-identified one.`
}

func (c *photoMask) Run(r *run) error {
	var in api.NewMask
	for shape, list := range map[string][]string{"rectangle": c.Hide, "ellipse": c.Oval} {
		for _, text := range list {
			region, err := parseRegion(shape, text)
			if err != nil {
				return err
			}
			in.Regions = append(in.Regions, region)
		}
	}
	if len(in.Regions) == 0 {
		return misuse("say what to hide: --hide or --oval X,Y,WIDTH,HEIGHT")
	}
	return r.derive(c.Photo, "/mask", in)
}

type photoCompare struct {
	Photo   string `arg:"" optional:"" help:"Photo's id: the one from after."`
	Before  string `help:"Photo from before, of the same patient." placeholder:"ID"`
	Set     string `help:"In place of both: the set that holds one photo of kind before and one of kind after." placeholder:"ID"`
	Patient string `help:"Whose set it is." placeholder:"ID"`
	View    string `help:"Where a set has several of a kind: those of this view." placeholder:"TEXT"`
	Crop    string `help:"What to show of the photo: X,Y,WIDTH,HEIGHT in percent." default:"0,0,100,100" placeholder:"X,Y,W,H"`
	Other   string `help:"What to show of the one from before; the same shape." default:"0,0,100,100" placeholder:"X,Y,W,H"`
	Masked  bool   `help:"Show each of the two that is marked as photovault photo mask left it, in the rendition masked-compare."`
}

// Help is shown by photovault photo compare --help.
func (photoCompare) Help() string {
	return `Example:
  photovault photo compare AFTER --before BEFORE --crop 20,10,60,60 --other 22,14,60,60
  photovault photo compare --set SET --patient PATIENT

Both parts are shown at the same size, labelled before and after and nothing
else. It is released only where both photos may be, and goes with either. With
--masked, what is marked in either is hidden; it must be made anew when either
is marked anew. An authorization for masked photos only allows it where both
are marked.`
}

func (c *photoCompare) Run(r *run) error {
	after, before := c.Photo, c.Before
	if c.Set != "" && after == "" && before == "" {
		var err error
		if after, before, err = r.pair(c.Patient, c.Set, c.View); err != nil {
			return err
		}
	}
	if after == "" || before == "" {
		return misuse("name both photos, PHOTO and --before ID, or --set ID and --patient ID")
	}
	in := api.NewComparison{Before: id.Photo(before), Masked: c.Masked}
	var err error
	if in.Crops.After, err = parseRegion("rectangle", c.Crop); err != nil {
		return err
	}
	if in.Crops.Before, err = parseRegion("rectangle", c.Other); err != nil {
		return err
	}
	return r.derive(after, "/comparison", in)
}

// pair finds the photos of a set that are compared: the one of kind after and the one of kind before.
func (r *run) pair(patient, set, view string) (after, before string, err error) {
	if !id.Valid(patient) || !id.Valid(set) {
		return "", "", misuse("--set and --patient must be ids, UUIDs")
	}
	cl, _, err := r.connect()
	if err != nil {
		return "", "", err
	}
	var all api.PhotoList
	if err := cl.Get(r.ctx, "/v1/photos?patient="+patient, &all); err != nil {
		return "", "", err
	}
	found := map[string][]string{}
	for _, p := range all.Photos {
		if string(p.Set) == set && p.State == vault.Ready && (view == "" || p.View == view) {
			found[p.Kind] = append(found[p.Kind], string(p.ID))
		}
	}
	for _, kind := range []string{"before", "after"} {
		if n := len(found[kind]); n != 1 {
			return "", "", misuse(fmt.Sprintf("the set has %d photos of kind %s that are ready, not one; name both photos, or a --view", n, kind))
		}
	}
	return found["after"][0], found["before"][0], nil
}

type photoFlag struct {
	Photo        string `arg:"" help:"Photo's id."`
	Recognisable bool   `help:"Somebody who knows the patient could recognise them; so it is until somebody says otherwise." xor:"flag" required:""`
	NotShown     bool   `help:"Nothing in the photo shows who it is." xor:"flag" required:""`
}

func (c *photoFlag) Run(r *run) error {
	var e api.Event
	in := api.NewRecognisability{Recognisable: &c.Recognisable}
	if err := r.postPhoto(c.Photo, "/recognisability", in, &e); err != nil {
		return err
	}
	state := "recognisable"
	if !c.Recognisable {
		state = "not recognisable, as you say; this is no de-identification"
	}
	return r.say(e, "%s is %s", c.Photo, state)
}

// derive has a rendition made and says what it is.
func (r *run) derive(photo, what string, in any) error {
	var made api.Rendition
	if err := r.postPhoto(photo, what, in, &made); err != nil {
		return err
	}
	return r.say(made, "%s %s: %d×%d, %d bytes", photo, made.Name, made.Width, made.Height, made.Size)
}

func (r *run) postPhoto(photo, what string, in, out any) error {
	if !id.Valid(photo) {
		return misuse("PHOTO must be a photo's id, a UUID")
	}
	cl, _, err := r.connect()
	if err != nil {
		return err
	}
	return cl.Post(r.ctx, "/v1/photos/"+photo+what, in, out)
}

// parseRegion reads X,Y,WIDTH,HEIGHT in percent, or in pixels of the web rendition with px behind it; whether
// those lie within it only the server knows.
func parseRegion(shape, text string) (consent.Region, error) {
	if pixels, ok := strings.CutSuffix(text, "px"); ok {
		region := consent.Region{Shape: shape, Unit: consent.Pixels}
		var rest string
		n, _ := fmt.Sscanf(pixels+" .", "%d,%d,%d,%d %s", &region.X, &region.Y, &region.Width, &region.Height, &rest)
		if n != 5 || rest != "." {
			return region, misuse("a region in pixels is X,Y,WIDTH,HEIGHTpx, such as 320,200,480,96px")
		}
		return region, nil
	}
	var v [4]float64
	var rest string
	n, _ := fmt.Sscanf(text+" .", "%f,%f,%f,%f %s", &v[0], &v[1], &v[2], &v[3], &rest)
	region := consent.Region{Shape: shape, X: int(v[0]*100 + 0.5), Y: int(v[1]*100 + 0.5), Width: int(v[2]*100 + 0.5), Height: int(v[3]*100 + 0.5)}
	if n != 5 || rest != "." || !region.Valid() {
		return region, misuse("a region is X,Y,WIDTH,HEIGHT in percent and lies within the photo, such as 20,30,60,12.5")
	}
	return region, nil
}
