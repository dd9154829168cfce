package specimen

import (
	"image"
	"math/rand/v2"
)

// Picture computes a picture that codes like a photo: smooth light, soft-edged shapes and sensor
// noise. It is *image.YCbCr with 4:2:0 chroma, or *image.Gray.
func Picture(width, height int, seed uint64, gray bool) image.Image {
	rng := rand.New(rand.NewPCG(seed, 0x9E3779B97F4A7C15))
	type blob struct{ x, y, r, luma, cb, cr int }
	blobs := make([]blob, 24)
	side := max(width, height, 16)
	for i := range blobs {
		blobs[i] = blob{rng.IntN(width), rng.IntN(height), side/16 + rng.IntN(side/4),
			rng.IntN(160) - 80, rng.IntN(120) - 60, rng.IntN(120) - 60}
	}
	noise := make([]int8, 1<<14)
	for i := range noise {
		noise[i] = int8(rng.IntN(13) + rng.IntN(13) - 12)
	}
	at := func(x, y int) (luma, cb, cr int) {
		luma, cb, cr = 60+120*x/max(width, 1)/2+80*y/max(height, 1)/2, 120, 136
		for _, b := range blobs {
			dx, dy := x-b.x, y-b.y
			if d := dx*dx + dy*dy; d < b.r*b.r {
				k := b.r*b.r - d
				luma += b.luma * k / (b.r * b.r)
				cb += b.cb * k / (b.r * b.r)
				cr += b.cr * k / (b.r * b.r)
			}
		}
		return luma, cb, cr
	}
	clamp := func(v int) byte { return byte(min(max(v, 0), 255)) }
	// The smooth part is computed on a coarse grid and held: cost stays low at 12 megapixels.
	const cell = 4
	rect := image.Rect(0, 0, width, height)
	if gray {
		m := image.NewGray(rect)
		for y := range height {
			for x := range width {
				l, _, _ := at(x&^(cell-1), y&^(cell-1))
				m.Pix[y*m.Stride+x] = clamp(l + int(noise[(x*7919+y*104729)&(1<<14-1)]))
			}
		}
		return m
	}
	m := image.NewYCbCr(rect, image.YCbCrSubsampleRatio420)
	for cy := 0; cy < height; cy += cell {
		for cx := 0; cx < width; cx += cell {
			l, cb, cr := at(cx, cy)
			for y := cy; y < min(cy+cell, height); y++ {
				for x := cx; x < min(cx+cell, width); x++ {
					n := int(noise[(x*7919+y*104729+x*y)&(1<<14-1)])
					m.Y[y*m.YStride+x] = clamp(l + n)
					c := m.COffset(x, y)
					m.Cb[c], m.Cr[c] = clamp(cb+n/2), clamp(cr-n/2)
				}
			}
		}
	}
	return m
}
