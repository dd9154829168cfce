// Prints vectors: envelopes sealed here, with the seeds that open them.
//
//   npm ci && node generate.mjs > vectors.json
//
// The ids and seeds are fixed; encapsulation and salts are random, so that
// every run gives other envelopes. Plaintext byte i is (i*7 + i>>8) mod 256.
import { createHash } from 'node:crypto'
import { keyPair, seal, suites } from './envelope.mjs'

export const plaintext = (n) => Buffer.from(Array.from({ length: n }, (_, i) => (i * 7 + (i >> 8)) & 255))

const practice = '3b7c4de2-0a51-4c1f-9d2e-6f1b8a7c5e40'
const vectors = []
for (const suite of Object.keys(suites).map(Number)) {
  const seed = createHash('sha256').update(`photovault envelope vector ${suite}`).digest()
  const keyID = suite === 0x0010 ? 'c0ffee00-1111-4222-8333-444455556666' : 'decade00-7777-4888-9999-aaaabbbbcccc'
  const { public: publicKey } = await keyPair(suite, seed)
  for (const size of [0, 1, 16383, 16384, 20000]) {
    const capture = `5eed0000-0000-4000-8000-${size.toString().padStart(12, '0')}`
    const envelope = await seal({ suite, publicKey, keyID, practice, capture }, plaintext(size))
    vectors.push({
      suite, seed: seed.toString('hex'), public_key: publicKey.toString('base64'), key_id: keyID, practice, capture, size,
      envelope: envelope.toString('base64'),
    })
  }
}
console.log(JSON.stringify(vectors, null, 1))
