package seal

import (
	"fmt"
	"io"
)

// Reader opens a container as a stream. It gives out only bytes whose chunk
// has authenticated; a truncated or extended container ends in ErrAuth, so a
// caller that must not act on a part reads to io.EOF first.
//
// The container ends where the source says io.EOF, or io.ErrUnexpectedEOF
// bare. A source that breaks off says so with any other error, also one that
// wraps these: it comes back wrapped and is not ErrAuth. Errors are sticky.
// A Reader is not safe for concurrent use.
type Reader struct {
	src    io.Reader
	chunks *chunks
	n      uint64
	sealed []byte
	buffer []byte
	plain  []byte // what is left to give out, within buffer
	err    error
}

// NewReader reads the header and checks the commitment. The key, of KeySize
// bytes, and the context are borrowed for the call.
func NewReader(src io.Reader, key, context []byte) (*Reader, error) {
	var header [HeaderSize]byte
	if _, err := io.ReadFull(src, header[:]); err != nil {
		if ended(err) {
			return nil, ErrAuth
		}
		return nil, fmt.Errorf("seal: header: %w", err)
	}
	c, err := begin(key, context, header[:])
	if err != nil {
		return nil, err
	}
	return &Reader{src: src, chunks: c, sealed: make([]byte, sealedChunk), buffer: make([]byte, 0, ChunkSize)}, nil
}

// Read implements io.Reader. It may use all of p as scratch space: of a chunk
// that does not authenticate it leaves nothing there but zeros.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.plain) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if len(p) >= ChunkSize { // no copy
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
	if err != nil && !ended(err) {
		return nil, fmt.Errorf("seal: chunk %d: %w", r.n, err)
	}
	if n < Overhead || r.n >= maxChunks {
		return nil, ErrAuth // cut off before the last chunk, or no end to it
	}
	plain, openErr := r.chunks.open(dst, r.n, r.sealed[:n])
	if openErr != nil {
		return nil, openErr
	}
	r.n++
	if err != nil {
		return plain, io.EOF
	}
	return plain, nil
}

// ended tells a source that ends early from one that fails. io.ReadFull
// returns its own two errors bare; what a source wraps is the source's.
func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }
