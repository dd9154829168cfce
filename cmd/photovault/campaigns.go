package main

import (
	"fmt"
	"strings"
	"time"

	"photovault/api"
	"photovault/consent"
	"photovault/vault/id"
)

type campaignCommand struct {
	Add   campaignAdd   `cmd:"" help:"Make a campaign."`
	List  campaignList  `cmd:"" help:"List campaigns."`
	Close campaignClose `cmd:"" help:"Close a campaign; nothing is released for it from then on."`
}

type campaignAdd struct {
	Name              string   `arg:"" help:"Its name."`
	Purpose           string   `required:"" help:"Its purpose, in the words that authorizations use."`
	Recipient         []string `required:"" help:"Who receives its photos, as authorizations name them; may be given several times." sep:"none"`
	Channel           []string `required:"" help:"Where they appear: website, social, print, in-office."`
	From              string   `help:"The day it begins (default: now)." placeholder:"DATE"`
	Until             string   `help:"The day it is over (default: in a year)." placeholder:"DATE"`
	ThirdPartyPayment bool     `help:"Somebody else pays for the marketing."`
	Sale              bool     `help:"The practice is paid for the photos."`
}

// Help is shown by photovault campaign add --help.
func (campaignAdd) Help() string {
	return `Example:
  photovault campaign add "Spring 2027" --purpose "Show results of treatment to prospective patients" \
      --recipient "Clinic website" --channel website --until 2027-06-30`
}

func (c *campaignAdd) Run(r *run) error {
	now := time.Now().UTC()
	in := api.NewCampaign{Name: c.Name, Purpose: c.Purpose, Recipients: c.Recipient, Channels: c.Channel, From: now, Until: now.AddDate(1, 0, 0),
		ThirdPartyPayment: c.ThirdPartyPayment, Sale: c.Sale}
	for text, at := range map[string]*time.Time{c.From: &in.From, c.Until: &in.Until} {
		if text == "" {
			continue
		}
		t, err := parseDay(text)
		if err != nil {
			return err
		}
		*at = t
	}
	var out api.Campaign
	if err := r.post("/v1/campaigns", in, &out); err != nil {
		return err
	}
	return r.say(out, "%s", out.ID)
}

type campaignList struct{}

func (campaignList) Run(r *run) error {
	var out api.CampaignList
	if err := r.get("/v1/campaigns", &out); err != nil {
		return err
	}
	var rows [][]string
	for _, c := range out.Campaigns {
		until := day(c.Until)
		if c.ClosedAt != nil {
			until = "closed " + day(*c.ClosedAt)
		}
		rows = append(rows, []string{string(c.ID), c.Name, day(c.From), until, fmt.Sprintf("%q via %s", c.Recipients, c.Channels)})
	}
	return r.table(out, "CAMPAIGN\tNAME\tFROM\tUNTIL\tFOR", rows)
}

type campaignClose struct {
	Campaign string `arg:"" help:"Campaign's id."`
}

func (c *campaignClose) Run(r *run) error {
	if !id.Valid(c.Campaign) {
		return misuse("CAMPAIGN must be a campaign's id, a UUID; see: photovault campaign list")
	}
	var out api.Campaign
	if err := r.post("/v1/campaigns/"+c.Campaign+"/close", nil, &out); err != nil {
		return err
	}
	return r.say(out, "%s closed; no release for it begins from here on", out.ID)
}

type reviewCommand struct {
	List reviewList `cmd:"" default:"1" help:"List the reviews owed."`
	Done reviewDone `cmd:"" help:"Record that one was reviewed."`
}

type reviewList struct{}

func (reviewList) Run(r *run) error {
	var out api.ReviewList
	if err := r.get("/v1/reviews", &out); err != nil {
		return err
	}
	var rows [][]string
	for _, v := range out.Reviews {
		about := "account " + string(v.Account)
		if len(v.Releases) > 0 {
			about = fmt.Sprintf("%d releases, the last on %s", len(v.Releases), day(v.Releases[len(v.Releases)-1].At))
		}
		rows = append(rows, []string{string(v.Event.ID), string(v.Event.Kind), v.Event.EnteredAt.Format(time.RFC3339), about, string(v.Patient), v.Event.Reason})
	}
	return r.table(out, "REVIEW\tKIND\tAT\tABOUT\tPATIENT\tREASON", rows)
}

type reviewDone struct {
	Event   string `arg:"" help:"The id that review list shows."`
	Finding string `help:"What the review found."`
}

func (c *reviewDone) Run(r *run) error {
	if !id.Valid(c.Event) {
		return misuse("EVENT must be an id, a UUID; see: photovault review list")
	}
	var out api.Event
	if err := r.post("/v1/reviews/"+c.Event, api.NewReview{Finding: c.Finding}, &out); err != nil {
		return err
	}
	return r.say(out, "%s reviewed", c.Event)
}

type consentCopy struct {
	Authorization string `arg:"" help:"Authorization's id."`
	Given         string `help:"When it was given (default: now)." placeholder:"DATE"`
}

func (c *consentCopy) Run(r *run) error {
	if !id.Valid(c.Authorization) {
		return misuse("AUTHORIZATION must be an id, a UUID; see: photovault consent list")
	}
	var in api.Revocation
	if c.Given != "" {
		t, err := parseDay(c.Given)
		if err != nil {
			return err
		}
		in.ReceivedAt = t
	}
	var out api.Event
	if err := r.post("/v1/authorizations/"+c.Authorization+"/copy", in, &out); err != nil {
		return err
	}
	return r.say(out, "%s: the patient has a copy", c.Authorization)
}

type consentRestrict struct {
	Patient string            `required:"" help:"Patient's id." placeholder:"ID"`
	Photo   string            `help:"The one photo (default: all of the patient's)." placeholder:"ID"`
	Purpose []consent.Purpose `required:"" help:"What it forbids: clinical, teaching, marketing."`
	Reason  string            `required:"" help:"What the patient asked for."`
}

func (c *consentRestrict) Run(r *run) error {
	if !id.Valid(c.Patient) || c.Photo != "" && !id.Valid(c.Photo) {
		return misuse("--patient and --photo take ids, UUIDs")
	}
	var out api.Event
	if err := r.post("/v1/patients/"+c.Patient+"/restrictions", api.NewRestriction{Photo: id.Photo(c.Photo), Purposes: c.Purpose, Reason: c.Reason}, &out); err != nil {
		return err
	}
	return r.say(out, "%s", out.ID)
}

type consentEnd struct {
	Event string `arg:"" help:"Id of the restriction or assignment; see: photovault consent list."`
}

func (c *consentEnd) Run(r *run) error {
	if !id.Valid(c.Event) {
		return misuse("EVENT must be an id, a UUID; see: photovault consent list")
	}
	var out api.Event
	if err := r.post("/v1/events/"+c.Event+"/end", nil, &out); err != nil {
		return err
	}
	return r.say(out, "%s ended", c.Event)
}

type consentExplain struct {
	Photo     string          `arg:"" help:"Photo's id."`
	Purpose   consent.Purpose `required:"" help:"clinical, teaching or marketing."`
	Rendition string          `help:"original, web (default), thumb, or one that was made: masked, masked-thumb, compare, masked-compare."`
	Recipient string          `help:"Marketing: who receives it."`
	Channel   string          `help:"Marketing: where it will appear."`
	Campaign  string          `help:"Marketing: what it is for." placeholder:"ID"`
	Account   string          `help:"The privacy officer may ask for another account." placeholder:"ID"`
}

func (c *consentExplain) Run(r *run) error {
	if !id.Valid(c.Photo) {
		return misuse("PHOTO must be a photo's id, a UUID")
	}
	var out api.Decision
	if err := r.post("/v1/photos/"+c.Photo+"/decision", api.NewDecision{Purpose: c.Purpose, Rendition: c.Rendition, Recipient: c.Recipient,
		Channel: c.Channel, Campaign: id.Campaign(c.Campaign), Account: id.Account(c.Account)}, &out); err != nil {
		return err
	}
	if r.JSON || out.Allowed {
		return r.say(out, "allowed by %s", strings.Join(out.Basis, ", "))
	}
	var rows [][]string
	for _, why := range out.Refusals {
		rows = append(rows, []string{why.Code, dash(why.Paragraph), why.Sentence})
	}
	return r.table(out, "REFUSED FOR\t45 CFR\tWHAT TO DO", rows)
}
