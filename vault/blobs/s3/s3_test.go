package s3_test

import (
	"testing"

	"photovault/vault/blobs"
	"photovault/vault/blobs/s3"
	"photovault/vault/blobs/s3/s3test"
	"photovault/vault/vaulttest"
	"photovault/vault/vaulttest/devstack"
)

// each runs a test on every real server.
func each(t *testing.T, run func(t *testing.T, server devstack.S3, ca string)) {
	stack := devstack.Need(t)
	for _, server := range stack.S3 {
		t.Run(server.Name, func(t *testing.T) {
			t.Parallel()
			run(t, server, stack.CA)
		})
	}
}

func open(t testing.TB, o s3.Options) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, ca string) {
		for name, setup := range map[string]s3test.Setup{
			"plain bucket":                 {},
			"versioned bucket":             {Versioning: "Enabled"},
			"bucket with its versions off": {Versioning: "Suspended"},
			"bucket with Object Lock":      {ObjectLock: true},
		} {
			t.Run(name, func(t *testing.T) {
				s := open(t, s3test.BucketWith(t, server, ca, setup))
				vaulttest.Blobs(t, func(*testing.T) blobs.Store { return s })
			})
		}
	})
}
