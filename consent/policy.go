package consent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cedar-policy/cedar-go"
)

// Policies are what a practice forbids beyond the law, in the Cedar language
// (docs.cedarpolicy.com). They can only forbid; what 45 CFR 164.508 demands is
// Go, and is asked first. A nil *Policies forbids nothing.
//
// A policy sees each release as
//
//	principal  Account::"id", with role
//	action     Action::"release"
//	resource   Photo::"id", with set and treatment, "" for none
//	context    purpose, rendition, recipient, channel, campaign (its name): strings, "" for none; now: datetime
type Policies struct {
	set *cedar.PolicySet
	sum string
}

// MaxPolicies is the longest text of policies in bytes.
const MaxPolicies = 64 << 10

// ErrPolicies: the text is no Cedar, or holds a policy that permits.
var ErrPolicies = errors.New("consent: policies")

const permitAll = "photovault: what the law allows"

// ParsePolicies reads policies. Errors: ErrPolicies.
func ParsePolicies(text []byte) (*Policies, error) {
	if len(text) > MaxPolicies {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrPolicies, MaxPolicies)
	}
	set, err := cedar.NewPolicySetFromBytes("policies.cedar", text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicies, err)
	}
	for _, p := range set.All() {
		if p.Effect() != cedar.Forbid {
			return nil, fmt.Errorf("%w: line %d permits; a practice's policies can only forbid", ErrPolicies, p.Position().Line)
		}
	}
	var all cedar.Policy
	if err := all.UnmarshalCedar([]byte("permit (principal, action, resource);")); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicies, err)
	}
	set.Add(permitAll, &all)
	sum := sha256.Sum256(text)
	return &Policies{set, hex.EncodeToString(sum[:8])}, nil
}

// Version names the text: the first 8 bytes of its SHA-256, hexadecimal.
func (p *Policies) Version() string {
	if p == nil {
		return ""
	}
	return p.sum
}

// forbid asks the policies; nil: none forbids. A policy that fails forbids:
// Cedar itself would pass over it.
func (p *Policies) forbid(q *Question) *Refusal {
	if p == nil {
		return nil
	}
	text := func(s string) cedar.String { return cedar.String(s) }
	principal, resource := cedar.NewEntityUID("Account", text(string(q.Who.Account))), cedar.NewEntityUID("Photo", text(string(q.Photo.ID)))
	campaign := ""
	if q.Campaign != nil {
		campaign = q.Campaign.Name
	}
	decision, diagnostic := cedar.Authorize(p.set, cedar.EntityMap{
		principal: {UID: principal, Attributes: cedar.NewRecord(cedar.RecordMap{"role": text(string(q.Who.Role))})},
		resource: {UID: resource, Attributes: cedar.NewRecord(cedar.RecordMap{
			"set": text(string(q.Photo.Set)), "treatment": text(string(q.Photo.Treatment))})},
	}, cedar.Request{Principal: principal, Action: cedar.NewEntityUID("Action", "release"), Resource: resource,
		Context: cedar.NewRecord(cedar.RecordMap{
			"purpose": text(string(q.Purpose)), "rendition": text(q.Rendition), "recipient": text(q.Recipient), "channel": text(q.Channel),
			"campaign": text(campaign), "now": cedar.NewDatetime(q.Now),
		})})
	switch {
	case len(diagnostic.Errors) > 0:
		return &policyFails
	case decision != cedar.Allow:
		return &policyForbids
	default:
		return nil
	}
}
