// Package seal is photovault's container: authenticated encryption of a byte
// stream that can be written and read in constant memory and opened at random
// places. It is C2SP chunked-encryption v1, instance Cobblestone-256, as
// published at c2sp.org/chunked-encryption, without options.
//
// # Format
//
// All sizes and offsets are in bytes; || is concatenation; integers are
// big-endian.
//
//	salt                               24, random, never twice under one key
//	chunk key 32 || base nonce 12 || commitment 32 =
//	    HKDF-Expand-SHA512(input key, info, 76)            RFC 5869 §2.3
//	info = "c2sp.org/chunked-encryption@v1+" || "AEAD_AES_256_GCM" || 0x00
//	       || salt || context
//
//	offset  size
//	     0    24  salt
//	    24    32  commitment
//	    56 16400  chunk 0: 16384 of ciphertext, GCM tag of 16
//	     …        chunk k at 56 + k·16400
//	              last chunk: 0 to 16383 of ciphertext, tag of 16
//
// The input key is used as it is, as the pseudorandom key: there is no Extract
// step, so it must be 32 uniformly random bytes. It may seal many containers.
//
// Chunk k is sealed with AES-256-GCM under the chunk key, with the nonce base
// XOR k, k as an integer of 12 bytes, and with empty associated data. Every
// chunk but the last holds exactly 16384 bytes of plaintext; the last is
// always shorter, possibly empty: 16384 bytes make two chunks, none makes one.
// A file that ends with a full chunk was cut. So each plaintext has one
// framing, and n bytes have 56 + n + 16·(⌊n/16384⌋ + 1) bytes sealed. There
// are at most 2³⁸ chunks, so that n is below 2⁵² (4 PiB).
//
// Plaintext byte i is byte i mod 16384 of chunk ⌊i/16384⌋. The commitment is
// compared in constant time before any chunk is tried.
//
// # What it binds
//
// A container opens only under its input key and its context: bytes of any
// length that both sides know and that are not stored. The commitment makes it
// infeasible to build one that opens under two keys or two contexts, which GCM
// alone does not. No chunk can be changed, moved, repeated, dropped or taken
// from another container, and none added or cut off at the end.
//
// # What it does not do
//
// It does not hide the length: a container's size tells the plaintext's to the
// byte. It does not hide that two containers are of this format, nor when or
// how often they are read. It does not tell an older container of the same key
// and context from a newer one: contexts name what must not be confused. A
// [Reader] gives out authenticated chunks before it has seen the end; whether
// the whole is there is known at io.EOF. [Open] and [NewReaderAt] know earlier:
// the first has checked everything, the second the length.
package seal
