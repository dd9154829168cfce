package config

import (
	"os"

	"photovault/consent"
)

// ReadPolicies reads what the practice forbids beyond the law; nil: nothing.
// Errors: Faults.
func (c *Config) ReadPolicies() (*consent.Policies, error) {
	p, bad := c.policies(os.Geteuid())
	if bad != nil {
		return nil, Faults{*bad}
	}
	return p, nil
}

func (c *Config) policies(user int) (*consent.Policies, *Fault) {
	if c.Policies == "" {
		return nil, nil
	}
	text, bad := readConfig(c.Policies, user)
	switch {
	case bad == nil:
	case bad.Code == Unreadable: // the path may be a secret in the wrong place
		return nil, &Fault{Path: "policies", Code: Unreadable, Sentence: "there is no such file, or this user cannot read it"}
	default:
		bad.Path = "policies"
		return nil, bad
	}
	p, err := consent.ParsePolicies(text)
	if err != nil { // the text is no secret, and the error says where
		return nil, &Fault{Path: "policies", Code: Invalid, Sentence: err.Error()}
	}
	return p, nil
}
