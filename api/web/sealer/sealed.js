import { CHUNK, containerSize, SEALED_CHUNK, TAG } from './container.js'
import { demand, SealerError } from './errors.js'

/** Chunks that are read and sealed together: 1 MiB of plaintext. */
const BLOCK = 64

// After these the plaintext is not what it was: nothing more is sealed under the key.
const fatal = new Set(['source_changed', 'source_truncated', 'source_too_long'])

/**
 * A sealed photo. Its bytes are made when they are asked for, from at most
 * 1 MiB of plaintext at a time, and are the same however often they are asked
 * for: the salt and the chunk key stay in memory until `destroy`. It cannot be
 * stored and taken up again by another page; seal the photo anew instead,
 * for the same capture.
 *
 * Sealing two plaintexts with one nonce would break AES-GCM. A Blob is read
 * again for a retry, so the tag of every chunk that was sealed is kept (17
 * bytes for 16 KiB), and a chunk that would now get another one is
 * `source_changed` before a byte of it is given out.
 */
export class SealedFile {
  /** @type {Uint8Array} the envelope's header and the container's */ #prefix
  #chunks
  #source
  /** @type {SealerError | null} what every call says from then on */ #failed = null
  #began = false
  /** @type {Map<number, Uint8Array>} tags of each BLOCK chunks, and whether they are known */
  #tags = new Map()

  /**
   * Made by seal().
   * @param {import('./source.js').Source} source
   * @param {Uint8Array<ArrayBuffer>} header the envelope's
   * @param {import('./container.js').ChunkSealer} chunks
   * @param {{capture: string, uploadKey: string, suite: number}} about
   */
  constructor(source, header, chunks, about) {
    this.#source = source
    this.#chunks = chunks
    this.#prefix = new Uint8Array(header.length + chunks.head.length)
    this.#prefix.set(header)
    this.#prefix.set(chunks.head, header.length)
    /** Bytes, sealed: tus's Upload-Length. */
    this.size = header.length + containerSize(source.size)
    /** Id of the capture; POST /v1/photos wants the same. */
    this.capture = about.capture
    /** Id of the upload key it is sealed to. */
    this.uploadKey = about.uploadKey
    /** HPKE KEM id. */
    this.suite = about.suite
    Object.freeze(this)
  }

  /**
   * The bytes from start up to end of the sealed file, reading only the
   * plaintext they need. It may be called again, in any order and at the same time.
   * The whole range is in memory: ask for a few MiB.
   * @param {number} start
   * @param {number} [end] at most size; default: size
   * @returns {Promise<Uint8Array<ArrayBuffer>>} end - start bytes, the caller's
   * @throws {SealerError} `range_invalid`, `not_seekable`, `destroyed`, `source_…`
   */
  async slice(start, end = this.size) {
    const whole = Number.isSafeInteger(start) && Number.isSafeInteger(end)
    demand(whole && 0 <= start && start <= end && end <= this.size, 'range_invalid', `a slice lies within 0 and ${this.size}`)
    demand(this.#source.seekable, 'not_seekable', 'slices are made of a Blob or a File; a stream is read once, by stream()')
    return this.#range(start, end)
  }

  /**
   * The sealed bytes in order, in parts of about 1 MiB; the caller's.
   * @param {number} [from] where to begin; 0 for a stream
   * @returns {AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>}
   * @throws {SealerError} `range_invalid`, `source_consumed`, `destroyed`, `source_…`
   */
  async *parts(from = 0) {
    demand(Number.isSafeInteger(from) && 0 <= from && from <= this.size, 'range_invalid', `begin within 0 and ${this.size}`)
    this.#alive()
    if (!this.#source.seekable) {
      demand(from === 0, 'not_seekable', 'a stream is sealed from its beginning')
      demand(!this.#began, 'source_consumed', 'a stream can be sealed once')
    }
    this.#began = true
    for (let at = from; at < this.size; ) {
      const block = Math.floor((at - this.#prefix.length) / (BLOCK * SEALED_CHUNK)) // -1: before the first
      const end = Math.min(this.size, this.#prefix.length + (block + 1) * BLOCK * SEALED_CHUNK)
      yield await this.#range(at, end)
      at = end
    }
  }

  [Symbol.asyncIterator]() {
    return this.parts()
  }

  /**
   * The sealed bytes as a stream, made as they are pulled.
   * @param {number} [from] where to begin; 0 for a stream
   * @returns {ReadableStream<Uint8Array<ArrayBuffer>>}
   */
  stream(from = 0) {
    const parts = this.parts(from)
    return new ReadableStream({
      pull: async (controller) => {
        const next = await parts.next()
        if (next.done) controller.close()
        else controller.enqueue(next.value)
      },
      cancel: async () => {
        await parts.return()
        if (!this.#source.seekable) this.destroy() // it cannot be begun again
      },
    }, { highWaterMark: 0 })
  }

  /**
   * The sealed bytes as one Blob, which a browser may keep on disk.
   * @returns {Promise<Blob>}
   */
  async blob() {
    const parts = []
    for await (const part of this.parts()) parts.push(new Blob([part]))
    return new Blob(parts, { type: 'application/octet-stream' })
  }

  /**
   * For tus-js-client 4's option `fileReader`: `new Upload(sealed, { fileReader:
   * sealed.fileReader, chunkSize, … })`. Set chunkSize, a few MiB: without it
   * tus asks for the whole in one piece.
   */
  get fileReader() {
    return {
      openFile: async () => ({
        size: this.size,
        slice: async (start, end) => {
          const value = await this.slice(start, Math.min(end, this.size))
          return { value: Object.assign(value, { size: value.length }), done: end >= this.size } // tus counts by size
        },
        close: () => this.destroy(), // tus closes when the upload is complete
      }),
    }
  }

  /**
   * Ends it: the key is let go, best effort, and nothing more can be sealed.
   * Call it when the upload is complete or given up.
   */
  destroy() {
    this.#end(new SealerError('destroyed', 'this sealed file was destroyed; seal the photo anew'))
  }

  #end(error) {
    if (this.#failed) return
    this.#failed = error
    this.#chunks.destroy()
    this.#tags.clear()
    this.#source.cancel(error)
  }

  #alive() {
    if (this.#failed) throw this.#failed
  }

  async #range(start, end) {
    this.#alive()
    const out = new Uint8Array(end - start)
    const head = this.#prefix.length
    if (start < head) out.set(this.#prefix.subarray(start, end))
    if (end <= head) return out
    const last = Math.ceil((end - head) / SEALED_CHUNK) // the first chunk not needed
    for (let n = Math.floor((Math.max(start, head) - head) / SEALED_CHUNK); n < last; ) {
      const until = Math.min(last, n + BLOCK)
      try {
        await this.#block(n, until, start, out)
      } catch (error) {
        if (fatal.has(error.code)) this.#end(error)
        throw error
      }
      n = until
    }
    return out
  }

  /** Seals chunks n up to until, at most BLOCK of them, into out, which begins at start. */
  async #block(n, until, start, out) {
    const plain = await this.#source.read(n * CHUNK, Math.min(this.#source.size, until * CHUNK))
    let sealed
    try {
      this.#alive()
      sealed = await Promise.all(Array.from({ length: until - n }, (_, i) =>
        this.#chunks.seal(n + i, plain.subarray(i * CHUNK, (i + 1) * CHUNK))))
    } finally {
      plain.fill(0)
    }
    this.#alive() // a change found meanwhile ends this one, too
    sealed.forEach((chunk, i) => {
      this.#same(n + i, chunk.subarray(-TAG))
      const at = this.#prefix.length + (n + i) * SEALED_CHUNK - start
      out.set(chunk.subarray(Math.max(0, -at), Math.min(chunk.length, out.length - at)), Math.max(0, at))
    })
  }

  /** Refuses a chunk that was sealed before with another plaintext. */
  #same(n, tag) {
    if (!this.#source.seekable) return // read once, so sealed once
    const block = Math.floor(n / BLOCK)
    let known = this.#tags.get(block)
    if (!known) this.#tags.set(block, known = new Uint8Array(BLOCK * (TAG + 1)))
    const at = (n % BLOCK) * (TAG + 1)
    if (known[at] === 0) {
      known[at] = 1
      known.set(tag, at + 1)
      return
    }
    demand(tag.every((b, i) => b === known[at + 1 + i]), 'source_changed', 'the source changed while it was being sealed')
  }
}
