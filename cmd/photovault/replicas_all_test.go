package main

import "testing"

type clusterTest struct {
	name string
	run  func(*testing.T, *cluster)
}

// Several replicas over one set of stores. At the end nothing is lost and
// nothing is left over.
func TestReplicas(t *testing.T) {
	t.Parallel()
	onCluster(t, []clusterTest{
		{"chunks of one upload go to several, and one dies", testUploadAcrossReplicas},
		{"a token is good once, a revocation counts everywhere", testTokensAcrossReplicas},
		{"SIGTERM drains", testDrain},
		{"a drain has an end", testDrainHasAnEnd},
		{"a rolling restart under load", testRollingRestart},
	})
}

// The same where replicas die and freeze; it mostly waits.
func TestReplicasLost(t *testing.T) {
	t.Parallel()
	onCluster(t, []clusterTest{
		{"jobs move from the dead and the frozen, once", testJobsMove},
		{"one frozen in a transaction stops nobody", testFrozenInTransaction},
	})
}

func onCluster(t *testing.T, tests []clusterTest) {
	on := sharedGround(t)
	proxies := bucketProxies(t, &on, 3)
	c := newClusterOn(t, 3, on)
	c.proxies = proxies
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c.TB = t
			test.run(t, c)
		})
	}
	c.TB = t
	c.clean()
}
