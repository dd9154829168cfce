package main

import (
	"testing"

	"photovault/imaging/specimen"
)

// generatedPhoto is a photo of 6 MP with every kind of metadata.
func generatedPhoto(t *testing.T) []byte {
	t.Helper()
	return specimen.JPEG(specimen.Full(3000, 2000, 1))
}

// largePhoto is a photo of 12 MP, as phones take them.
func largePhoto(t *testing.T) []byte {
	t.Helper()
	return specimen.JPEG(specimen.Full(4032, 3024, 2))
}
