package vault

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"photovault/imaging"
	"photovault/vault/canon"
	"photovault/vault/keys"
)

// findings takes over what the media workers saw.
func findings(f *imaging.Findings, original *imaging.Rendition) Findings {
	out := Findings{
		Format: f.Format, OutputFormat: strings.TrimPrefix(original.ContentType, "image/"), Width: f.Width, Height: f.Height,
		InputSHA256: hex.EncodeToString(f.InputSHA256[:]), OutputSHA256: hex.EncodeToString(original.SHA256[:]),
		CapturedAt: f.CaptureTime, Orientation: f.Orientation, HadGPS: f.HadGPS, EXIFUnreadable: f.EXIFUnreadable,
		Removed: []Dropped{}, CodedDataKept: f.CodedDataKept, Baked: f.OrientationBaked, Exactly: f.TurnedWithoutLoss, Converted: f.ColourConverted,
		Profile: f.SourceProfile, PixelsBefore: hex.EncodeToString(f.Pixels.Decoded[:]),
		PixelsEncoded: hex.EncodeToString(f.Pixels.Encoded[:]), PixelsAfter: hex.EncodeToString(f.Pixels.Delivered[:]),
	}
	for _, r := range f.Removed {
		out.Removed = append(out.Removed, Dropped(r))
	}
	return out
}

// statement is what a receipt's signature covers: its place, and its findings
// as JSON in the field order of their types.
func (r *Receipt) statement() ([]byte, error) {
	findings, err := json.Marshal(r.Findings)
	if err != nil {
		return nil, err
	}
	return canon.Encode("photovault/receipt/v1", string(r.Practice), string(r.Photo),
		strconv.FormatInt(r.IssuedAt.UnixMilli(), 10), r.Software, string(findings)), nil
}

func (s *Service) signReceipt(ctx context.Context, r *Receipt) error {
	key, err := s.signingKey(ctx, r.Practice, keys.Checkpoint)
	if err != nil {
		return err
	}
	statement, err := r.statement()
	if err != nil {
		return err
	}
	r.Signature = ed25519.Sign(key, statement)
	return nil
}

// ErrReceipt reports a receipt that the practice has not signed.
var ErrReceipt = errors.New("vault: the receipt's signature does not match")

// Verify checks the receipt against the practice's evidence key.
func (r *Receipt) Verify(key ed25519.PublicKey) error {
	statement, err := r.statement()
	if err != nil {
		return err
	}
	if !ed25519.Verify(key, statement, r.Signature) {
		return ErrReceipt
	}
	return nil
}
