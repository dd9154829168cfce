package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"

	"photovault/imaging"
	"photovault/vault"
)

type photoReceipt struct {
	Photo       string `arg:"" optional:"" help:"Photo's id."`
	Verify      bool   `help:"Check files against the receipt, and say what it proves."`
	Receipt     string `help:"A receipt as --json printed it: nothing is asked of the service." placeholder:"FILE"`
	EvidenceKey string `help:"The practice's evidence key that you trust, in base64 (default: the one that this home pinned)." placeholder:"KEY"`
	Input       string `help:"The file as it was uploaded." placeholder:"FILE"`
	Output      string `help:"The original as it was delivered." placeholder:"FILE"`
}

// Help is shown by photovault photo receipt --help.
func (photoReceipt) Help() string {
	return `Examples:
  photovault photo receipt PHOTO
  photovault photo receipt PHOTO --json >receipt.json
  photovault photo receipt --receipt receipt.json --evidence-key KEY --verify --input upload.jpg --output original.jpg

The last one needs no service and no network. Exit status 1: something does not
match.`
}

func (c *photoReceipt) Run(r *run) error {
	if (c.Photo == "") == (c.Receipt == "") {
		return misuse("give a photo's id, or --receipt FILE")
	}
	receipt, err := c.read(r)
	if err != nil {
		return err
	}
	if err := c.checkSignature(r, receipt); err != nil {
		return err
	}
	var files []fileCheck
	if c.Verify || c.Input != "" || c.Output != "" {
		if files, err = c.checkFiles(r.ctx, receipt); err != nil {
			return err
		}
	}
	if r.JSON {
		err = r.printJSON(receipt)
	} else {
		printReceipt(r.out, receipt)
		for _, f := range files {
			fmt.Fprintf(r.out, "%-9s %s\n", f.what, f.verdict())
		}
		if c.Verify {
			fmt.Fprint(r.out, whatItProves)
		}
	}
	for _, f := range files {
		if !f.holds() {
			return errors.Join(err, fmt.Errorf("%s does not match the receipt", f.what))
		}
	}
	return err
}

const whatItProves = `proves    that the practice's service received exactly this upload, and made exactly this original of it on the day of issue;
          if the picture is unaltered, that both show the same pixels; which kinds of metadata were removed, not what they said
not       who took the photo, when, whether it was changed before it was uploaded, or whom it shows
`

func (c *photoReceipt) read(r *run) (*vault.Receipt, error) {
	receipt := &vault.Receipt{}
	if c.Receipt == "" {
		return receipt, r.onPhoto(c.Photo, "/receipt", receipt)
	}
	b, err := os.ReadFile(c.Receipt)
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(b, receipt) != nil || len(receipt.Findings.InputSHA256) != 64 {
		return nil, errors.New("this is no receipt; print one with: photovault photo receipt PHOTO --json")
	}
	if !saysOnly(b, receipt) {
		return nil, errors.New("this receipt says more than was signed, or says it twice; print it anew with: photovault photo receipt PHOTO --json")
	}
	return receipt, nil
}

// saysOnly reports whether a file is this receipt, whatever its spaces and the order of its fields. The signature is
// over what was read of it: a field that nobody signed, or one that is there twice, would be read by whoever looks at
// the file.
func saysOnly(file []byte, receipt *vault.Receipt) bool {
	signed, err := json.Marshal(receipt)
	if err != nil {
		return false
	}
	var got, want any
	if json.Unmarshal(file, &got) != nil || json.Unmarshal(signed, &want) != nil {
		return false
	}
	return reflect.DeepEqual(got, want) && tokens(file) == tokens(signed)
}

// tokens counts what a JSON text is made of.
func tokens(text []byte) (n int) {
	for d := json.NewDecoder(bytes.NewReader(text)); ; n++ {
		if _, err := d.Token(); err != nil {
			return n
		}
	}
}

// checkSignature trusts the key that was given, else the pinned one; the service
// is asked for later ones only where it is asked at all.
func (c *photoReceipt) checkSignature(r *run, receipt *vault.Receipt) error {
	if c.EvidenceKey != "" {
		key, err := base64.StdEncoding.DecodeString(c.EvidenceKey)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return misuse("--evidence-key is 32 bytes in base64")
		}
		return receipt.Verify(key)
	}
	conf, err := home(r.Home).loadSettings()
	if err != nil {
		return err
	}
	if c.Receipt != "" {
		return receipt.Verify(conf.EvidenceKey)
	}
	return r.verifyReceipt(receipt, conf.EvidenceKey)
}

// fileCheck is what a file was found to be.
type fileCheck struct {
	what         string
	bytes, shows bool // it is the receipt's file; it shows the receipt's pixels
}

func (f fileCheck) holds() bool { return f.bytes && f.shows }

func (f fileCheck) verdict() string {
	switch {
	case f.holds():
		return "matches: the same file, and its pixels are those of the receipt"
	case f.shows:
		return "DIFFERS: other bytes, though they show the pixels of the receipt"
	default:
		return "DIFFERS: it is not the file that the receipt is about"
	}
}

// checkFiles hashes the files and has media workers, fenced in as the service's,
// decode them.
func (c *photoReceipt) checkFiles(ctx context.Context, receipt *vault.Receipt) (out []fileCheck, err error) {
	if c.Input == "" && c.Output == "" {
		return nil, nil
	}
	media, err := imaging.NewPool(imaging.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer media.Close()
	if missing := media.Fences().Missing(); len(missing) > 0 {
		return nil, fmt.Errorf("photos are not parsed where media workers cannot be fenced in: %v", missing)
	}
	f := &receipt.Findings
	for _, file := range []struct{ what, path, sum, pixels string }{
		{"input", c.Input, f.InputSHA256, f.PixelsBefore}, {"output", c.Output, f.OutputSHA256, f.PixelsAfter},
	} {
		if file.path == "" {
			continue
		}
		b, err := os.ReadFile(file.path)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(b)
		check := fileCheck{what: file.what, bytes: hex.EncodeToString(sum[:]) == file.sum}
		seen, err := media.Process(ctx, b)
		var refusal *imaging.Refusal
		switch {
		case err == nil:
			check.shows = hex.EncodeToString(seen.Findings.Pixels.Decoded[:]) == file.pixels
		case !errors.As(err, &refusal):
			return nil, err
		}
		out = append(out, check)
	}
	return out, nil
}
