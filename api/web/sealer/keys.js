/**
 * The signed list of upload keys: GET /v1/upload-keys, as the service's
 * package vault/envelope makes it. What is signed (Ed25519, RFC 8032) is
 *
 *     canon.encode("photovault/upload-keys/v1", practice, issued_at,
 *                  (id, suite, public_key, seal_until) of each key in order)
 *
 * with every field as it stands in the JSON. The key that verifies it was
 * pinned when the tablet was enrolled: whoever answers in the service's place
 * cannot slip in a key of their own.
 */
import { encode, fromBase64, isId, MAX_FIELD } from './canon.js'
import { demand, SealerError } from './errors.js'
import { headerSize, MLKEM768_X25519 } from './envelope.js'

/**
 * @typedef {object} UploadKey
 * @property {string} id UUIDv4
 * @property {number} suite HPKE KEM id
 * @property {string} public_key as RFC 9180 serializes it, base64
 * @property {string} seal_until RFC 3339, UTC; sealed to no more from then on
 *
 * @typedef {object} UploadKeys
 * @property {string} practice UUIDv4
 * @property {string} issued_at RFC 3339, UTC
 * @property {UploadKey[]} keys
 * @property {string} signature Ed25519, base64
 */

const MAX_LISTED = 64
const MAX_ANSWER = 256 << 10 // bytes; 64 keys take half of it
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/

const unsigned = () => new SealerError('signature_invalid', 'the list of upload keys is not signed by the key pinned at enrolment')

/**
 * Verifies that the list is what the holder of the pinned key signed for the
 * practice. Whether its keys may still be sealed to is up to pick().
 * @param {unknown} list as JSON.parse gives it
 * @param {{pinned: Uint8Array | string, practice: string}} enrolment the
 *     upload-signing key, 32 bytes or base64, and the practice's id
 * @returns {Promise<UploadKeys>} a copy of what was verified, and no more
 * @throws {SealerError} `signature_invalid`, `practice_mismatch`, `bad_argument`, `unsupported`
 */
export async function verifyUploadKeys(list, enrolment) {
  const { pinned, practice } = enrolment ?? {}
  demand(isId(practice), 'bad_argument', 'practice is not a UUIDv4 in canonical form')
  const copy = copyOf(list)
  const fields = copy.keys.flatMap((k) => [k.id, String(k.suite), k.public_key, k.seal_until])
  const signed = encode('photovault/upload-keys/v1', copy.practice, copy.issued_at, ...fields)
  const signature = fromBase64(copy.signature)
  const key = typeof pinned === 'string' ? fromBase64(pinned) : pinned
  if (!(key instanceof Uint8Array) || key.length !== 32 || signature?.length !== 64) throw unsigned()
  if (!(await verify(key, signature, signed))) throw unsigned()
  demand(copy.practice === practice, 'practice_mismatch', 'the list of upload keys is of another practice')
  return copy
}

/**
 * The key of the suite that can be sealed to longest from now.
 * @param {UploadKeys} verified what verifyUploadKeys returned
 * @param {number} [suite] there is no falling back to another
 * @param {Date} [now]
 * @returns {{id: string, suite: number, key: Uint8Array}}
 * @throws {SealerError} `suite_unknown`, `no_current_key`
 */
export function pick(verified, suite = MLKEM768_X25519, now = new Date()) {
  headerSize(suite) // refuses an unknown one
  demand(now instanceof Date && !Number.isNaN(now.getTime()), 'bad_argument', 'now is not a time')
  let best = null
  for (const k of verified.keys) {
    const until = Date.parse(k.seal_until)
    if (k.suite === suite && now.getTime() < until && (best === null || until > Date.parse(best.seal_until))) best = k
  }
  demand(best !== null, 'no_current_key', 'no upload key may be sealed to now; fetch the list again and check the clock')
  return { id: best.id, suite, key: fromBase64(best.public_key) }
}

/**
 * Fetches the list and verifies it.
 * @param {string | URL} url of GET /v1/upload-keys
 * @param {object} options
 * @param {Uint8Array | string} options.pinned upload-signing key, 32 bytes or base64
 * @param {string} options.practice
 * @param {string} options.token bearer: a provider's, or an upload grant
 * @param {AbortSignal} [options.signal] default: 30 s
 * @param {typeof globalThis.fetch} [options.fetch]
 * @returns {Promise<UploadKeys>} may be kept for sealing offline: seal() verifies it again
 * @throws {SealerError} `keys_unavailable`, and those of verifyUploadKeys
 */
export async function fetchUploadKeys(url, options) {
  const { pinned, practice, token, signal = AbortSignal.timeout(30_000), fetch = globalThis.fetch } = options ?? {}
  let list
  try {
    const answer = await fetch(url, {
      headers: { Authorization: `Bearer ${token}`, Accept: 'application/json' },
      cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer', signal,
    })
    if (!answer.ok) throw new Error(`the service answered ${answer.status}`)
    list = JSON.parse(await text(answer.body, MAX_ANSWER))
  } catch (cause) {
    throw new SealerError('keys_unavailable', 'the list of upload keys could not be fetched', cause)
  }
  return verifyUploadKeys(list, { pinned, practice })
}

/** Outside input ends here: what is not of the form has no signature. */
function copyOf(list) {
  if (!isId(list?.practice) || !isTime(list.issued_at) || !Array.isArray(list.keys) || list.keys.length > MAX_LISTED) throw unsigned()
  const keys = list.keys.map((k) => {
    const { id, suite, public_key, seal_until } = k ?? {}
    const sized = typeof public_key === 'string' && public_key.length <= MAX_FIELD
    if (!isId(id) || !(suite >= 0 && suite <= 0xffff && Number.isInteger(suite)) || !sized || !fromBase64(public_key) || !isTime(seal_until)) {
      throw unsigned()
    }
    return Object.freeze({ id, suite, public_key, seal_until })
  })
  return Object.freeze({ practice: list.practice, issued_at: list.issued_at, keys: Object.freeze(keys), signature: list.signature })
}

function isTime(text) {
  return typeof text === 'string' && time.test(text) && !Number.isNaN(Date.parse(text))
}

async function verify(key, signature, signed) {
  demand(globalThis.crypto?.subtle !== undefined, 'unsupported', 'no WebCrypto here: serve the page over HTTPS')
  let imported
  try {
    imported = await crypto.subtle.importKey('raw', key, { name: 'Ed25519' }, false, ['verify'])
  } catch (cause) {
    if (cause?.name === 'DataError') return false
    throw new SealerError('unsupported', 'WebCrypto has no Ed25519 here: use a newer browser', cause)
  }
  return crypto.subtle.verify({ name: 'Ed25519' }, imported, signature, signed)
}

/** The body as text; one of more than max bytes is refused before it is in memory. */
async function text(body, max) {
  const parts = []
  let size = 0
  for (const reader = body.getReader(); ; ) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.length
    if (size > max) {
      await reader.cancel()
      throw new Error('the answer is too long')
    }
    parts.push(value)
  }
  return new Blob(parts).text()
}
