package imaging

import (
	"context"
	"crypto/sha256"
	"slices"

	"photovault/imaging/internal/wire"
)

// Mask blacks regions out of a finished web rendition. What was there is gone from the result, in its
// brightness and its colours, and so is what decoding and resizing had spread of it around. The input is
// only read. Errors: as of Process; RegionOutside.
func (p *Pool) Mask(ctx context.Context, web []byte, regions []Region) (*Rendition, error) {
	if len(regions) == 0 || len(regions) > MaxRegions || slices.ContainsFunc(regions, func(r Region) bool { return !r.Valid() }) {
		return nil, &Refusal{RegionOutside, "give 1 to 32 regions that lie within the picture"}
	}
	return p.derive(ctx, Masked, wire.Request{Mode: wire.Mask, Blobs: [][]byte{web}, Regions: regions})
}

// ShrinkMasked makes the thumb of a masked rendition. The input is only read. Errors: as of Process.
func (p *Pool) ShrinkMasked(ctx context.Context, masked []byte) (*Rendition, error) {
	return p.derive(ctx, MaskedThumb, wire.Request{Mode: wire.Shrink, Blobs: [][]byte{masked}})
}

// Compare shows parts of two finished renditions, each web or masked, side by side at the same scale, the
// first labelled before, the second after. crops say which parts. Errors: as of Process; RegionOutside,
// CropsDiffer.
func (p *Pool) Compare(ctx context.Context, before, after []byte, crops [2]Region) (*Rendition, error) {
	for _, r := range crops {
		if !r.Valid() || r.Shape != Rectangle {
			return nil, &Refusal{RegionOutside, "give two rectangles that lie within the pictures"}
		}
	}
	return p.derive(ctx, Compare, wire.Request{Mode: wire.Compare, Blobs: [][]byte{before, after}, Regions: crops[:]})
}

// maxDerivedSide bounds what is made of finished renditions, in pixels.
const maxDerivedSide = 1700

// derive has one worker make a picture of finished ones, and a second look at it.
func (p *Pool) derive(ctx context.Context, name string, q wire.Request) (*Rendition, error) {
	w, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer w.end()
	a, err := w.run(ctx, q)
	if err != nil {
		return nil, err
	}
	if len(a.Renditions) != 1 || a.Renditions[0].Name != name || a.Renditions[0].ContentType != "image/jpeg" ||
		max(a.Renditions[0].Width, a.Renditions[0].Height) > maxDerivedSide {
		return nil, &Refusal{WorkerFailed, "renditions are not those asked for"}
	}
	r := a.Renditions[0]
	seen, err := w.run(ctx, wire.Request{Mode: wire.Scan, Blobs: [][]byte{r.Data}})
	if err != nil {
		return nil, err
	}
	if err := agree(&a, seen.Seen); err != nil {
		return nil, err
	}
	r.SHA256 = sha256.Sum256(r.Data)
	return &r, nil
}
