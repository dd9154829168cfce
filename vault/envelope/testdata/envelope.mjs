// Envelopes in JavaScript, from the text of doc.go and of the container's
// specification (c2sp.org/chunked-encryption) alone. HPKE is npm's "hpke" with
// the KEMs of "@panva/hpke-noble": Node 20 and older browsers lack ML-KEM.
//
// The packages are looked for in PHOTOVAULT_NODE_MODULES, else in
// node_modules beside this file.
import { createCipheriv, createDecipheriv, createHmac, createPublicKey, randomBytes, timingSafeEqual, verify } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const modules = process.env.PHOTOVAULT_NODE_MODULES || fileURLToPath(new URL('node_modules', import.meta.url))
const load = (name) => import(pathToFileURL(join(modules, name, 'index.js')))
const HPKE = await load('hpke')
const noble = await load('@panva/hpke-noble')

export const suites = {
  0x647a: { kem: noble.KEM_MLKEM768_X25519, enc: 1120 },
  0x0010: { kem: HPKE.KEM_DHKEM_P256_HKDF_SHA256, enc: 65 },
}

const cipherSuite = (id) => new HPKE.CipherSuite(suites[id].kem, HPKE.KDF_HKDF_SHA256, HPKE.AEAD_EXPORT_ONLY)

export function canon(domain, ...fields) {
  return Buffer.concat([domain, ...fields].flatMap((f) => {
    const b = Buffer.from(f)
    const n = Buffer.alloc(2)
    n.writeUInt16BE(b.length)
    return [n, b]
  }))
}

export async function keyPair(suite, seed) {
  const s = cipherSuite(suite)
  const pair = await s.DeriveKeyPair(seed, true)
  return { pair, public: Buffer.from(await s.SerializePublicKey(pair.publicKey)) }
}

const label = Buffer.from('photovault/envelope/v1 container')
const info = (practice, capture) => canon('photovault/envelope/v1', practice, capture)

export async function seal({ suite, publicKey, keyID, practice, capture }, plain) {
  const s = cipherSuite(suite)
  const key = await s.DeserializePublicKey(publicKey)
  const { encapsulatedSecret, ctx } = await s.SetupSender(key, { info: info(practice, capture) })
  const prefix = Buffer.alloc(8)
  prefix.write('PVEN')
  prefix.writeUInt16BE(1, 4)
  prefix.writeUInt16BE(suite, 6)
  const header = Buffer.concat([prefix, Buffer.from(keyID), Buffer.from(capture), encapsulatedSecret])
  return Buffer.concat([header, sealContainer(Buffer.from(await ctx.Export(label, 32)), header, plain)])
}

export async function open({ seed, practice, capture }, envelope) {
  if (envelope.toString('latin1', 0, 4) !== 'PVEN' || envelope.readUInt16BE(4) !== 1) throw new Error('not an envelope')
  const suite = envelope.readUInt16BE(6)
  const header = envelope.subarray(0, 80 + suites[suite].enc)
  if (header.toString('latin1', 44, 80) !== capture) throw new Error('another capture')
  const { pair } = await keyPair(suite, seed)
  const ctx = await cipherSuite(suite).SetupRecipient(pair, header.subarray(80), { info: info(practice, capture) })
  return openContainer(Buffer.from(await ctx.Export(label, 32)), header, envelope.subarray(header.length))
}

// verifyList checks the signature over the strings of the list as served.
export function verifyList(list, pinned) {
  const fields = list.keys.flatMap((k) => [k.id, String(k.suite), k.public_key, k.seal_until])
  const signed = canon('photovault/upload-keys/v1', list.practice, list.issued_at, ...fields)
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: pinned.toString('base64url') }, format: 'jwk' })
  return verify(null, signed, key, Buffer.from(list.signature, 'base64'))
}

const chunkSize = 16384

function derive(key, salt, context) {
  const text = Buffer.concat([Buffer.from('c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0'), salt, context])
  let okm = Buffer.alloc(0)
  for (let i = 1, t = okm; okm.length < 76; i++) {
    t = createHmac('sha512', key).update(t).update(text).update(Buffer.of(i)).digest()
    okm = Buffer.concat([okm, t])
  }
  return { key: okm.subarray(0, 32), base: okm.subarray(32, 44), commitment: okm.subarray(44, 76) }
}

function nonce(base, n) {
  const b = Buffer.from(base)
  b.writeBigUInt64BE(b.readBigUInt64BE(4) ^ BigInt(n), 4)
  return b
}

function sealContainer(key, context, plain) {
  const salt = randomBytes(24)
  const d = derive(key, salt, context)
  const parts = [salt, d.commitment]
  for (let n = 0; n <= Math.floor(plain.length / chunkSize); n++) {
    const c = createCipheriv('aes-256-gcm', d.key, nonce(d.base, n))
    parts.push(c.update(plain.subarray(n * chunkSize, (n + 1) * chunkSize)), c.final(), c.getAuthTag())
  }
  return Buffer.concat(parts)
}

function openContainer(key, context, sealed) {
  const d = derive(key, sealed.subarray(0, 24), context)
  if (!timingSafeEqual(d.commitment, sealed.subarray(24, 56))) throw new Error('wrong key or context')
  const parts = []
  for (let at = 56, n = 0; ; n++) {
    const chunk = sealed.subarray(at, at + chunkSize + 16)
    if (chunk.length < 16) throw new Error('truncated')
    const c = createDecipheriv('aes-256-gcm', d.key, nonce(d.base, n))
    c.setAuthTag(chunk.subarray(-16))
    parts.push(c.update(chunk.subarray(0, -16)), c.final())
    at += chunk.length
    if (chunk.length < chunkSize + 16) return Buffer.concat(parts)
  }
}
