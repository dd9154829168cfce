package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"photovault/api"
	"photovault/api/client"
	"photovault/consent"
	"photovault/vault"
	"photovault/vault/envelope"
	"photovault/vault/id"
)

type putCommand struct {
	File      string        `arg:"" help:"Photo to send (JPEG, PNG or WebP), or - for standard input." placeholder:"FILE"`
	Patient   string        `required:"" help:"Patient's id." placeholder:"ID"`
	Kind      string        `help:"before, after or progress."`
	View      string        `help:"View, such as frontal."`
	BodySite  string        `help:"Body site."`
	Set       string        `help:"Photos that belong together, such as before and after: a UUID of your choice." placeholder:"ID"`
	Treatment string        `help:"The course of treatment it shows: a UUID of your choice." placeholder:"ID"`
	Device    string        `help:"This device's id (a UUID); made up when absent." placeholder:"UUID"`
	Capture   string        `help:"The capture's id (a UUID); give it again to resume the same photo." placeholder:"UUID"`
	P256      bool          `help:"Seal with P-256 instead of the post-quantum default."`
	Wait      time.Duration `help:"How long to wait until the photo is ready; 0 returns once it is received." default:"1m"`
}

// Help is shown by photovault put --help.
func (putCommand) Help() string {
	return `Example:
  photovault put face.jpg --patient 1b4e28ba-2fa1-4d52-8a1c-0123456789ab --kind before

The photo is sealed here, to the practice's upload key, before anything is sent.`
}

func (c *putCommand) Run(r *run) error {
	cl, conf, err := r.connect()
	if err != nil {
		return err
	}
	in := r.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	suite := envelope.MLKEM768X25519
	if c.P256 {
		suite = envelope.P256
	}
	bar := newProgress(r.err, "uploading", r.JSON)
	p, err := cl.Put(r.ctx, in, client.PutOptions{
		Photo:  api.NewPhoto{Patient: c.Patient, Device: c.Device, Capture: c.Capture, Kind: c.Kind, View: c.View, BodySite: c.BodySite, Set: c.Set, Treatment: c.Treatment},
		Pinned: conf.UploadSigningKey, Practice: conf.Practice, Suite: suite, Progress: bar.update})
	bar.done()
	if err != nil {
		return err
	}
	if c.Wait == 0 {
		return r.say(p, "%s received; it will be ready shortly", p.ID)
	}
	ctx, cancel := context.WithTimeout(r.ctx, c.Wait)
	defer cancel()
	if p, err = cl.Await(ctx, p.ID); err != nil {
		return explain(p, err)
	}
	return r.say(p, "%s %s (%d renditions)", p.ID, p.State, len(p.Renditions))
}

type getCommand struct {
	Photo     string        `arg:"" help:"Photo's id."`
	Purpose   string        `required:"" help:"clinical, teaching or marketing."`
	Rendition string        `help:"original, web, thumb, masked, masked-thumb, compare or masked-compare." default:"web"`
	Recipient string        `help:"Marketing: who receives it, as the authorization names them."`
	Channel   string        `help:"Marketing: website, social, print or in-office."`
	Campaign  string        `help:"Marketing: the campaign it is for; see: photovault campaign list." placeholder:"ID"`
	Output    string        `short:"o" help:"File to write; must not exist. - for standard output." default:"-" placeholder:"FILE"`
	Token     bool          `help:"Only ask for the token and print it."`
	Path      bool          `help:"Ask for a token in a path, for an <img>."`
	TTL       time.Duration `help:"Life of the token (default 60s in a path, 5m in a header; at most 1h)."`
}

// Help is shown by photovault get --help.
func (getCommand) Help() string {
	return `Examples:
  photovault get PHOTO --purpose clinical -o face.jpg
  photovault get PHOTO --purpose marketing --campaign ID --recipient "Clinic website" --channel website -o web.jpg`
}

func (c *getCommand) Run(r *run) error {
	cl, _, err := r.connect()
	if err != nil {
		return err
	}
	if !id.Valid(c.Photo) {
		return misuse("PHOTO must be a photo's id, a UUID")
	}
	form := consent.InHeader
	if c.Path {
		form = consent.InPath
	}
	var t api.Token
	err = cl.Post(r.ctx, "/v1/photos/"+c.Photo+"/tokens", api.NewToken{Purpose: consent.Purpose(c.Purpose), Rendition: c.Rendition,
		Recipient: c.Recipient, Channel: c.Channel, Campaign: id.Campaign(c.Campaign), Form: form, TTLSeconds: int(c.TTL / time.Second)}, &t)
	if err != nil {
		return err
	}
	if c.Token {
		return r.say(t, "%s", t.Token)
	}
	var photo bytes.Buffer // in memory until it is whole
	n, err := cl.Content(r.ctx, t, &photo)
	if err != nil {
		return err
	}
	if c.Output == "-" {
		_, err = photo.WriteTo(r.out)
		return err
	}
	f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := photo.WriteTo(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return r.say(map[string]any{"photo": c.Photo, "rendition": c.Rendition, "file": c.Output, "bytes": n}, "%s: %s, %d bytes", c.Output, c.Rendition, n)
}

type photoCommand struct {
	List    photoList    `cmd:"" help:"List a patient's photos, or what marketing may use now."`
	Show    photoShow    `cmd:"" help:"Show one photo's state and renditions."`
	Receipt photoReceipt `cmd:"" help:"Show what sanitising found and removed; the signature is checked."`
	Mask    photoMask    `cmd:"" help:"Black regions out, in a rendition of its own."`
	Compare photoCompare `cmd:"" help:"Show a photo beside one from before, in a rendition of its own."`
	Flag    photoFlag    `cmd:"" help:"Say whether a photo shows who it is."`
	Delete  photoDelete  `cmd:"" help:"Revoke a photo: its key and its objects go."`
}

// Help is shown by photovault photo list --help.
func (photoList) Help() string {
	return `Examples:
  photovault photo list --patient PATIENT
  photovault photo list --usable           what marketing may use now, and what must come down`
}

type photoList struct {
	Patient string `xor:"what" help:"Patient's id." placeholder:"ID"`
	Usable  bool   `xor:"what" help:"What marketing may use now, for what and until when, and what must come down."`
}

func (c *photoList) Run(r *run) error {
	cl, _, err := r.connect()
	if err != nil {
		return err
	}
	if c.Usable {
		var out api.UsableList
		if err := cl.Get(r.ctx, "/v1/photos?purpose=marketing", &out); err != nil {
			return err
		}
		return r.showUsable(&out)
	}
	if !id.Valid(c.Patient) {
		return misuse("give --patient ID or --usable")
	}
	var out api.PhotoList
	if err := cl.Get(r.ctx, "/v1/photos?patient="+c.Patient, &out); err != nil {
		return err
	}
	var rows [][]string
	for _, p := range out.Photos {
		rows = append(rows, []string{string(p.ID), strings.TrimSpace(string(p.State) + " " + p.RejectedCode), dash(p.Kind), dash(p.View), dash(p.BodySite), day(p.DeclaredAt)})
	}
	return r.table(out, "PHOTO\tSTATE\tKIND\tVIEW\tSITE\tTAKEN IN", rows)
}

type photoShow struct {
	Photo string `arg:"" help:"Photo's id."`
}

func (c *photoShow) Run(r *run) error {
	var p api.Photo
	if err := r.onPhoto(c.Photo, "", &p); err != nil {
		return err
	}
	if p.RejectedCode != "" && !r.JSON {
		fmt.Fprintf(r.out, "rejected: %s. %s\n", p.RejectedCode, advice[p.RejectedCode])
	}
	var rows [][]string
	for _, v := range p.Renditions {
		rows = append(rows, []string{v.Name, fmt.Sprintf("%d×%d", v.Width, v.Height), fmt.Sprint(v.Size), v.ContentType, v.SHA256[:16] + "…"})
	}
	if !r.JSON {
		fmt.Fprintf(r.out, "%s %s\n", p.ID, p.State)
	}
	return r.table(p, "RENDITION\tPIXELS\tBYTES\tTYPE\tSHA-256", rows)
}

// onPhoto reads something of a photo.
func (r *run) onPhoto(photo, suffix string, out any) error {
	if !id.Valid(photo) {
		return misuse("PHOTO must be a photo's id, a UUID")
	}
	return r.get("/v1/photos/"+photo+suffix, out)
}

// verifyReceipt checks a receipt against the pinned evidence key, or against
// those that the pinned one vouches for.
func (r *run) verifyReceipt(receipt *vault.Receipt, pinned ed25519.PublicKey) error {
	err := receipt.Verify(pinned)
	if !errors.Is(err, vault.ErrReceipt) {
		return err
	}
	var list api.EvidenceKeys
	if err := r.get("/v1/evidence-keys", &list); err != nil {
		return err
	}
	follow, err := vault.FollowEvidence(pinned, list.Keys)
	if err != nil {
		return err
	}
	for _, key := range follow {
		if err = receipt.Verify(key); err == nil {
			return nil
		}
	}
	return err
}

type photoDelete struct {
	Photo string `arg:"" help:"Photo's id."`
}

func (c *photoDelete) Run(r *run) error {
	if !id.Valid(c.Photo) {
		return misuse("PHOTO must be a photo's id, a UUID")
	}
	var d vault.Deletion
	if err := r.delete("/v1/photos/"+c.Photo, &d); err != nil {
		return err
	}
	state := "its objects are gone"
	if !d.ObjectsGone {
		state = "its objects will go with the next sweep"
	}
	return r.say(d, "%s %s; %s. Backups of the catalog from before still hold its wrapped key.", d.Photo, d.State, state)
}

// progress shows how far a long work has come, on a terminal or not.
type progress struct {
	w     io.Writer
	what  string
	quiet bool
	last  time.Time
	drawn bool
}

func newProgress(w io.Writer, what string, quiet bool) *progress {
	f, ok := w.(*os.File)
	if ok {
		info, err := f.Stat()
		ok = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return &progress{w: w, what: what, quiet: quiet || !ok}
}

func (p *progress) update(done, total int64) {
	if p.quiet || time.Since(p.last) < 100*time.Millisecond && done < total {
		return
	}
	p.last, p.drawn = time.Now(), true
	fmt.Fprintf(p.w, "\r%s %3d%% (%d of %d KiB)", p.what, done*100/max(total, 1), done>>10, total>>10)
}

func (p *progress) done() {
	if p.drawn {
		fmt.Fprintln(p.w)
	}
}
