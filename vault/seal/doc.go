// Package seal is photovault's container: authenticated encryption of a byte
// stream that can be written and read in constant memory and opened at random
// places. It is C2SP chunked-encryption v1, instance Cobblestone-256
// (c2sp.org/chunked-encryption).
//
//	key 32 || base nonce 12 || commitment 32 = HKDF-Expand-SHA512(input key,
//	    "c2sp.org/chunked-encryption@v1+" || "AEAD_AES_256_GCM" || 0x00 || salt || context)
//
//	offset  bytes
//	     0     24  salt, random
//	    24     32  commitment
//	    56  16400  chunk 0: 16384 bytes of plaintext, GCM tag of 16
//	     …         chunk k at 56 + k·16400
//	               last chunk: 0 to 16383 bytes of plaintext, tag
//
// Chunk k is sealed with AES-256-GCM under the derived key and the nonce
// base XOR k (big-endian in the last eight bytes), without associated data.
// The last chunk is always shorter than the others, possibly empty: a file
// that ends with a full chunk was cut.
//
// A container is bound to its input key, which must be 32 uniformly random
// bytes and may seal many containers, and to its context, which both sides
// know and which is not stored. The commitment makes it impossible to build
// one that opens under two keys or contexts.
//
// It does not hide its length. It does not tell an older container of the same
// key and context from a newer one: contexts name what must not be confused.
package seal
