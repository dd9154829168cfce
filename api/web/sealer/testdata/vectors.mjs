// Makes the published vectors of the service's packages with the sealer's own
// parts, which no user of the package can reach: fixed keys, salts and ephemeral keys.
//   {"canon": [{domain, fields}], "containers": [{key, context, salt, size}],
//    "envelopes": [{suite, seed, key_id, practice, capture, size, envelope}], "ephemeral": [{suite, key, id, practice, capture, seed}],
//    "far": {key, salt, chunks: [number]}}
import * as HPKE from 'hpke'
import * as noble from '@panva/hpke-noble'
import { encode } from './node_modules/photovault-sealer/canon.js'
import { ChunkSealer } from './node_modules/photovault-sealer/container.js'
import { encapsulate, headerSize } from './node_modules/photovault-sealer/envelope.js'
import { SealedFile } from './node_modules/photovault-sealer/sealed.js'
import { sourceOf } from './node_modules/photovault-sealer/source.js'
import { answer, collect, pattern, question } from './common.mjs'

const { canon, containers, envelopes, ephemeral, far } = await question()
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'))
const kems = { 0x647a: noble.KEM_MLKEM768_X25519, 0x0010: noble.KEM_DHKEM_P256_HKDF_SHA256 }
const suiteOf = (kem) => new HPKE.CipherSuite(kem, HPKE.KDF_HKDF_SHA256, HPKE.AEAD_EXPORT_ONLY)

async function rebuilt(plain, header, context, key, salt) {
  const chunks = await ChunkSealer.derive(key, salt, context)
  return collect(new SealedFile(sourceOf(new Blob([plain])), header, chunks, {}))
}

/** The plaintext of the container's vectors (vault/seal/testdata/generate.mjs). */
const containerPlain = (size) => Uint8Array.from({ length: size }, (_, i) => i * 31 + (i >> 8) * 17 + 7)

/** The container key of a finished envelope, as its recipient finds it. */
async function inputKey(v, header) {
  const s = suiteOf(kems[v.suite])
  const pair = await s.DeriveKeyPair(bytes(v.seed), true)
  const ctx = await s.SetupRecipient(pair, header.slice(80), { info: encode('photovault/envelope/v1', v.practice, v.capture) })
  return ctx.Export(new TextEncoder().encode('photovault/envelope/v1 container'), 32)
}

/** A KEM whose ephemeral key pair is derived from a seed: DHKEM(P-256) only. */
const fixed = (seed) => () => {
  const kem = kems[0x0010]()
  return { ...kem, GenerateKeyPair: (extractable) => kem.DeriveKeyPair(seed, extractable) }
}

const out = { canon: [], containers: [], envelopes: [], ephemeral: [], far: [] }
for (const v of canon) out.canon.push(Buffer.from(encode(v.domain, ...v.fields)).toString('hex'))
for (const v of containers) {
  const made = await rebuilt(containerPlain(v.size), new Uint8Array(0), bytes(v.context), bytes(v.key), bytes(v.salt))
  out.containers.push(made.toString('base64'))
}
for (const v of envelopes) {
  const want = Uint8Array.from(Buffer.from(v.envelope, 'base64'))
  const header = want.slice(0, headerSize(v.suite))
  const salt = want.slice(header.length, header.length + 24)
  out.envelopes.push((await rebuilt(pattern(v.size), header, header, await inputKey(v, header), salt)).toString('base64'))
}
for (const v of ephemeral) {
  const to = { id: v.id, suite: v.suite, key: Uint8Array.from(Buffer.from(v.key, 'base64')) }
  const made = []
  for (let i = 0; i < 2; i++) {
    const { header, inputKey: key } = await encapsulate(to, v.practice, v.capture, fixed(bytes(v.seed)))
    made.push((await rebuilt(pattern(v.size), header, header, key, new Uint8Array(24).fill(5))).toString('base64'))
  }
  out.ephemeral.push(made)
}
for (const n of far.chunks) {
  const chunks = await ChunkSealer.derive(bytes(far.key), bytes(far.salt), new Uint8Array(0))
  out.far.push(Buffer.from(await chunks.seal(n, pattern(100))).toString('base64'))
}
answer(out)
