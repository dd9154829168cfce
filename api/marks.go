package api

import (
	"photovault/consent"
	"photovault/vault/id"
)

// The JSON of what people say of a photo, and what is made by it.

type NewMask struct {
	Regions []consent.Region `json:"regions"`
}

type NewComparison struct {
	Before id.Photo `json:"before"`
	Masked bool     `json:"masked,omitempty"`
	Crops  struct {
		Before consent.Region `json:"before"`
		After  consent.Region `json:"after"`
	} `json:"crops"`
}

// region is a consent.Region as it is read. A number that is left out is no zero: a mask would lie somewhere else.
type region struct {
	Shape  string `json:"shape"`
	X      *int   `json:"x"`
	Y      *int   `json:"y"`
	Width  *int   `json:"width"`
	Height *int   `json:"height"`
	Unit   string `json:"unit"`
}

// crops is a NewComparison as it is read.
type crops struct {
	Before id.Photo `json:"before"`
	Masked bool     `json:"masked"`
	Crops  struct {
		Before region `json:"before"`
		After  region `json:"after"`
	} `json:"crops"`
}

// placed gives the regions of a field.
func placed(field string, in ...region) ([]consent.Region, error) {
	var out []consent.Region
	for _, r := range in {
		if r.X == nil || r.Y == nil || r.Width == nil || r.Height == nil {
			return nil, refuseField(field, "Say of each region where it lies and how large it is: x, y, width and height.")
		}
		out = append(out, consent.Region{Shape: r.Shape, X: *r.X, Y: *r.Y, Width: *r.Width, Height: *r.Height, Unit: r.Unit})
	}
	return out, nil
}

type NewRecognisability struct {
	Recognisable *bool `json:"recognisable"`
}

func (c *call) maskPhoto() error {
	p, err := pathID[id.Photo](c, "photo")
	if err != nil {
		return err
	}
	var in struct {
		Regions []region `json:"regions"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	regions, err := placed("regions", in.Regions...)
	if err != nil {
		return err
	}
	r, err := c.service().Mask(c.ctx, c.who, p, regions)
	if err != nil {
		return err
	}
	return c.reply(201, rendition(*r))
}

func (c *call) comparePhoto() error {
	p, err := pathID[id.Photo](c, "photo")
	if err != nil {
		return err
	}
	var in crops
	if err := c.decode(&in); err != nil {
		return err
	}
	shown, err := placed("crops", in.Crops.Before, in.Crops.After)
	if err != nil {
		return err
	}
	if !id.Valid(string(in.Before)) {
		return refuseField("before", "Give the id of the photo from before.")
	}
	r, err := c.service().Compare(c.ctx, c.who, p, in.Before, [2]consent.Region(shown), in.Masked)
	if err != nil {
		return err
	}
	return c.reply(201, rendition(*r))
}

func (c *call) recognisePhoto() error {
	p, err := pathID[id.Photo](c, "photo")
	if err != nil {
		return err
	}
	var in NewRecognisability
	if err := c.decode(&in); err != nil {
		return err
	}
	if in.Recognisable == nil {
		return refuseField("recognisable", "Say true or false.")
	}
	e, err := c.service().Recognise(c.ctx, c.who, p, *in.Recognisable)
	if err != nil {
		return err
	}
	return c.reply(200, event(e))
}
