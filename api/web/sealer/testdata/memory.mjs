// Seals files on disk to files on disk and says what that took. Run with --expose-gc.
//   {"enrolment", "files": [{"from", "stream", "slices"}]}
// gives [{"size", "stream": {"live", "rss"}, "slices": {…}, "capture"}]: bytes at the worst moment, less what
// there was before; live is what is left after a collection.
import { closeSync, openAsBlob, openSync, writeSync } from 'node:fs'
import { seal } from 'photovault-sealer'
import { answer, question } from './common.mjs'

const { enrolment, files } = await question()

async function measure(parts, file) {
  for (let i = 0; i < 3; i++) gc()
  const live = () => { const m = process.memoryUsage(); return m.heapUsed + m.arrayBuffers }
  const before = { live: live(), rss: process.memoryUsage.rss() }
  const peak = { live: 0, rss: 0 }
  const to = openSync(file, 'w')
  for await (const part of parts) {
    writeSync(to, part)
    peak.rss = Math.max(peak.rss, process.memoryUsage.rss() - before.rss)
    gc()
    peak.live = Math.max(peak.live, live() - before.live)
  }
  closeSync(to)
  return peak
}

// As tus asks: a piece at a time, each of them twice, as when the first was lost.
async function* slices(sealed, piece) {
  for (let at = 0; at < sealed.size; at += piece) {
    await sealed.slice(at, Math.min(sealed.size, at + piece))
    yield await sealed.slice(at, Math.min(sealed.size, at + piece))
  }
}

const out = []
for (const file of files) {
  const sealed = await seal(await openAsBlob(file.from), enrolment)
  const stream = await measure(sealed.stream(), file.stream)
  out.push({ size: sealed.size, capture: sealed.capture, stream, slices: await measure(slices(sealed, 1 << 20), file.slices) })
}
answer(out)
