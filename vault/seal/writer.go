package seal

import (
	"crypto/rand"
	"errors"
	"io"
)

// Writer seals what is written to it. Close completes the container; without
// it the container is truncated and will not open. Errors are sticky.
type Writer struct {
	dst    io.Writer
	chunks *chunks
	n      uint64
	plain  []byte // of the current chunk; never full between calls
	sealed []byte
	err    error
}

// newSalt is replaced by tests that need a given salt.
var newSalt = func(b []byte) { rand.Read(b) }

var errClosed = errors.New("seal: write after Close")

// NewWriter writes the header to dst. The key, of KeySize bytes, is borrowed.
func NewWriter(dst io.Writer, key, context []byte) (*Writer, error) {
	var salt [saltSize]byte
	newSalt(salt[:])
	c, commitment, err := derive(key, salt[:], context)
	if err != nil {
		return nil, err
	}
	w := &Writer{dst: dst, chunks: c, plain: make([]byte, 0, ChunkSize), sealed: make([]byte, 0, sealedChunk)}
	if _, err := dst.Write(append(salt[:], commitment...)); err != nil {
		return nil, err
	}
	return w, nil
}

// Write seals every chunk that p completes.
func (w *Writer) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 && w.err == nil {
		room := ChunkSize - len(w.plain)
		if len(w.plain) == 0 && len(p) >= ChunkSize { // no copy
			w.flush(p[:ChunkSize])
			p, written = p[ChunkSize:], written+ChunkSize
			continue
		}
		n := min(room, len(p))
		w.plain = append(w.plain, p[:n]...)
		p, written = p[n:], written+n
		if len(w.plain) == ChunkSize {
			w.flush(w.plain)
			w.plain = w.plain[:0]
		}
	}
	return written, w.err
}

// Close seals the last, shorter chunk. It does not close dst.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	w.flush(w.plain)
	clear(w.plain[:cap(w.plain)])
	err := w.err
	if w.err == nil {
		w.err = errClosed
	}
	return err
}

func (w *Writer) flush(plain []byte) {
	w.sealed = w.chunks.seal(w.sealed[:0], w.n, plain)
	w.n++
	_, w.err = w.dst.Write(w.sealed)
}
