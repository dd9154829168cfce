package transit_test

import (
	"flag"
	"os"
	"testing"

	"photovault/vault/keys"
	"photovault/vault/keys/transit"
	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest"
	"photovault/vault/vaulttest/devstack"
)

// TestMain lets more tests run at a time than there are cores: those that are
// parallel wait most of the time, for tokens to end and servers to come back.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func open(t testing.TB, o transit.Options) *transit.Service {
	t.Helper()
	s, err := transit.Open(t.Context(), o)
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

func openOperator(t testing.TB, o transit.Options) *transit.Operator {
	t.Helper()
	p, err := transit.OpenOperator(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestConformance(t *testing.T) {
	server := devstack.Need(t).Transit
	fresh := func(t *testing.T) keys.Service {
		service, _ := transittest.New(t, server)
		return open(t, service)
	}
	vaulttest.Keys(t, fresh)
}

func TestOperatorConformance(t *testing.T) {
	server := devstack.Need(t).Transit
	vaulttest.KeysOperator(t, func(t *testing.T) (keys.Service, keys.Operator) {
		service, operator := transittest.New(t, server)
		return open(t, service), openOperator(t, operator)
	})
}
