package config

import (
	"fmt"

	"photovault/consent"
)

// PhotoCaps are how many different photos one account may ask for, by role.
type PhotoCaps struct {
	Provider  *PhotoCap `yaml:"provider"`
	Marketing *PhotoCap `yaml:"marketing"`
	EMR       *PhotoCap `yaml:"emr"`
}

// PhotoCap is how many within any hour and any day; 0: the role's default.
type PhotoCap struct {
	Hour int `yaml:"hour"`
	Day  int `yaml:"day"`
}

// maxPhotos is more than any account has to do with.
const maxPhotos = 1_000_000

func (p *PhotoCaps) of(r consent.Role) **PhotoCap {
	switch r {
	case consent.Provider:
		return &p.Provider
	case consent.Marketing:
		return &p.Marketing
	case consent.EMR:
		return &p.EMR
	}
	return nil
}

// ParsePhotoCap sets a role's caps from "HOUR/DAY".
func (p *PhotoCaps) ParsePhotoCap(role, text string) error {
	at, c := p.of(consent.Role(role)), &PhotoCap{}
	if at == nil {
		return fmt.Errorf("%s is given no photos; choose provider, marketing or emr", role)
	}
	if n, err := fmt.Sscanf(text, "%d/%d", &c.Hour, &c.Day); n != 2 || err != nil || fmt.Sprintf("%d/%d", c.Hour, c.Day) != text || !c.valid() {
		return fmt.Errorf("write how many photos an hour and a day, such as 300/1500, not %q", text)
	}
	*at = c
	return nil
}

func (c *PhotoCap) valid() bool { return c.Hour > 0 && c.Hour <= c.Day && c.Day <= maxPhotos }

// Caps are those of the configuration, and the defaults where it says nothing.
func (c *Config) Caps() map[consent.Role]consent.Cap {
	out := consent.DefaultCaps()
	for role, d := range out {
		if set := *c.PhotoCaps.of(role); set != nil {
			if set.Hour != 0 {
				d.Hour = set.Hour
			}
			if set.Day != 0 {
				d.Day = set.Day
			}
			out[role] = d
		}
	}
	return out
}

func (c *Config) checkCaps(r *report) {
	for role, d := range c.Caps() {
		if got := (PhotoCap{d.Hour, d.Day}); !got.valid() {
			r.add("photo_caps."+string(role), Invalid, "write how many different photos an account may ask for, in an hour and in a day: 1 or more, and no fewer in a day")
		}
	}
}
