package seal

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// ReaderAt opens a container at random places. Its errors are those of a
// Reader, but none is kept: every read asks the source again. It is safe for
// concurrent use if its source is.
type ReaderAt struct {
	src    io.ReaderAt
	size   int64 // of the plaintext
	sealed int64
	pool   sync.Pool
}

type chunkBuffer struct {
	chunks
	sealed []byte
	plain  []byte
}

// NewReaderAt checks the header and opens the last chunk of a container of
// sealedSize bytes, which authenticates its length: ErrAuth where the source
// has fewer bytes or the container another size. Bytes of the source behind
// sealedSize are never read. The key, of KeySize bytes, and the context are
// borrowed for the call.
func NewReaderAt(src io.ReaderAt, sealedSize int64, key, context []byte) (*ReaderAt, error) {
	size, err := PlaintextSize(sealedSize)
	if err != nil {
		return nil, err
	}
	var header [HeaderSize]byte
	if err := readFull(src, header[:], 0); err != nil {
		if err == ErrAuth {
			return nil, err
		}
		return nil, fmt.Errorf("seal: header: %w", err)
	}
	c, err := begin(key, context, header[:])
	if err != nil {
		return nil, err
	}
	r := &ReaderAt{src: src, size: size, sealed: sealedSize}
	r.pool.New = func() any {
		return &chunkBuffer{chunks: chunks{aead: c.aead, base: c.base}, sealed: make([]byte, sealedChunk), plain: make([]byte, 0, ChunkSize)}
	}
	b := r.pool.Get().(*chunkBuffer)
	defer r.pool.Put(b)
	if _, err := r.chunk(b, b.plain[:0], size/ChunkSize); err != nil {
		return nil, err
	}
	return r, nil
}

// Size returns the size of the plaintext in bytes.
func (r *ReaderAt) Size() int64 { return r.size }

// ReadAt implements io.ReaderAt on the plaintext. It may use all of p as
// scratch space: of a chunk that does not authenticate it leaves nothing there
// but zeros.
func (r *ReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("seal: negative offset")
	}
	b := r.pool.Get().(*chunkBuffer)
	defer r.pool.Put(b)
	done := 0
	for done < len(p) && off < r.size {
		dst := b.plain[:0]
		if rest := p[done:]; off%ChunkSize == 0 && len(rest) >= ChunkSize {
			dst = rest[:0:ChunkSize] // no copy: the one below is onto itself
		}
		plain, err := r.chunk(b, dst, off/ChunkSize)
		if err != nil {
			return done, err
		}
		n := copy(p[done:], plain[off%ChunkSize:])
		done, off = done+n, off+int64(n)
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// chunk opens chunk n into dst, by way of b.
func (r *ReaderAt) chunk(b *chunkBuffer, dst []byte, n int64) ([]byte, error) {
	start := HeaderSize + n*sealedChunk
	sealed := b.sealed[:min(sealedChunk, r.sealed-start)]
	if err := readFull(r.src, sealed, start); err != nil {
		if err == ErrAuth {
			return nil, err
		}
		return nil, fmt.Errorf("seal: chunk %d: %w", n, err)
	}
	return b.open(dst, uint64(n), sealed)
}

// readFull returns ErrAuth where the source is shorter than it was said to be.
func readFull(src io.ReaderAt, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || ended(err):
		return ErrAuth
	default:
		return err
	}
}
