// Sources that misbehave, and what is said of them: {"folder", "enrolment"} gives {behaviour: code}.
import { openAsBlob, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as sealer from 'photovault-sealer'
import { answer, codeOf, collect, pattern, question, streamOf } from './common.mjs'

const { folder, enrolment } = await question()
const seal = (source, options) => sealer.seal(source, { ...enrolment, suite: sealer.P256, ...options })
const size = 3_000_000
const plain = pattern(size)
const from = (source, options) => async () => { await collect(await seal(source, options)) }

/** A Blob that a test can change. */
const changing = (bytes) => ({
  bytes, size: bytes.length,
  arrayBuffer() { throw new Error('read whole') },
  slice(start, end) { return { arrayBuffer: async () => this.bytes.slice(start, end).buffer } },
})

async function onDisk(change) {
  const file = join(folder, `${Math.random()}.jpg`)
  writeFileSync(file, plain)
  const sealed = await seal(await openAsBlob(file))
  await sealed.slice(0, 100_000)
  change(file)
  return () => sealed.slice(0)
}

const out = {}
const expect = async (behaviour, f) => { out[behaviour] = await codeOf(f) }

await expect('a Blob', from(new Blob([plain])))
await expect('a File', from(new File([plain], 'face.jpg')))
await expect('a stream', from(streamOf(plain, 1000), { size }))
await expect('a stream with empty parts', from(new Blob([new Uint8Array(0), plain]).stream(), { size }))
await expect('an empty stream', from(streamOf(new Uint8Array(0), 1), { size: 0 }))

await expect('a stream that ends early', from(streamOf(plain, 1000), { size: size + 1 }))
await expect('an empty stream that should not be', from(streamOf(new Uint8Array(0), 1), { size: 1 }))
await expect('a stream that goes on', from(streamOf(plain, 1000), { size: size - 1 }))
await expect('a stream that goes on after nothing', from(streamOf(plain, 1000), { size: 0 }))
await expect('a stream that breaks off', from(new ReadableStream({ pull(c) { c.error(new Error('gone')) } }), { size }))
await expect('a stream of text', from(new ReadableStream({ pull(c) { c.enqueue('text') } }), { size }))
await expect('a stream without its size', from(streamOf(plain, 1000)))
await expect('a stream of half a byte', from(streamOf(plain, 1000), { size: 0.5 }))
await expect('a stream of more than a container holds', from(streamOf(plain, 1000), { size: 2 ** 52 }))
await expect('a Blob of another size', from(new Blob([plain]), { size: 5 }))
await expect('a string', from('photo'))
await expect('nothing', from(undefined))
await expect('a locked stream', async () => {
  const stream = streamOf(plain, 1000)
  stream.getReader()
  await seal(stream, { size })
})
await expect('a stream sealed twice', async () => {
  const sealed = await seal(streamOf(plain, 1000), { size })
  await collect(sealed)
  await collect(sealed)
})
await expect('a stream sealed from the middle', async () => { await collect((await seal(streamOf(plain, 1000), { size })).parts(5)) })
await expect('a slice of a stream', async () => { await (await seal(streamOf(plain, 1000), { size })).slice(0, 10) })

await expect('a file that changes its size', async () => {
  const blob = changing(plain.slice())
  const sealed = await seal(blob)
  await sealed.slice(0, 100_000)
  blob.size++
  await sealed.slice(100_000)
})
await expect('a file that is cut', async () => {
  const blob = changing(plain.slice())
  const sealed = await seal(blob)
  blob.bytes = plain.slice(0, size - 1)
  await sealed.slice(0)
})
await expect('a file that gives more than was asked', async () => {
  const sealed = await seal({ size, arrayBuffer() {}, slice: () => ({ arrayBuffer: async () => new ArrayBuffer(size) }) })
  await sealed.slice(0)
})
await expect('a file of other bytes when it is read again', async () => {
  const blob = changing(plain.slice())
  const sealed = await seal(blob)
  await sealed.slice(0)
  blob.bytes[2_000_000] ^= 1
  await sealed.slice(1_999_999)
})
await expect('a file of other bytes, once refused', async () => {
  const blob = changing(plain.slice())
  const sealed = await seal(blob)
  await sealed.slice(0)
  blob.bytes[5] ^= 1
  await codeOf(() => sealed.slice(0))
  blob.bytes[5] ^= 1
  await sealed.slice(2_000_000)
})
await expect('a file of other bytes, read twice at once', async () => {
  const blob = changing(plain.slice())
  const sealed = await seal(blob)
  const first = sealed.slice(0)
  blob.bytes[2_900_000] ^= 1 // the last block is not read yet
  blob.bytes[5] ^= 1 // the first is
  await Promise.all([first, sealed.slice(0, 100_000)])
})
{
  const blob = changing(plain.slice())
  const sealed = await seal(blob)
  await sealed.slice(0)
  blob.bytes[5] ^= 1
  blob.bytes[50_000] ^= 1
  const both = await Promise.allSettled([sealed.slice(0, 2000), sealed.slice(50_000, 51_000), sealed.slice(0, 100)])
  out['a file of other bytes, refused twice at once'] = both.map((r) => r.reason?.code ?? 'none').join(' ')
}
await expect('a file on disk that grows', await onDisk((file) => writeFileSync(file, pattern(size + 1))))
await expect('a file on disk that is cut', await onDisk((file) => truncateSync(file, size - 1)))
await expect('a read that fails once', async () => {
  const blob = changing(plain.slice())
  const { slice } = blob
  blob.slice = () => ({ arrayBuffer: async () => { throw new DOMException('busy', 'NotReadableError') } })
  const sealed = await seal(blob)
  const first = await codeOf(() => sealed.slice(0))
  if (first !== 'source_unreadable') throw new Error(first)
  blob.slice = slice
  await sealed.slice(0) // may be tried again
})

const sealed = await seal(new Blob([plain]))
for (const [name, range] of Object.entries({
  'before the beginning': [-1, 5], 'after the end': [0, sealed.size + 1], 'of nothing, after the end': [sealed.size + 1, sealed.size + 1],
  'backwards': [5, 4], 'of half a byte': [0.5, 1], 'of text': ['0', 1], 'of no number': [NaN, 5],
})) await expect(`a slice ${name}`, () => sealed.slice(...range))
await expect('parts from after the end', () => collect(sealed.parts(sealed.size + 1)))
await expect('a size that is negative', () => sealer.sealedSize(-1))
await expect('a size of too much', () => sealer.sealedSize(2 ** 52))
await expect('a size of the most there may be', () => sealer.sealedSize(2 ** 52 - 1))
await expect('a size in an unknown suite', () => sealer.sealedSize(1, 7))

const parts = sealed.parts()
await parts.next()
sealed.destroy()
sealed.destroy()
await expect('a slice after destroy', () => sealed.slice(0, 1))
await expect('more parts after destroy', () => parts.next())

let cancelled = false
const given = await seal(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(10)) }, cancel() { cancelled = true } }), { size })
given.destroy()
out['destroy cancels the stream'] = String(cancelled)

cancelled = false
const begun = await seal(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(10)) }, cancel() { cancelled = true } }), { size })
const reader = begun.stream().getReader()
await reader.read() // the header
await reader.cancel()
out['cancel cancels the stream'] = String(cancelled)
await expect('a stream after cancel', () => collect(begun))

const untouched = streamOf(plain, 1000)
await codeOf(() => seal(untouched, { size, suite: 7 }))
await codeOf(() => seal(untouched, { size: 2 ** 52 }))
out['a refusal leaves the stream unread'] = String(!untouched.locked)
answer(out)
