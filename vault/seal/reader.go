package seal

import (
	"fmt"
	"io"
)

// Reader opens a container as a stream. It gives out only bytes whose chunk
// has authenticated; a truncated or extended container ends in ErrAuth, so a
// caller that must not act on a part reads to io.EOF first. Errors of the
// source pass through. Errors are sticky.
type Reader struct {
	src    io.Reader
	chunks *chunks
	n      uint64
	sealed []byte
	buffer []byte
	plain  []byte // what is left to give out, within buffer
	err    error
}

// NewReader reads the header and checks the commitment. The key is borrowed.
func NewReader(src io.Reader, key, context []byte) (*Reader, error) {
	var header [HeaderSize]byte
	if _, err := io.ReadFull(src, header[:]); err != nil {
		return nil, short(err)
	}
	c, err := begin(key, context, header[:])
	if err != nil {
		return nil, err
	}
	return &Reader{src: src, chunks: c, sealed: make([]byte, sealedChunk), buffer: make([]byte, 0, ChunkSize)}, nil
}

func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.plain) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if len(p) >= ChunkSize { // no copy; a chunk that fails leaves p zeroed
			var out []byte
			out, r.err = r.next(p[:0:ChunkSize])
			if len(out) > 0 {
				return len(out), nil
			}
			continue
		}
		r.plain, r.err = r.next(r.buffer[:0])
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// next opens the next chunk into dst; beside the last one it returns io.EOF.
func (r *Reader) next(dst []byte) ([]byte, error) {
	n, err := io.ReadFull(r.src, r.sealed)
	last := err == io.ErrUnexpectedEOF // ReadFull's own, not one that the source wraps
	if err != nil && !last || n < Overhead {
		return nil, short(err) // none, or less than a tag: cut off
	}
	plain, err := r.chunks.open(dst, r.n, r.sealed[:n])
	if err != nil {
		return nil, err
	}
	r.n++
	if last {
		return plain, io.EOF
	}
	return plain, nil
}

// short tells a container that ends early from a source that fails.
func short(err error) error {
	if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrAuth
	}
	return fmt.Errorf("seal: source: %w", err)
}
