// Opens envelopes and verifies lists made elsewhere. Reads
//   {"envelopes": [{"seed": hex, "practice", "capture", "envelope": base64}],
//    "lists": [{"pinned": base64, "list": {…}}]}
// and prints {"envelopes": [SHA-256 of the plaintext in hex, or null], "lists": [true or false]}.
import { createHash } from 'node:crypto'
import { open, verifyList } from './envelope.mjs'

let input = ''
for await (const part of process.stdin) input += part
const { envelopes = [], lists = [] } = JSON.parse(input)
const answer = { envelopes: [], lists: [] }
for (const e of envelopes) {
  const plain = await open({ ...e, seed: Buffer.from(e.seed, 'hex') }, Buffer.from(e.envelope, 'base64')).catch(() => null)
  answer.envelopes.push(plain && createHash('sha256').update(plain).digest('hex'))
}
for (const l of lists) answer.lists.push(verifyList(l.list, Buffer.from(l.pinned, 'base64')))
console.log(JSON.stringify(answer))
