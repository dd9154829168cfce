/**
 * The envelope's header, as the service's package vault/envelope has it.
 * Offsets and sizes are in bytes, integers are big-endian.
 *
 *     0    4  magic "PVEN"
 *     4    2  version, 1
 *     6    2  suite: HPKE KEM id, 0x647a MLKEM768-X25519 or 0x0010 DHKEM(P-256)
 *     8   36  id of the upload key, UUIDv4
 *    44   36  id of the capture, UUIDv4
 *    80    n  enc, the encapsulated key: 1120 (MLKEM768-X25519) or 65 (P-256)
 *    80+n     container
 *
 * HPKE (RFC 9180, base mode; the hybrid KEM by draft-ietf-hpke-pq) only
 * exports: KDF HKDF-SHA256, AEAD export-only (0xFFFF).
 */
import { AEAD_EXPORT_ONLY, CipherSuite, KDF_HKDF_SHA256 } from 'hpke'
import { KEM_DHKEM_P256_HKDF_SHA256, KEM_MLKEM768_X25519 } from '@panva/hpke-noble'
import { encode } from './canon.js'
import { demand, SealerError } from './errors.js'
import { KEY } from './container.js'

/** Withstands an attacker who records now and has a quantum computer later. The default. */
export const MLKEM768_X25519 = 0x647a
/** DHKEM(P-256, HKDF-SHA256). */
export const P256 = 0x0010

// The KEMs are JavaScript throughout: Node 20 and older browsers have no
// ML-KEM of their own.
const suites = new Map([
  [MLKEM768_X25519, { kem: KEM_MLKEM768_X25519, enc: 1120 }],
  [P256, { kem: KEM_DHKEM_P256_HKDF_SHA256, enc: 65 }],
])

const FIXED = 80
const utf8 = new TextEncoder()
const exporterLabel = utf8.encode('photovault/envelope/v1 container')

/**
 * @param {number} suite
 * @returns {number} bytes
 * @throws {SealerError} `suite_unknown`
 */
export function headerSize(suite) {
  const s = suites.get(suite)
  demand(s !== undefined, 'suite_unknown', 'the suite is not one that envelopes of version 1 have')
  return FIXED + s.enc
}

/**
 * Encapsulates a fresh key to an upload key.
 * @param {{id: string, suite: number, key: Uint8Array}} to ids are valid
 * @param {string} practice
 * @param {string} capture
 * @param {import('hpke').KEMFactory} [kem] for tests: a KEM whose ephemeral key is fixed
 * @returns {Promise<{header: Uint8Array<ArrayBuffer>, inputKey: Uint8Array<ArrayBuffer>}>} the input key
 *     is the caller's to overwrite
 * @throws {SealerError} `suite_unknown`, `key_unusable`
 */
export async function encapsulate(to, practice, capture, kem) {
  const header = new Uint8Array(headerSize(to.suite))
  const suite = new CipherSuite(kem ?? suites.get(to.suite).kem, KDF_HKDF_SHA256, AEAD_EXPORT_ONLY)
  demand(to.suite !== MLKEM768_X25519 || reduced(to.key), 'key_unusable', `upload key ${to.id} is not a key of its suite`)
  let sender
  try {
    const key = await suite.DeserializePublicKey(to.key)
    sender = await suite.SetupSender(key, { info: encode('photovault/envelope/v1', practice, capture) })
  } catch (cause) {
    throw new SealerError('key_unusable', `upload key ${to.id} is not a key of its suite`, cause)
  }
  const enc = sender.encapsulatedSecret
  demand(enc.length === header.length - FIXED, 'key_unusable', `upload key ${to.id} is not a key of its suite`)
  header.set(utf8.encode('PVEN'))
  new DataView(header.buffer).setUint16(4, 1)
  new DataView(header.buffer).setUint16(6, to.suite)
  header.set(utf8.encode(to.id + capture), 8)
  header.set(enc, FIXED)
  return { header, inputKey: /** @type {Uint8Array<ArrayBuffer>} */ (await sender.ctx.Export(exporterLabel, KEY)) }
}

/**
 * The modulus check of FIPS 203 §7.2 on the ML-KEM-768 half of a key, which
 * comes first: 768 coefficients of 12 bits, little-endian, each below 3329. It
 * stands here because the KEM library does not refuse every such key.
 */
function reduced(key) {
  if (key.length < 1152) return false
  for (let i = 0; i < 1152; i += 3) {
    if ((key[i] | (key[i + 1] & 0x0f) << 8) >= 3329 || (key[i + 1] >> 4 | key[i + 2] << 4) >= 3329) return false
  }
  return true
}
