// Seals the pattern in each size, in each way, and prints where the bytes are.
//   {"folder", "enrolment": {uploadKeys, pinned, practice}, "cases": [{"suite", "size", "slices": [[start, end]]}]}
// prints [{"file", "capture", "size", "predicted", "ways": {name: sha256}, "slices": [sha256]}].
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { seal, sealedSize } from 'photovault-sealer'
import { answer, collect, pattern, question, sha256, streamOf } from './common.mjs'

const { folder, enrolment, cases } = await question()
const out = []
for (const [i, c] of cases.entries()) {
  const plain = pattern(c.size)
  const sealed = await seal(new Blob([plain]), { ...enrolment, suite: c.suite })
  const whole = await collect(sealed)
  const tus = await sealed.fileReader.openFile()
  const ways = {
    slice: sha256(await sealed.slice(0)),
    'slices of 5000': sha256(await collect(await Promise.all(Array.from({ length: Math.ceil(sealed.size / 5000) },
      (_, n) => sealed.slice(n * 5000, Math.min(sealed.size, (n + 1) * 5000)))))),
    stream: sha256(await collect(sealed.stream())),
    blob: sha256(new Uint8Array(await (await sealed.blob()).arrayBuffer())),
    'tus source': sha256((await tus.slice(0, Infinity)).value),
    'stream from 100 on': sha256(Buffer.concat([whole.subarray(0, 100), await collect(sealed.stream(100))])),
  }
  const slices = []
  for (const [start, end] of c.slices) slices.push(sha256(await sealed.slice(start, end)))
  const file = join(folder, `${i}.sealed`)
  writeFileSync(file, whole)

  // A stream is another envelope: its own key and salt.
  const streamed = await seal(streamOf(plain, 7001), { ...enrolment, suite: c.suite, size: c.size, capture: sealed.capture })
  writeFileSync(`${file}.streamed`, await collect(streamed))
  out.push({ file, capture: sealed.capture, uploadKey: sealed.uploadKey, size: sealed.size, predicted: sealedSize(c.size, c.suite), ways, slices })
}
answer(out)
