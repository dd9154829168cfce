package main

import (
	"os"
	"testing"

	"photovault/imaging/specimen"
)

// generatedPhoto is a photo of 6 MP with every kind of metadata.
func generatedPhoto(t *testing.T) []byte {
	t.Helper()
	return specimen.JPEG(specimen.Full(3000, 2000, 1))
}

// largePhoto is a photo of 12 MP, as phones take them; PHOTOVAULT_SOAK_PHOTO
// names a real one.
func largePhoto(t *testing.T) []byte {
	t.Helper()
	if path := os.Getenv("PHOTOVAULT_SOAK_PHOTO"); path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return specimen.JPEG(specimen.Full(4032, 3024, 2))
}
