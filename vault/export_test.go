package vault

import (
	"context"

	"photovault/consent"
	"photovault/imaging"
	"photovault/vault/id"
)

// Recheck asks for a re-check of running deliveries now.
func (s *Service) Recheck() { s.streams.recheck() }

// RecheckNow re-checks running deliveries and returns when that is done.
func (s *Service) RecheckNow(ctx context.Context) { s.streams.check(ctx) }

// DeriveMasked makes a rendition "masked" of a photo's web rendition by work.
func (s *Service) DeriveMasked(ctx context.Context, who consent.Principal, p id.Photo, work func(context.Context, [][]byte) (*imaging.Rendition, error)) (*Rendition, error) {
	return s.derive(ctx, who, derivation{photo: p, rendition: consent.Masked, purpose: consent.ForCare, sources: []source{{p, "web"}}}, work)
}
