package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"photovault/consent"
	"photovault/imaging"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// Mask hides regions of a photo: it appends which to the patient's record and
// makes the renditions masked and, of that, masked-thumb. From the moment the
// regions are recorded on, a masked rendition that was made without them is not
// released.
// Errors: ErrDenied, ErrInvalid, ErrNotFound, and derive's.
func (s *Service) Mask(ctx context.Context, who consent.Principal, p id.Photo, regions []consent.Region) (*Rendition, error) {
	ev, err := s.mark(ctx, who, p, Happening{Kind: consent.Marked, Regions: regions})
	if err != nil {
		return nil, err
	}
	d := derivation{photo: p, rendition: consent.Masked, purpose: consent.ForCare, marking: ev.ID, sources: []source{{p, consent.Web}}}
	made, err := s.derive(ctx, who, d, func(ctx context.Context, plain [][]byte) (*imaging.Rendition, error) {
		r, err := s.Media.Mask(ctx, plain[0], areas(ev.Regions))
		return r, pictureFault("regions", err)
	})
	if err != nil {
		return nil, err
	}
	d.rendition, d.sources = consent.MaskedThumb, []source{{p, consent.Masked}}
	_, err = s.derive(ctx, who, d, func(ctx context.Context, plain [][]byte) (*imaging.Rendition, error) {
		r, err := s.Media.ShrinkMasked(ctx, plain[0])
		return r, pictureFault("regions", err)
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// Compare shows a photo beside one from before, of the same patient: it appends
// which part of each to the record and makes the rendition compare or, where
// each of the two that is marked is to be masked in it, masked-compare. It is
// released only where the records allow it for both, and goes with either; and
// a masked-compare only until either is marked anew.
// Errors: as Mask's.
func (s *Service) Compare(ctx context.Context, who consent.Principal, after, before id.Photo, crops [2]consent.Region, masked bool) (*Rendition, error) {
	ev, err := s.mark(ctx, who, after, Happening{Kind: consent.Compared, With: before, Regions: crops[:], Masked: masked})
	if err != nil {
		return nil, err
	}
	d := derivation{photo: after, rendition: consent.Compare, purpose: consent.ForCare, with: before,
		sources: []source{{before, consent.Web}, {after, consent.Web}}}
	if masked {
		d.rendition = consent.MaskedCompare
		if err := s.preferMasked(ctx, who, d.sources); err != nil {
			return nil, err
		}
	}
	return s.derive(ctx, who, d, func(ctx context.Context, plain [][]byte) (*imaging.Rendition, error) {
		r, err := s.Media.Compare(ctx, plain[0], plain[1], [2]imaging.Region(areas(ev.Regions)))
		return r, pictureFault("crops", err)
	})
}

// preferMasked has each source be what hides the marked regions of its photo,
// where there is that. What was marked and has none, the decision refuses.
func (s *Service) preferMasked(ctx context.Context, who consent.Principal, list []source) error {
	for i := range list {
		p, err := s.photo(ctx, who, list[i].photo)
		if err != nil {
			return err
		}
		if p.rendition(consent.Masked) != nil {
			list[i].rendition = consent.Masked
		}
	}
	return nil
}

// Recognise records whether a photo shows who it is, as a person says
// (164.514(b)(2)(i)(Q)). Errors: ErrDenied, ErrNotFound.
func (s *Service) Recognise(ctx context.Context, who consent.Principal, p id.Photo, recognisable bool) (*consent.Event, error) {
	return s.mark(ctx, who, p, Happening{Kind: consent.Recognised, Recognisable: &recognisable})
}

// mark appends what a person says of one photo that is ready.
func (s *Service) mark(ctx context.Context, who consent.Principal, p id.Photo, h Happening) (*consent.Event, error) {
	e := entry(who, audit.RecordEvent, audit.Allowed)
	e.Photo, e.Subject, e.Reason = p, string(p), string(h.Kind)
	if err := s.allow(ctx, who, consent.DeriveRendition, e); err != nil {
		return nil, err
	}
	photo, err := s.photo(ctx, who, p)
	other := photo
	if err == nil && h.With != "" {
		if other, err = s.photo(ctx, who, h.With); err == nil && (other.Patient != photo.Patient || other.State != Ready || h.With == p) {
			err = invalid("before", "Name another photo of the same patient that is ready.")
		}
	}
	if err == nil {
		h.Regions = measured(h.Regions, other, photo)
	}
	switch {
	case err != nil:
	case photo.State != Ready:
		err = ErrNotFound
	case len(h.Regions) > consent.MaxRegions, slices.ContainsFunc(h.Regions, func(r consent.Region) bool { return !r.Valid() }),
		h.Kind == consent.Marked && len(h.Regions) == 0:
		err = invalid("regions", "Give 1 to 32 regions that lie within the photo, in ten thousandths of its width and height or in pixels of its web rendition.")
	case h.Masked && photo.rendition(consent.Masked) == nil && other.rendition(consent.Masked) == nil:
		err = invalid("masked", "Mask one of the two photos first: nothing is marked in either.")
	}
	if err != nil {
		return nil, s.failed(ctx, who, e, err)
	}
	e.Patient = photo.Patient
	if err := s.open(ctx, who, consent.DeriveRendition, photo.Patient, photo, e); err != nil {
		return nil, err
	}
	h.Patient, h.Subject = photo.Patient, string(p)
	return s.append(ctx, who, h, e)
}

// measured are regions in ten thousandths, whatever unit they were given in: the first is of one photo, all
// others of another.
func measured(list []consent.Region, first, others *Photo) []consent.Region {
	out := slices.Clone(list)
	for i, of := range out {
		p := others
		if i == 0 {
			p = first
		}
		if web := p.rendition(consent.Web); web != nil {
			out[i] = of.Of(web.Width, web.Height)
		}
	}
	return out
}

// areas are regions as the media workers take them.
func areas(list []consent.Region) []imaging.Region {
	out := make([]imaging.Region, len(list))
	for i, r := range list {
		out[i] = imaging.Region{Shape: imaging.Rectangle, X: r.X, Y: r.Y, Width: r.Width, Height: r.Height}
		if r.Shape == "ellipse" {
			out[i].Shape = imaging.Ellipse
		}
	}
	return out
}

// pictureFault says what a refusal of the media workers means for a picture
// that was accepted before: either what was asked for cannot be, or the machine
// is in trouble.
func pictureFault(field string, err error) error {
	var r *imaging.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r) && (r.Code == imaging.RegionOutside || r.Code == imaging.CropsDiffer):
		return invalid(field, r.Detail)
	default:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
}

// beside is what a decision needs to know of the other photo that is shown; zero without one.
func (d *derivation) beside(photos []*Photo) consent.Photo {
	for _, p := range photos {
		if p.ID == d.with && d.with != "" {
			out := p.Subject()
			out.Marking, out.ThumbMarking, out.With, out.MaskedWith = "", "", nil, nil
			out.PairMarking = d.maskedBy(p)
			return out
		}
	}
	return consent.Photo{}
}

// maskedBy is what the photo is masked by in what is made of it: p is as it was when its source was
// opened. Empty: its source is not masked.
func (d *derivation) maskedBy(p *Photo) id.Event {
	if slices.Contains(d.sources, source{p.ID, consent.Masked}) {
		return p.rendition(consent.Masked).Marking
	}
	return ""
}
