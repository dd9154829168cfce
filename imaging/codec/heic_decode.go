package codec

import (
	"image"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// decode decodes the picture as it is shown before it is turned. raw decodes what stood in the upload,
// messages and all; otherwise what is kept of it. Each tile is decoded by itself, from a small file made
// for it: the decoder's own reader of boxes never sees a stranger's, and its memory holds one tile.
func (l *heicLayout) decode(raw bool) (image.Image, error) {
	whole := newPlanes(l.params.chroma == 0, l.width, l.height)
	p := l.plan()
	if raw {
		p.configs = nil
		for _, c := range l.configs {
			p.configs = append(p.configs, c.raw)
		}
		for i, t := range l.tiles {
			p.tiles[i] = planTile{t.config, pieces{t.raw}}
		}
	}
	var next atomic.Int64
	errs := make([]error, min(len(l.tiles), max(1, min(runtime.GOMAXPROCS(0), maxParallel))))
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(l.tiles) {
					return
				}
				errs[w] = l.decodeTile(p, i, whole)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	if l.crop != nil {
		return cropPlanes(whole, *l.crop), nil
	}
	return whole, nil
}

// maxParallel is how many tiles are decoded at once; each takes memory.
const maxParallel = 2

// chromaAt is where a decoder configuration record says its chroma format, behind six reserved bits.
const chromaAt = 16

// decodeTile decodes one tile and copies it into each cell that shows it.
func (l *heicLayout) decodeTile(p *heicPlan, i int, whole image.Image) error {
	config := slices.Clone(p.configs[p.tiles[i].config])
	gray := l.params.chroma == 0
	if !gray {
		config[chromaAt] |= 3 // the decoder gives what the record says, and goes by the parameter set
	}
	one := &heicPlan{configs: [][]byte{config}, tiles: []planTile{{0, p.tiles[i].data}}, cols: 1, rows: 1,
		width: l.tileW, height: l.tileH, tileW: l.tileW, tileH: l.tileH, deep: p.deep, depths: p.depths}
	err := decodeHEVC(one.write().join(), gray, l.params.bits, l.tileW, l.tileH, func(m image.Image) {
		if ycc, ok := m.(*image.YCbCr); ok && l.params.chroma == 1 {
			mendEdges(ycc.Cb, ycc.CStride, l.tileW, l.tileH)
			mendEdges(ycc.Cr, ycc.CStride, l.tileW, l.tileH)
		}
		if !l.grid {
			pastePlanes(whole, m, 0, 0)
		}
		for cell, t := range l.cells {
			if t == i {
				pastePlanes(whole, m, cell%l.cols*l.tileW, cell/l.cols*l.tileH)
			}
		}
	})
	if err != nil {
		return refuse(CodeCorrupt, "a coded picture does not decode")
	}
	return nil
}
