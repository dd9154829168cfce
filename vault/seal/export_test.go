package seal

import "io"

// SealWith is Seal with a given salt, for vectors.
func SealWith(dst, key, context, plaintext, salt []byte) ([]byte, error) {
	return sealWith(dst, key, context, plaintext, salt)
}

// NewWriterWith is NewWriter with a given salt.
func NewWriterWith(dst io.Writer, key, context, salt []byte) (*Writer, error) {
	return newWriter(dst, key, context, salt)
}

// MaxPlain is the most that a container holds, in bytes.
const MaxPlain = maxPlain

// SkipTo makes chunk n the next one, as if those before it had been written.
func (w *Writer) SkipTo(n uint64) { w.n = n }

// SkipTo makes chunk n the next one, as if those before it had been read.
func (r *Reader) SkipTo(n uint64) { r.n = n }
