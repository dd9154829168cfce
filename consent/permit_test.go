package consent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// commits is a UseCommitter that answers as told: it injects what a real
// catalog cannot be made to do at will.
type commits struct {
	ok    bool
	err   error
	entry *audit.Entry
}

func (c *commits) CommitUse(_ context.Context, _ consent.Fence, _ consent.Use, e *audit.Entry) (bool, error) {
	c.entry = e
	return c.ok, c.err
}

func redemption() *consent.Redemption {
	holder, a := who(consent.Marketing), complete()
	return &consent.Redemption{
		Now: now, Holder: holder, HolderActive: true, Photo: consent.Photo{ID: photo, Patient: patient, Ready: true}, Campaign: running(), Record: recordWith(a),
		Token: consent.Token{ID: id.New[id.Token](), Practice: practice, Account: holder.Account, Patient: patient, Photo: photo,
			Rendition: "web", Purpose: consent.ForMarketing, Recipient: "Clinic website", Channel: "website", Authorization: a.ID,
			Form: consent.InPath, Uses: 1, IssuedAt: now.Add(-time.Second), ExpiresAt: now.Add(time.Minute)},
	}
}

func TestPermitOpensOneRenditionOnce(t *testing.T) {
	r := redemption()
	of := r.Token.Authorization
	approval, refusal := consent.DecideUse(r)
	if refusal != nil {
		t.Fatal(refusal)
	}
	c := &commits{ok: true}
	p, err := consent.Commit(t.Context(), c, approval, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	if c.entry.Outcome != audit.Intent || c.entry.Action != audit.Release || len(c.entry.Records) != 4 || c.entry.Use != 1 {
		t.Errorf("the intent does not name what allowed it: %+v", c.entry)
	}
	for name, err := range map[string]error{
		"another practice":  p.Spend(id.New[id.Practice](), photo, of, "web"),
		"another photo":     p.Spend(practice, id.New[id.Photo](), of, "web"),
		"another rendition": p.Spend(practice, photo, of, "original"),
		"the photo's own":   p.Spend(practice, photo, "", "web"),
		"another's copy":    p.Spend(practice, photo, id.New[id.Authorization](), "web"),
	} {
		if !errors.Is(err, consent.ErrNoPermit) {
			t.Errorf("%s opened: %v", name, err)
		}
	}
	if err := p.Spend(practice, photo, of, "web"); err != nil {
		t.Fatal(err)
	}
	if err := p.Spend(practice, photo, of, "web"); !errors.Is(err, consent.ErrNoPermit) {
		t.Errorf("opened twice: %v", err)
	}
}

func TestNoPermitWithoutADurableUse(t *testing.T) {
	var zero consent.Permit
	if err := zero.Spend("", "", "", ""); !errors.Is(err, consent.ErrNoPermit) {
		t.Errorf("the zero permit opened: %v", err)
	}
	var none *consent.Permit
	if err := none.Spend(practice, photo, "", "web"); !errors.Is(err, consent.ErrNoPermit) {
		t.Errorf("nil opened: %v", err)
	}
	if p, err := consent.Commit(t.Context(), &commits{ok: true}, &consent.Approval{}, ""); p != nil || err == nil {
		t.Error("the zero approval was committed")
	}
	approval, _ := consent.DecideUse(redemption())
	if p, err := consent.Commit(t.Context(), &commits{ok: false}, approval, ""); p != nil || !errors.Is(err, consent.ErrSuperseded) {
		t.Errorf("a lost fence minted: %v", err)
	}
	if p, err := consent.Commit(t.Context(), &commits{ok: true, err: errors.New("commit result unknown")}, approval, ""); p != nil || err == nil {
		t.Errorf("an unknown commit minted: %v", err)
	}
}

func TestUsesOfAToken(t *testing.T) {
	use := func(outcomes ...consent.UseOutcome) (out []consent.Use) {
		for i, o := range outcomes {
			out = append(out, consent.Use{N: i + 1, Outcome: o})
		}
		return out
	}
	const begun, complete, incomplete = consent.UseBegun, consent.UseComplete, consent.UseIncomplete
	for name, c := range map[string]struct {
		uses []consent.Use
		max  int
		code string
	}{
		"fresh":                          {nil, 1, ""},
		"after a complete delivery":      {use(complete), 1, "token_used"},
		"while one is under way":         {use(begun), 1, "token_used"}, // no outcome counts as released
		"after an incomplete one":        {use(incomplete), 1, ""},
		"after three incomplete ones":    {use(incomplete, incomplete, incomplete), 1, "token_exhausted"},
		"second of two":                  {use(complete), 2, ""},
		"third of two":                   {use(complete, complete), 2, "token_used"},
		"incomplete, then complete":      {use(incomplete, complete), 1, "token_used"},
		"many incomplete ones of a pair": {use(incomplete, incomplete, incomplete, incomplete, incomplete, incomplete), 2, "token_exhausted"},
	} {
		r := redemption()
		r.Token.Uses, r.Uses = c.max, c.uses
		_, refusal := consent.DecideUse(r)
		if got := code(refusal); got != c.code {
			t.Errorf("%s: %q, want %q", name, got, c.code)
		}
	}
}

func TestUseIsDecidedOnCurrentState(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*consent.Redemption)
		code   string
	}{
		"expired this instant":  {func(r *consent.Redemption) { r.Now = r.Token.ExpiresAt }, "token_expired"},
		"clock behind":          {func(r *consent.Redemption) { r.Now = r.Token.IssuedAt.Add(-time.Hour) }, "token_not_yet_valid"},
		"account revoked":       {func(r *consent.Redemption) { r.HolderActive = false }, "holder_not_active"},
		"another account":       {func(r *consent.Redemption) { r.Holder.Account = id.New[id.Account]() }, "holder_not_active"},
		"role taken away":       {func(r *consent.Redemption) { r.Holder.Role = consent.FrontDesk }, "role_not_allowed"},
		"photo no longer ready": {func(r *consent.Redemption) { r.Photo.Ready = false }, "photo_not_ready"},
		"authorization revoked": {func(r *consent.Redemption) {
			r.Record.Events = []consent.Event{{Kind: consent.Revoked, Subject: string(r.Record.Authorizations[0].ID)}}
		}, "authorization_revoked"},
		"token of another tenant": {func(r *consent.Redemption) { r.Holder.Practice = id.New[id.Practice]() }, "holder_not_active"},
	} {
		r := redemption()
		c.change(r)
		approval, refusal := consent.DecideUse(r)
		if approval != nil || code(refusal) != c.code {
			t.Errorf("%s: %q, want %q", name, code(refusal), c.code)
		}
	}
}

func code(r *consent.Refusal) string {
	if r == nil {
		return ""
	}
	return r.Code
}

func TestBearerSecretsAreNotPrinted(t *testing.T) {
	b := consent.NewBearer(consent.TokenPrefix)
	if !b.Is(consent.TokenPrefix) || b.Is(consent.GrantPrefix) {
		t.Error("its own kind is not recognised")
	}
	for _, verb := range []string{"%v", "%s", "%q", "%x", "%#v", "%d"} {
		if out := fmt.Sprintf(verb, b); strings.Contains(out, string(b)[4:12]) || strings.Contains(out, "7076745f") {
			t.Errorf("%s prints it: %s", verb, out)
		}
	}
	for _, bad := range []consent.Bearer{"", "pvt_", b[:len(b)-1], b + "A", b[:len(b)-1] + "!", "pvt_" + b[:42]} {
		if bad.Is(consent.TokenPrefix) {
			t.Errorf("accepted a malformed secret of %d bytes", len(bad))
		}
	}
}
