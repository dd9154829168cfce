package main

import "testing"

// Several replicas over one set of stores.
func TestReplicas(t *testing.T) {
	c := newCluster(t, 3)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *cluster)
	}{
		{"chunks of one upload go to several, and one dies", testUploadAcrossReplicas},
		{"jobs move from the dead and the frozen, once", testJobsMove},
		{"a token is good once, a revocation counts everywhere", testTokensAcrossReplicas},
		{"SIGTERM drains", testDrain},
		{"a drain has an end", testDrainHasAnEnd},
		{"one frozen in a transaction stops nobody", testFrozenInTransaction},
	} {
		t.Run(test.name, func(t *testing.T) {
			outer := c.T
			c.T = t
			defer func() { c.T = outer }()
			test.run(t, c)
		})
	}
	c.clean()
}
