/**
 * photovault's rule for turning fields into bytes that are authenticated, as
 * the service's package vault/canon has it:
 *
 *     uint16(len(domain)) || domain || (uint16(len(field)) || field)*
 *
 * Lengths count bytes of UTF-8 and are big-endian.
 */
import { demand } from './errors.js'

/** The longest domain or field, in bytes. */
export const MAX_FIELD = 0xffff

const utf8 = new TextEncoder()
const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/**
 * @param {string} domain names the use and its version
 * @param {...string} fields
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {SealerError} `bad_argument`: a field is no string or longer than MAX_FIELD
 */
export function encode(domain, ...fields) {
  const parts = [domain, ...fields].map((field) => {
    demand(typeof field === 'string', 'bad_argument', 'a field is not a string')
    const bytes = utf8.encode(field)
    demand(bytes.length <= MAX_FIELD, 'bad_argument', 'a field is longer than 65535 bytes')
    return bytes
  })
  const out = new Uint8Array(parts.reduce((n, part) => n + 2 + part.length, 0))
  let at = 0
  for (const part of parts) {
    out[at] = part.length >> 8
    out[at + 1] = part.length & 0xff
    out.set(part, at + 2)
    at += 2 + part.length
  }
  return out
}

/**
 * Whether an id is a UUIDv4 (RFC 9562 §5.4) in lower-case canonical form.
 * @param {unknown} id
 * @returns {id is string}
 */
export function isId(id) {
  return typeof id === 'string' && uuid4.test(id)
}

/**
 * Decodes base64 (RFC 4648 §4) and accepts exactly one spelling of each value:
 * padded, without white space.
 * @param {unknown} text
 * @returns {Uint8Array<ArrayBuffer> | null} null: it is not of that form
 */
export function fromBase64(text) {
  if (typeof text !== 'string') return null
  let binary
  try {
    binary = atob(text)
  } catch {
    return null
  }
  if (btoa(binary) !== text) return null
  return Uint8Array.from(binary, (c) => c.charCodeAt(0))
}
