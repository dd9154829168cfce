/**
 * Seals a photo in the browser (or in Node 20 and later) so that nothing
 * between this page and photovault can open it: HPKE (RFC 9180) to one of the
 * practice's upload keys, and a C2SP chunked-encryption container
 * (c2sp.org/chunked-encryption, Cobblestone-256). The formats are those of the
 * service's packages vault/envelope and vault/seal.
 *
 * Units: sizes and offsets are bytes; times are RFC 3339 in UTC; ids are
 * UUIDv4 in lower case. Every refusal is a SealerError with a stable `code`;
 * errors.js lists them.
 *
 * Keys. The HPKE exporter's output and the keys derived from it are
 * overwritten as soon as WebCrypto holds the chunk key, which cannot be read
 * back; buffers of plaintext are overwritten once they are sealed. This is best effort:
 * a JavaScript engine may have moved or copied any of them before, the HPKE
 * library keeps its exporter secret until it is collected, and the photo
 * itself is the caller's Blob.
 */
import { isId } from './canon.js'
import { ChunkSealer, containerSize, SALT } from './container.js'
import { encapsulate, headerSize, MLKEM768_X25519, P256 } from './envelope.js'
import { demand, SealerError } from './errors.js'
import { fetchUploadKeys, pick, verifyUploadKeys } from './keys.js'
import { SealedFile } from './sealed.js'
import { sourceOf } from './source.js'

export { fetchUploadKeys, MLKEM768_X25519, P256, SealerError, verifyUploadKeys }

/** @typedef {import('./keys.js').UploadKeys} UploadKeys */

/**
 * The size of the sealed file of a photo, known before it is sealed: tus's
 * Upload-Length.
 * @param {number} size of the photo, bytes
 * @param {number} [suite] HPKE KEM id
 * @returns {number} bytes
 * @throws {SealerError} `bad_argument`, `too_large`, `suite_unknown`
 */
export function sealedSize(size, suite = MLKEM768_X25519) {
  return headerSize(suite) + containerSize(size)
}

/**
 * Seals a photo. The list of upload keys is verified here, each time; nothing
 * is sealed to a key that the pinned key did not sign.
 *
 * Nothing of the photo is read yet: it is read, 1 MiB at a time, as the sealed
 * bytes are asked for. Call `destroy` on the result when the upload is over.
 *
 * @param {Blob | ReadableStream<Uint8Array>} source the photo, as the camera wrote it
 * @param {object} options
 * @param {UploadKeys} options.uploadKeys the list as served
 * @param {Uint8Array | string} options.pinned the practice's upload-signing key
 *     from the enrolment: 32 bytes, or base64
 * @param {string} options.practice id of the practice, from the enrolment
 * @param {string} [options.capture] id of the capture; default: a fresh one. Give the
 *     same when the same photo is sealed anew, and nothing is stored twice
 * @param {number} [options.suite] default MLKEM768_X25519; there is no falling back
 * @param {number} [options.size] of a stream, bytes; required there
 * @param {Date} [options.now] default: the clock
 * @returns {Promise<SealedFile>}
 * @throws {SealerError} `bad_argument`, `unsupported`, `signature_invalid`, `practice_mismatch`,
 *     `suite_unknown`, `no_current_key`, `key_unusable`, `too_large`
 */
export async function seal(source, options) {
  const { uploadKeys, pinned, practice, capture = globalThis.crypto?.randomUUID?.(), suite, size, now } = options ?? {}
  const key = pick(await verifyUploadKeys(uploadKeys, { pinned, practice }), suite, now)
  demand(isId(capture), 'bad_argument', 'capture is not a UUIDv4 in canonical form')
  const from = sourceOf(source, size)
  sealedSize(from.size, key.suite) // refuses one that is too large, before any key is made
  const { header, inputKey } = await encapsulate(key, practice, capture)
  try {
    const salt = crypto.getRandomValues(new Uint8Array(SALT))
    const chunks = await ChunkSealer.derive(inputKey, salt, header)
    return new SealedFile(from, header, chunks, { capture, uploadKey: key.id, suite: key.suite })
  } finally {
    inputKey.fill(0)
  }
}
