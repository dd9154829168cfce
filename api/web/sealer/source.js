/**
 * Where the plaintext comes from. A source reads ranges of bytes and says
 * when it is not what it was: fewer bytes, more bytes, another size.
 *
 * @typedef {object} Source
 * @property {number} size bytes
 * @property {boolean} seekable whether ranges may be read in any order, and again
 * @property {(start: number, end: number) => Promise<Uint8Array<ArrayBuffer>>} read exactly
 *     that range, as bytes that the caller overwrites after use
 * @property {(reason: unknown) => void} cancel nothing more will be read
 */
import { demand, SealerError } from './errors.js'

const truncated = () => new SealerError('source_truncated', 'the source has fewer bytes than it said')

/**
 * @param {any} input
 * @param {number} [size] of a stream, bytes
 * @returns {Source}
 * @throws {SealerError} `bad_argument`
 */
export function sourceOf(input, size) {
  if (isBlob(input)) {
    demand(size === undefined || size === input.size, 'bad_argument', 'the size given is not the size of the Blob')
    return new BlobSource(input)
  }
  demand(typeof input?.getReader === 'function', 'bad_argument', 'seal a Blob, a File, or a ReadableStream')
  demand(Number.isSafeInteger(size) && size >= 0, 'bad_argument', 'the size of a stream must be given, in bytes')
  return new StreamSource(input, size)
}

// By what it can do: a File may come from another window.
function isBlob(input) {
  return typeof input?.slice === 'function' && typeof input.arrayBuffer === 'function' && Number.isSafeInteger(input.size)
}

class BlobSource {
  #blob
  seekable = true

  constructor(blob) {
    this.#blob = blob
    this.size = blob.size
  }

  async read(start, end) {
    this.#unchanged()
    let bytes
    try {
      bytes = new Uint8Array(await this.#blob.slice(start, end).arrayBuffer())
    } catch (cause) {
      throw new SealerError('source_unreadable', 'the source cannot be read, or changed since it was picked', cause)
    }
    this.#unchanged()
    if (bytes.length < end - start) throw truncated()
    demand(bytes.length === end - start, 'source_changed', 'the source changed while it was being sealed')
    return bytes
  }

  cancel() {}

  #unchanged() {
    demand(this.#blob.size === this.size, 'source_changed', 'the source changed its size while it was being sealed')
  }
}

class StreamSource {
  #stream
  /** @type {ReadableStreamDefaultReader<Uint8Array> | null} taken with the first read */ #reader = null
  /** @type {Uint8Array} what was received and not yet read */ #rest = new Uint8Array(0)
  #at = 0
  seekable = false

  constructor(stream, size) {
    demand(!stream.locked, 'bad_argument', 'the stream is being read by somebody else')
    this.#stream = stream
    this.size = size
  }

  async read(start, end) {
    demand(start === this.#at, 'not_seekable', 'a stream is sealed from its beginning to its end')
    const out = new Uint8Array(end - start)
    for (let n = 0; n < out.length; ) {
      if (this.#rest.length === 0 && !(await this.#receive())) throw truncated()
      const taken = this.#rest.subarray(0, out.length - n)
      out.set(taken, n)
      n += taken.length
      this.#rest = this.#rest.subarray(taken.length)
    }
    this.#at = end
    if (end === this.size) { // before the last chunk is given out
      const more = this.#rest.length > 0 || (await this.#receive())
      demand(!more, 'source_too_long', 'the source has more bytes than it said')
    }
    return out
  }

  cancel(reason) {
    const stream = this.#reader ?? this.#stream
    stream.cancel(reason).catch(() => {}) // it already failed, and has said so
  }

  /** Whether there was more. Empty parts are passed over. */
  async #receive() {
    for (;;) {
      let part
      try {
        this.#reader ??= this.#stream.getReader()
        part = await this.#reader.read()
      } catch (cause) {
        throw new SealerError('source_unreadable', 'the source broke off', cause)
      }
      if (part.done) return false
      demand(part.value instanceof Uint8Array, 'source_unreadable', 'the source is not a stream of bytes')
      if (part.value.length === 0) continue
      this.#rest = part.value
      return true
    }
  }
}
