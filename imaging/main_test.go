package imaging_test

import (
	"os"
	"testing"

	"photovault/imaging/codec"
)

// TestMain lets the test binary be the worker that its own pools start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "media-worker" {
		os.Exit(codec.WorkerMain(os.Stdin, os.Stdout, os.Args[2:]))
	}
	os.Exit(m.Run())
}
