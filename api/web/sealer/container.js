/**
 * The container: C2SP chunked-encryption v1, instance Cobblestone-256, as
 * published at c2sp.org/chunked-encryption and as the service's package
 * vault/seal opens it. Sizes and offsets are in bytes, integers big-endian.
 *
 *     chunk key 32 || base nonce 12 || commitment 32 =
 *         HKDF-Expand-SHA512(input key, label || salt || context, 76)
 *     container = salt 24 || commitment 32 || chunks
 *
 * Chunk k is 16384 bytes of plaintext under AES-256-GCM with the nonce base
 * XOR k and no associated data; the last chunk is always shorter, possibly
 * empty.
 */
import { demand } from './errors.js'

/** Plaintext of every chunk but the last, which is shorter. */
export const CHUNK = 16384
/** GCM tag of each chunk. */
export const TAG = 16
/** A full chunk, sealed. */
export const SEALED_CHUNK = CHUNK + TAG
/** Salt, which must never repeat under one input key. */
export const SALT = 24
/** Salt and commitment, before the first chunk. */
export const HEAD = SALT + 32
/** Input key. */
export const KEY = 32

const KEY_AND_NONCE = KEY + 12
const DERIVED = KEY_AND_NONCE + 32
const MAX_PLAIN = 2 ** 38 * CHUNK - 1 // 4 PiB less a byte; an exact number
const label = new TextEncoder().encode('c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0')

/**
 * How many chunks hold so many bytes: a plaintext that fills its chunks is
 * followed by an empty one.
 * @param {number} plain bytes
 * @returns {number}
 */
export const chunksOf = (plain) => Math.floor(plain / CHUNK) + 1

/**
 * The size of a container that holds so many bytes.
 * @param {number} plain bytes, 0 to 4 PiB less one
 * @returns {number} bytes
 * @throws {SealerError} `bad_argument`, `too_large`
 */
export function containerSize(plain) {
  demand(Number.isSafeInteger(plain) && plain >= 0, 'bad_argument', 'a size is a whole number of bytes, not negative')
  demand(plain <= MAX_PLAIN, 'too_large', 'a container holds less than 4 PiB')
  return HEAD + plain + chunksOf(plain) * TAG
}

/**
 * HKDF-Expand (RFC 5869 §2.3) with SHA-512. WebCrypto's HKDF always runs
 * Extract first, which this format does not have.
 * @param {Uint8Array<ArrayBuffer>} key
 * @param {Uint8Array<ArrayBuffer>} info
 * @param {number} size bytes
 * @returns {Promise<Uint8Array<ArrayBuffer>>} overwritten by the caller after use
 */
async function expand(key, info, size) {
  const mac = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-512' }, false, ['sign'])
  const out = new Uint8Array(size)
  let block = new Uint8Array(0)
  for (let n = 1, at = 0; at < size; n++) {
    const text = new Uint8Array([...block, ...info, n])
    block.fill(0)
    block = new Uint8Array(await crypto.subtle.sign('HMAC', mac, text))
    text.fill(0)
    out.set(block.subarray(0, size - at), at)
    at += block.length
  }
  block.fill(0)
  return out
}

/**
 * Seals the chunks of one container. Each number must be sealed with one
 * plaintext only, or the nonce repeats: SealedFile sees to that.
 */
export class ChunkSealer {
  /** @type {CryptoKey | null} */ #key
  /** @type {Uint8Array<ArrayBuffer>} */ #base

  /**
   * @param {CryptoKey} key
   * @param {Uint8Array<ArrayBuffer>} base
   * @param {Uint8Array<ArrayBuffer>} head
   */
  constructor(key, base, head) {
    this.#key = key
    this.#base = base
    /** Salt and commitment, the container's first HEAD bytes. */
    this.head = head
  }

  /**
   * Derives the keys of a container. The input key and the context are
   * borrowed for the call.
   * @param {Uint8Array<ArrayBuffer>} inputKey KEY bytes, uniformly random
   * @param {Uint8Array<ArrayBuffer>} salt SALT bytes
   * @param {Uint8Array<ArrayBuffer>} context
   * @returns {Promise<ChunkSealer>}
   */
  static async derive(inputKey, salt, context) {
    demand(inputKey.length === KEY && salt.length === SALT, 'bad_argument', 'an input key has 32 bytes and a salt 24')
    const info = new Uint8Array(label.length + salt.length + context.length)
    info.set(label)
    info.set(salt, label.length)
    info.set(context, label.length + salt.length)
    const derived = await expand(inputKey, info, DERIVED)
    try {
      const key = await crypto.subtle.importKey('raw', derived.subarray(0, KEY), 'AES-GCM', false, ['encrypt'])
      const head = new Uint8Array(HEAD)
      head.set(salt)
      head.set(derived.subarray(KEY_AND_NONCE), SALT)
      return new ChunkSealer(key, derived.slice(KEY, KEY_AND_NONCE), head)
    } finally {
      derived.fill(0)
    }
  }

  /**
   * @param {number} n of the chunk, below 2^38
   * @param {Uint8Array<ArrayBuffer>} plain at most CHUNK bytes; borrowed for the call
   * @returns {Promise<Uint8Array<ArrayBuffer>>} ciphertext and tag
   * @throws {SealerError} `destroyed`
   */
  async seal(n, plain) {
    demand(this.#key !== null, 'destroyed', 'the key of this sealed file is gone')
    const iv = this.#base.slice()
    const view = new DataView(iv.buffer)
    view.setUint32(4, view.getUint32(4) ^ Math.floor(n / 2 ** 32))
    view.setUint32(8, view.getUint32(8) ^ (n >>> 0))
    return new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv, tagLength: 8 * TAG }, this.#key, plain))
  }

  /** Lets go of the key: the platform overwrites or drops it when it likes. */
  destroy() {
    this.#key = null
    this.#base.fill(0)
  }
}
