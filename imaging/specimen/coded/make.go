//go:build ignore

// Makes the coded pictures of this folder again: go run make.go, with Debian's libheif-examples
// installed (heif-enc with x265). Go has no HEVC encoder; everything around the coded data is made by
// package specimen.
//
// A file is: uint32 length of a decoder configuration record, the record, and the item's data, which is
// NAL units each behind a uint32 length. Messages of the encoder (SEI) are left out.
package main

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"photovault/imaging/specimen"
)

func main() {
	dir, err := os.MkdirTemp("", "coded")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	// A picture of four tiles, and the same whole.
	whole := specimen.Picture(128, 128, 5, false)
	for i := range 4 {
		x, y := i%2*64, i/2*64
		encode(dir, "tile-"+string(rune('0'+i)), crop(whole, image.Rect(x, y, x+64, y+64)), "-p", "chroma=420")
	}
	encode(dir, "420", crop(specimen.Picture(160, 120, 6, false), image.Rect(0, 0, 160, 120)), "-p", "chroma=420")
	encode(dir, "422", crop(specimen.Picture(96, 64, 7, false), image.Rect(0, 0, 96, 64)), "-p", "chroma=422")
	encode(dir, "444", crop(specimen.Picture(96, 64, 8, false), image.Rect(0, 0, 96, 64)), "-p", "chroma=444")
	encode(dir, "limited-709", crop(specimen.Picture(96, 64, 9, false), image.Rect(0, 0, 96, 64)), "-p", "chroma=420",
		"--matrix_coefficients", "1", "--colour_primaries", "1", "--transfer_characteristic", "13", "--full_range_flag", "0")
	deep := image.NewRGBA64(image.Rect(0, 0, 96, 64))
	src := specimen.Picture(96, 64, 10, false)
	for y := range 64 {
		for x := range 96 {
			r, g, b, _ := src.At(x, y).RGBA()
			deep.SetRGBA64(x, y, color.RGBA64{uint16(r), uint16(g), uint16(b), 0xFFFF})
		}
	}
	encode(dir, "10-bit", deep, "-b", "10", "-p", "chroma=420")
	flat := image.NewRGBA(image.Rect(0, 0, 512, 512))
	draw.Draw(flat, flat.Rect, image.NewUniform(color.RGBA{200, 180, 170, 255}), image.Point{}, draw.Src)
	encode(dir, "flat-512", flat, "-p", "chroma=420")
	encode(dir, "gray", specimen.Picture(96, 64, 11, true))
}

// crop copies a part, because a PNG encoder wants RGB.
func crop(m image.Image, r image.Rectangle) image.Image {
	out := image.NewRGBA(image.Rect(0, 0, r.Dx(), r.Dy()))
	for y := range r.Dy() {
		for x := range r.Dx() {
			out.Set(x, y, m.At(r.Min.X+x, r.Min.Y+y))
		}
	}
	return out
}

func encode(dir, name string, m image.Image, args ...string) {
	var buf bytes.Buffer
	if err := png.Encode(&buf, m); err != nil {
		log.Fatal(err)
	}
	in, out := filepath.Join(dir, name+".png"), filepath.Join(dir, name+".heic")
	if err := os.WriteFile(in, buf.Bytes(), 0o600); err != nil {
		log.Fatal(err)
	}
	cmd := exec.Command("heif-enc", append(args, "-q", "40", "-o", out, in)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		log.Fatal(err)
	}
	file, err := os.ReadFile(out)
	if err != nil {
		log.Fatal(err)
	}
	b := specimen.Coded(file)
	if err := os.WriteFile(name+".hevc", b, 0o644); err != nil {
		log.Fatal(err)
	}
	log.Print(name, " ", len(b))
}
