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

type NewRecognisability struct {
	Recognisable *bool `json:"recognisable"`
}

func (c *call) maskPhoto() error {
	p, err := pathID[id.Photo](c, "photo")
	if err != nil {
		return err
	}
	var in NewMask
	if err := c.decode(&in); err != nil {
		return err
	}
	r, err := c.service().Mask(c.ctx, c.who, p, in.Regions)
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
	var in NewComparison
	if err := c.decode(&in); err != nil {
		return err
	}
	if !id.Valid(string(in.Before)) {
		return refuseField("before", "Give the id of the photo from before.")
	}
	r, err := c.service().Compare(c.ctx, c.who, p, in.Before, [2]consent.Region{in.Crops.Before, in.Crops.After}, in.Masked)
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
