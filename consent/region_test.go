package consent_test

import (
	"testing"

	"photovault/consent"
)

// A region in pixels is recorded in ten thousandths, never smaller than it was given.
func TestRegionsInPixelsGrowToTenThousandths(t *testing.T) {
	pixels := func(x, y, w, h int) consent.Region {
		return consent.Region{Shape: "rectangle", X: x, Y: y, Width: w, Height: h, Unit: consent.Pixels}
	}
	for name, c := range map[string]struct {
		in, want consent.Region
		valid    bool
	}{
		"all of it":             {pixels(0, 0, 1600, 1067), consent.Region{Shape: "rectangle", Width: 10000, Height: 10000}, true},
		"one pixel":             {pixels(1, 1, 1, 1), consent.Region{Shape: "rectangle", X: 6, Y: 9, Width: 7, Height: 10}, true},
		"the last pixel":        {pixels(1599, 1066, 1, 1), consent.Region{Shape: "rectangle", X: 9993, Y: 9990, Width: 7, Height: 10}, true},
		"beyond the right":      {pixels(1599, 0, 2, 1), pixels(1599, 0, 2, 1), false},
		"beyond the lower":      {pixels(0, 1067, 1, 1), pixels(0, 1067, 1, 1), false},
		"left of it":            {pixels(-1, 0, 5, 5), pixels(-1, 0, 5, 5), false},
		"nothing":               {pixels(5, 5, 0, 5), pixels(5, 5, 0, 5), false},
		"so many that it wraps": {pixels(1<<62, 0, 1<<62, 1), pixels(1<<62, 0, 1<<62, 1), false},
		"in ten thousandths":    {consent.Region{Shape: "ellipse", X: 1, Y: 2, Width: 3, Height: 4}, consent.Region{Shape: "ellipse", X: 1, Y: 2, Width: 3, Height: 4}, true},
		"in another unit":       {consent.Region{Shape: "rectangle", Width: 1, Height: 1, Unit: "inches"}, consent.Region{Shape: "rectangle", Width: 1, Height: 1, Unit: "inches"}, false},
	} {
		if got := c.in.Of(1600, 1067); got != c.want || got.Valid() != c.valid {
			t.Errorf("%s: %+v, valid %v", name, got, got.Valid())
		}
	}
}
