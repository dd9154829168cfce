package main

import (
	"context"
	"errors"

	"photovault/vault/catalog"
	"photovault/vault/keys"
)

func openPostgres(ctx context.Context, c *config, ks keys.Service) (*catalog.DB, error) {
	return nil, errors.New("not yet")
}
