// What can be reached from outside, and what is left in buffers: {"enrolment"}
// gives {"exports", "deep": code, "keys": number, "left": number, "plain": boolean, "extractable": number}.
import * as sealer from 'photovault-sealer'
import { answer, codeOf, pattern, question } from './common.mjs'

const { enrolment } = await question()
// Platforms that lack what is needed.
const { subtle, getRandomValues } = crypto
async function without(platform) {
  const own = Object.getOwnPropertyDescriptor(globalThis, 'crypto')
  Object.defineProperty(globalThis, 'crypto', { value: platform, configurable: true })
  try {
    return await codeOf(() => sealer.seal(new Blob(['x']), enrolment))
  } finally {
    Object.defineProperty(globalThis, 'crypto', own)
  }
}
const insecure = await without({ getRandomValues })
const old = await without({ subtle: { importKey: async () => { throw new DOMException('Unrecognized name.', 'NotSupportedError') } } })
const nothing = [await codeOf(() => sealer.seal()), await codeOf(() => sealer.verifyUploadKeys()), await codeOf(() => sealer.sealedSize())]

const raw = []
const inSealer = () => new Error().stack.includes('photovault-sealer/container.js')
let extractable = 0
const { importKey } = crypto.subtle
crypto.subtle.importKey = function (format, bytes, algorithm, ...rest) {
  if (bytes instanceof Uint8Array && inSealer()) {
    raw.push({ bytes, some: bytes.some((b) => b !== 0) })
    extractable += rest[0] ? 1 : 0
  }
  return importKey.call(this, format, bytes, algorithm, ...rest)
}
let read
const plain = pattern(100_000)
const blob = {
  size: plain.length, arrayBuffer() {},
  slice: (start, end) => ({ arrayBuffer: async () => (read = plain.slice(start, end).buffer) }),
}
const sealed = await sealer.seal(blob, enrolment)
await sealed.slice(0)
answer({
  exports: Object.keys(sealer).sort(),
  deep: await import('photovault-sealer/container.js').then(() => 'none', (error) => error.code),
  keys: raw.filter((k) => k.some).length,
  left: raw.filter((k) => k.bytes.some((b) => b !== 0)).length,
  plain: new Uint8Array(read).some((b) => b !== 0),
  extractable, insecure, old, nothing,
})
