package seal

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// ReaderAt opens a container at random places. It is safe for concurrent use
// if its source is.
type ReaderAt struct {
	src    io.ReaderAt
	size   int64 // of the plaintext
	sealed int64
	key    *chunks // its nonce is not used
	pool   sync.Pool
}

type chunkBuffer struct {
	chunks
	sealed []byte
	plain  []byte
}

// NewReaderAt checks the header and opens the last chunk of a container of
// sealedSize bytes, which authenticates its length. The key is borrowed.
func NewReaderAt(src io.ReaderAt, sealedSize int64, key, context []byte) (*ReaderAt, error) {
	size, err := PlaintextSize(sealedSize)
	if err != nil {
		return nil, err
	}
	var header [HeaderSize]byte
	if err := readFull(src, header[:], 0); err != nil {
		return nil, err
	}
	c, err := begin(key, context, header[:])
	if err != nil {
		return nil, err
	}
	r := &ReaderAt{src: src, size: size, sealed: sealedSize, key: c}
	r.pool.New = func() any {
		return &chunkBuffer{chunks: chunks{aead: c.aead, base: c.base}, sealed: make([]byte, sealedChunk), plain: make([]byte, 0, ChunkSize)}
	}
	b := r.pool.Get().(*chunkBuffer)
	defer r.pool.Put(b)
	if _, err := r.chunk(b, size/ChunkSize); err != nil {
		return nil, err
	}
	return r, nil
}

// Size returns the size of the plaintext in bytes.
func (r *ReaderAt) Size() int64 { return r.size }

// ReadAt implements io.ReaderAt on the plaintext. After an error p holds
// nothing that has not authenticated.
func (r *ReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("seal: negative offset")
	}
	b := r.pool.Get().(*chunkBuffer)
	defer r.pool.Put(b)
	done := 0
	for done < len(p) && off < r.size {
		plain, err := r.chunk(b, off/ChunkSize)
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

// chunk opens chunk n into b.
func (r *ReaderAt) chunk(b *chunkBuffer, n int64) ([]byte, error) {
	start := HeaderSize + n*sealedChunk
	sealed := b.sealed[:min(sealedChunk, r.sealed-start)]
	if err := readFull(r.src, sealed, start); err != nil {
		return nil, err
	}
	return b.open(b.plain[:0], uint64(n), sealed)
}

func readFull(src io.ReaderAt, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil, err == io.EOF, err == io.ErrUnexpectedEOF:
		return ErrAuth
	default:
		return fmt.Errorf("seal: source: %w", err)
	}
}
