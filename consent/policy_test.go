package consent_test

import (
	"errors"
	"strings"
	"testing"

	"photovault/consent"
)

func policies(t *testing.T, text string) *consent.Policies {
	t.Helper()
	p, err := consent.ParsePolicies([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPoliciesForbidFurther(t *testing.T) {
	for name, c := range map[string]struct{ text, code string }{
		"no policy":           {"", ""},
		"one that fits":       {`forbid (principal, action, resource) when { context.channel == "website" };`, "practice_policy"},
		"one that does not":   {`forbid (principal, action, resource) when { context.channel == "print" };`, ""},
		"of a role":           {`forbid (principal, action, resource) when { principal.role == "marketing" };`, "practice_policy"},
		"of a campaign":       {`forbid (principal, action, resource) when { context.campaign like "Spr*" };`, "practice_policy"},
		"of a time":           {`forbid (principal, action, resource) when { context.now >= datetime("2026-11-23T00:00:00Z") };`, "practice_policy"},
		"of no treatment":     {`forbid (principal, action, resource) when { resource.treatment == "" };`, "practice_policy"},
		"one that fails":      {`forbid (principal, action, resource) when { context.weather == "rain" };`, "practice_policy_error"},
		"one fails, one fits": {`forbid (principal, action, resource) when { context.x }; forbid (principal, action, resource);`, "practice_policy_error"},
	} {
		q := marketingQuestion(recordWith(complete()))
		q.Policies = policies(t, c.text)
		d := consent.DecideRelease(q)
		if d.Allowed != (c.code == "") || !d.Allowed && d.Refusals[0].Code != c.code {
			t.Errorf("%s: %+v, want %q", name, d, c.code)
		}
		if d.Allowed && !strings.Contains(strings.Join(d.Basis, " "), "policies/"+q.Policies.Version()) {
			t.Errorf("%s: the basis %v does not name the policies", name, d.Basis)
		}
	}
}

func TestPoliciesAllowNothing(t *testing.T) {
	for name, text := range map[string]string{
		"permit":              `permit (principal, action, resource);`,
		"permit among others": "forbid (principal, action, resource) when { false };\npermit (principal, action, resource);",
		"no Cedar":            `allow everything`,
		"too long":            strings.Repeat(" ", consent.MaxPolicies+1),
	} {
		if _, err := consent.ParsePolicies([]byte(text)); !errors.Is(err, consent.ErrPolicies) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What the law refuses stays refused whatever a policy says.
	q := marketingQuestion(recordWith())
	q.Policies = policies(t, `forbid (principal, action, resource) when { false };`)
	if d := consent.DecideRelease(q); d.Allowed || d.Refusals[0].Code != "no_authorization" {
		t.Errorf("%+v", d)
	}
}
