// Times sealing beside what it cannot go below: {"enrolment", "size", "rounds"}
// gives {"sealed", "floor": MB/s, "begin": ms until the first byte}, the best of the rounds.
import { seal } from 'photovault-sealer'
import { answer, pattern, question } from './common.mjs'

const { enrolment, size, rounds } = await question()
const blob = new Blob([pattern(size)])

async function sealed() {
  let n = 0
  for await (const part of await seal(blob, enrolment)) n += part.length
  if (n < size) throw new Error('too few bytes')
}

/** The same reads and the same WebCrypto calls, and nothing else. */
async function floor() {
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt'])
  for (let at = 0; at < size; at += 1 << 20) {
    const plain = new Uint8Array(await blob.slice(at, at + (1 << 20)).arrayBuffer())
    await Promise.all(Array.from({ length: Math.ceil(plain.length / 16384) }, (_, i) =>
      crypto.subtle.encrypt({ name: 'AES-GCM', iv: new Uint8Array(12) }, key, plain.subarray(i * 16384, (i + 1) * 16384))))
  }
}

async function best(f) {
  let ms = Infinity
  for (let i = 0; i < rounds; i++) {
    const began = performance.now()
    await f()
    ms = Math.min(ms, performance.now() - began)
  }
  return ms
}

await sealed() // warms the engine up
await floor()
answer({
  sealed: size / 1000 / (await best(sealed)),
  floor: size / 1000 / (await best(floor)),
  begin: await best(async () => { await (await seal(blob, enrolment)).slice(0, 1) }),
})
