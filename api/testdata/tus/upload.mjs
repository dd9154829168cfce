// Uploads a file with the stock tus-js-client, and goes on where an earlier
// process left off. Everything it needs to know for that is in the storage
// file, as in an app that was closed or killed in between.
//
// Reads a job in JSON from standard input: {"endpoint", "grant", "file", "storage",
// "chunkSize": bytes or null for the whole file in one PATCH, "parallelUploads", "retryDelays"}.
// Prints a line of JSON when bytes were sent, {"sent"}, and one at the end:
// {"done", "resumed", "urls", "error"}; urls are those that the storage had.
import { createReadStream } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const { Upload, FileUrlStorage } = createRequire(join(process.env.PHOTOVAULT_NODE_MODULES, 'none.js'))('tus-js-client')

let input = ''
for await (const part of process.stdin) input += part
const { endpoint, grant, file, storage, chunkSize, parallelUploads, retryDelays } = JSON.parse(input)
const answer = { done: false, resumed: false, urls: [], error: '' }

const upload = new Upload(createReadStream(file), {
  endpoint,
  headers: { Authorization: `Bearer ${grant}` },
  metadata: { filename: file },
  urlStorage: new FileUrlStorage(storage),
  storeFingerprintForResuming: true,
  removeFingerprintOnSuccess: true,
  chunkSize: chunkSize ?? Infinity,
  parallelUploads,
  retryDelays,
  onProgress: (sent) => process.stdout.write(JSON.stringify({ sent }) + '\n'),
  onSuccess: () => end({ done: true }),
  onError: (error) => end({ error: error.message }),
})

function end(result) {
  process.stdout.write(JSON.stringify({ ...answer, ...result }) + '\n', () => process.exit(0))
}

const [previous] = await upload.findPreviousUploads()
if (previous) {
  upload.resumeFromPreviousUpload(previous)
  Object.assign(answer, { resumed: true, urls: previous.parallelUploadUrls ?? [previous.uploadUrl] })
}
upload.start()
