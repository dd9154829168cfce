package main

import (
	"context"
	"errors"
)

func configure(ctx context.Context, dir string) error { return errors.New("TODO") }
