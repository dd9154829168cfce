// What the scripts here share. Each reads a question in JSON from standard
// input and prints an answer in JSON.
import { createHash } from 'node:crypto'

export { pattern } from './pattern.mjs'

export async function question() {
  let input = ''
  for await (const part of process.stdin) input += part
  return JSON.parse(input)
}

export const answer = (value) => console.log(JSON.stringify(value))

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

export function streamOf(bytes, step) {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.slice(at, at += step))
    },
  })
}

export async function collect(parts) {
  const all = []
  for await (const part of parts) all.push(part)
  return Buffer.concat(all)
}

/** The code of what f throws; "none" when it does not, and the name of what is no refusal. */
export async function codeOf(f) {
  try {
    await f()
    return 'none'
  } catch (error) {
    return error.name === 'SealerError' ? error.code : `${error.name}: ${error.stack}`
  }
}
