package seal

import (
	"crypto/rand"
	"fmt"
	"io"
)

// Writer seals what is written to it. Close completes the container; without
// it the container is truncated and will not open. Errors are sticky: errors
// of the destination come wrapped, and after one the container is lost. A
// Writer is not safe for concurrent use.
type Writer struct {
	dst    io.Writer
	chunks *chunks
	n      uint64
	plain  []byte // of the current chunk; never full between calls
	sealed []byte
	err    error
}

// NewWriter writes the header to dst. The key, of KeySize bytes, is borrowed
// for the call; so is the context.
func NewWriter(dst io.Writer, key, context []byte) (*Writer, error) {
	var salt [saltSize]byte
	rand.Read(salt[:])
	return newWriter(dst, key, context, salt[:])
}

// newWriter takes the salt, which must never repeat under a key.
func newWriter(dst io.Writer, key, context, salt []byte) (*Writer, error) {
	c, commitment, err := derive(key, salt, context)
	if err != nil {
		return nil, err
	}
	header := append(append(make([]byte, 0, HeaderSize), salt...), commitment...)
	if err := writeFull(dst, header); err != nil {
		return nil, fmt.Errorf("seal: header: %w", err)
	}
	return &Writer{dst: dst, chunks: c, plain: make([]byte, 0, ChunkSize), sealed: make([]byte, 0, sealedChunk)}, nil
}

// Write seals every chunk that p completes and keeps the rest, less than a
// chunk, for the next call. It does not retain p.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	written := 0
	for written < len(p) {
		rest := p[written:]
		if len(w.plain) == 0 && len(rest) >= ChunkSize { // no copy
			if err := w.flush(rest[:ChunkSize]); err != nil {
				return written, err
			}
			written += ChunkSize
			continue
		}
		n := min(ChunkSize-len(w.plain), len(rest))
		w.plain = append(w.plain, rest[:n]...)
		if len(w.plain) == ChunkSize {
			if err := w.flush(w.plain); err != nil {
				return written, err
			}
			w.plain = w.plain[:0]
		}
		written += n
	}
	return written, nil
}

// Close seals the last, shorter chunk. It does not close dst. A Writer is
// closed once: after Close, Write and Close return an error.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	if err := w.flush(w.plain); err != nil {
		return err
	}
	w.end(errClosed)
	return nil
}

// flush seals and writes the next chunk.
func (w *Writer) flush(plain []byte) error {
	if w.n >= maxChunks {
		w.end(errTooLong)
		return w.err
	}
	w.sealed = w.chunks.seal(w.sealed[:0], w.n, plain)
	if err := writeFull(w.dst, w.sealed); err != nil {
		w.end(fmt.Errorf("seal: chunk %d: %w", w.n, err))
		return w.err
	}
	w.n++
	return nil
}

// end is the answer from here on; the buffered plaintext is wiped.
func (w *Writer) end(err error) {
	w.err = err
	clear(w.plain[:cap(w.plain)])
	w.plain = w.plain[:0]
}

// writeFull makes a write that is silently short a failure, or a container
// that will not open would look written.
func writeFull(dst io.Writer, p []byte) error {
	n, err := dst.Write(p)
	if err == nil && n != len(p) {
		return io.ErrShortWrite
	}
	return err
}
