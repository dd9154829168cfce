package transit_test

import (
	"testing"

	"photovault/vault/keys"
	"photovault/vault/keys/transit"
	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest"
	"photovault/vault/vaulttest/devstack"
)

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
	vaulttest.KeysRewrap(t, fresh)
}

func TestOperatorConformance(t *testing.T) {
	server := devstack.Need(t).Transit
	vaulttest.KeysOperator(t, func(t *testing.T) (keys.Service, keys.Operator) {
		service, operator := transittest.New(t, server)
		return open(t, service), openOperator(t, operator)
	})
}
