package envelope

import (
	"crypto/hpke"
	"errors"
	"fmt"
	"io"

	"photovault/vault/id"
	"photovault/vault/seal"
)

// Seal writes the header to dst and returns a writer that seals what is
// written to it. Close completes the envelope and does not close dst; without
// it the envelope will not open. Whether the key may still be sealed to was
// decided by who picked it (SignedKeys.Pick).
func Seal(dst io.Writer, pub PublicKey, practice id.Practice, capture id.Capture) (io.WriteCloser, error) {
	if !id.Valid(string(practice)) || !id.Valid(string(capture)) {
		return nil, fmt.Errorf("envelope: practice or capture: %w", id.ErrMalformed)
	}
	key, err := pub.check()
	if err != nil {
		return nil, err
	}
	enc, sender, err := hpke.NewSender(key, hpke.HKDFSHA256(), hpke.ExportOnly(), info(practice, capture))
	if err != nil {
		return nil, fmt.Errorf("envelope: seal: %w", err)
	}
	exported, err := sender.Export(exporterLabel, exportedSize)
	if err != nil {
		return nil, fmt.Errorf("envelope: seal: %w", err)
	}
	defer clear(exported)
	header := appendHeader(make([]byte, 0, HeaderSize(pub.Suite)), pub.Suite, pub.ID, capture, enc)
	if _, err := dst.Write(header); err != nil {
		return nil, fmt.Errorf("envelope: seal: %w", err)
	}
	w, err := seal.NewWriter(dst, exported, header)
	if err != nil {
		return nil, fmt.Errorf("envelope: seal: %w", err)
	}
	return w, nil
}

// Open reads the header and returns the plaintext as a stream. It gives out
// only what has authenticated; whether the envelope is complete is known at
// io.EOF and not before. find is asked once, for the key that the header
// names, and its errors are passed on: ErrUnknownKey where it has none.
//
// Errors, also of the reader's Read: ErrFormat, ErrUnknownKey, ErrRefused, and
// what src and find return, wrapped. A src that breaks off must say so with
// something other than io.EOF and io.ErrUnexpectedEOF, or the envelope counts
// as truncated.
func Open(src io.Reader, find func(id.UploadKey) (*PrivateKey, error), practice id.Practice, capture id.Capture) (io.Reader, error) {
	var fixed [fixedSize]byte
	if err := readFull(src, fixed[:prefixSize], ErrFormat); err != nil {
		return nil, err
	}
	suite, err := parsePrefix(fixed[:])
	if err != nil {
		return nil, err
	}
	header := append(make([]byte, 0, HeaderSize(suite)), fixed[:prefixSize]...)[:HeaderSize(suite)]
	if err := readFull(src, header[prefixSize:], ErrRefused); err != nil {
		return nil, err
	}
	keyID, captureID, enc := header[prefixSize:prefixSize+idSize], header[prefixSize+idSize:fixedSize], header[fixedSize:]
	if string(captureID) != string(capture) {
		return nil, ErrRefused // before any key is unwrapped
	}
	named, err := id.Parse[id.UploadKey](string(keyID))
	if err != nil {
		return nil, ErrUnknownKey
	}
	key, err := find(named)
	if err != nil {
		return nil, fmt.Errorf("envelope: upload key: %w", err)
	}
	if key.id != named || key.suite != suite {
		return nil, ErrRefused
	}
	return key.open(src, header, enc, info(practice, capture))
}

func (k *PrivateKey) open(src io.Reader, header, enc, info []byte) (io.Reader, error) {
	recipient, err := hpke.NewRecipient(enc, k.key, hpke.HKDFSHA256(), hpke.ExportOnly(), info)
	if err != nil {
		return nil, ErrRefused // enc is no point of the curve
	}
	exported, err := recipient.Export(exporterLabel, exportedSize)
	if err != nil {
		return nil, fmt.Errorf("envelope: open: %w", err)
	}
	defer clear(exported)
	r, err := seal.NewReader(src, exported, header)
	if err != nil {
		return nil, refusal(err)
	}
	return opened{r}, nil
}

// opened translates the container's refusal.
type opened struct{ src *seal.Reader }

func (o opened) Read(p []byte) (int, error) {
	n, err := o.src.Read(p)
	if err != nil {
		err = refusal(err)
	}
	return n, err
}

func refusal(err error) error {
	switch {
	case err == io.EOF:
		return err
	case errors.Is(err, seal.ErrAuth):
		return ErrRefused
	default:
		return fmt.Errorf("envelope: %w", err)
	}
}

// readFull tells a source that ends early, which is the verdict short, from
// one that fails. io.ReadFull returns its own two errors bare; a source's
// error that wraps one of them is still a failure.
func readFull(src io.Reader, b []byte, short error) error {
	switch _, err := io.ReadFull(src, b); err {
	case nil:
		return nil
	case io.EOF, io.ErrUnexpectedEOF:
		return short
	default:
		return fmt.Errorf("envelope: source: %w", err)
	}
}
