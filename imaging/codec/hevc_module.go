//go:build nodynamic && linux

package codec

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"image"
	"io"
	"runtime/debug"
	"sync"
	_ "unsafe" // for the name of the module's bytes

	_ "github.com/gen2brain/heic" // which carries the module
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// hevcModule is libheif with libde265, compiled to WebAssembly: memory-safe for the process around it,
// whatever a photo does to it. It is run here and not by the package that carries it, because that one
// reads a picture after its memory was freed, which overwrites the first pixels of many; takes rows of
// less than 64 samples for shorter than they are; and hands the process's own output to the module.
//
//go:linkname hevcModule github.com/gen2brain/heic.heifWasm
var hevcModule []byte

const hevcBuilt = true

// maxModulePages bounds the memory of one decoding, in pages of 64 KiB. The worker's own limit is
// usually met before.
const maxModulePages = 16 << 10

var (
	hevcRuntime wazero.Runtime
	hevcCode    wazero.CompiledModule
	// hevcReady is set before a worker's fences, or never.
	hevcReady bool
)

// PrepareHEVC translates the decoder to machine code. It takes half a second of computing and needs
// executable memory, so a worker does it before it puts up its fences and before it has seen a byte of
// a photo; afterwards executable memory is neither possible nor needed.
func PrepareHEVC() error { return prepareHEVC() }

var prepareHEVC = sync.OnceValue(func() error {
	z, err := gzip.NewReader(bytes.NewReader(hevcModule))
	if err != nil {
		return err
	}
	code, err := io.ReadAll(z)
	if err != nil {
		return err
	}
	ctx := context.Background()
	hevcRuntime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithMemoryLimitPages(maxModulePages))
	if hevcCode, err = hevcRuntime.CompileModule(ctx, code); err != nil {
		return err
	}
	if _, err = wasi_snapshot_preview1.Instantiate(ctx, hevcRuntime); err != nil {
		return err
	}
	hevcReady = true
	debug.FreeOSMemory() // what translating took
	return nil
})

var errHEVC = errors.New("codec: the picture does not decode")

// Of the module's interface: libheif's colour spaces and chroma formats.
const (
	moduleHeader          = 1 // only look
	moduleYCC, moduleGray = 0, 2
	module400, module444  = 0, 3
)

// decodeHEVC decodes the one picture of a HEIC file that was written here, which must be w×h, and gives
// it to use; it is gone afterwards. Each call has a module and memory of its own. Samples of more than
// 8 bits, which the module gives in 16, are rounded to 8, and chroma comes at full resolution: the module brings it there in any case,
// by libheif's linear filter, and would only blur it on the way back.
func decodeHEVC(file []byte, gray bool, bits, w, h int, use func(image.Image)) error {
	ctx := experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(newModuleMemory))
	mod, err := hevcRuntime.InstantiateModule(ctx, hevcCode, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		return err
	}
	defer func() { _ = mod.Close(ctx) }() // its memory is gone either way
	allocate := func(n int) (uint32, error) {
		r, err := mod.ExportedFunction("malloc").Call(ctx, uint64(n))
		if err != nil || uint32(r[0]) == 0 {
			return 0, errors.Join(errHEVC, err)
		}
		return uint32(r[0]), nil
	}
	in, err := allocate(len(file))
	if err != nil {
		return err
	}
	facts, err := allocate(20)
	if err != nil {
		return err
	}
	mem := mod.Memory()
	if !mem.Write(in, file) {
		return errHEVC
	}
	call := func(mode uint64, out uint32) error {
		at := uint64(facts)
		r, err := mod.ExportedFunction("decode").Call(ctx, uint64(in), uint64(len(file)), mode, at, at+4, at+8, at+12, at+16, uint64(out))
		if err != nil || uint32(r[0]) != 1 {
			return errors.Join(errHEVC, err)
		}
		return nil
	}
	if err := call(moduleHeader, 0); err != nil {
		return err
	}
	want := [4]uint32{uint32(w), uint32(h), moduleYCC, module444}
	if gray {
		want[2], want[3] = moduleGray, module400
	}
	for i, v := range want {
		if got, ok := mem.ReadUint32Le(facts + 4*uint32(i)); !ok || got != v {
			return errHEVC
		}
	}
	sample := 1 // bytes
	if bits > 8 {
		sample = 2
	}
	stride := (sample*max(w+w&1, 64) + 15) &^ 15 // libheif's, in bytes
	size := stride * h
	if !gray {
		size *= 3
	}
	out, err := allocate(size)
	if err != nil {
		return err
	}
	if err := call(0, out); err != nil {
		return err
	}
	p, ok := mem.Read(out, uint32(size))
	if !ok {
		return errHEVC
	}
	if sample == 2 {
		p, stride = roundTo8(p, bits), stride/2
	}
	if r := image.Rect(0, 0, w, h); gray {
		use(&image.Gray{Pix: p, Stride: stride, Rect: r})
	} else {
		n := stride * h
		use(&image.YCbCr{Y: p[:n], Cb: p[n : 2*n], Cr: p[2*n:], YStride: stride, CStride: stride,
			Rect: r, SubsampleRatio: image.YCbCrSubsampleRatio444})
	}
	return nil
}

// roundTo8 turns 16-bit little-endian samples of so many bits into 8, in place.
func roundTo8(p []byte, bits int) []byte {
	shift := bits - 8
	for i := range len(p) / 2 {
		v := uint32(p[2*i]) | uint32(p[2*i+1])<<8
		p[i] = byte(min(255, (v+1<<shift>>1)>>shift))
	}
	return p[:len(p)/2]
}
