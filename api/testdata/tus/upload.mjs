// Uploads a file with the stock tus-js-client, and goes on where an earlier
// process left off. Everything it needs to know for that is in the storage
// file, as in an app that was closed in between.
//
//   node upload.mjs ENDPOINT FILE STORAGE      the upload grant is in PHOTOVAULT_GRANT
//
// Prints one line of JSON: {"done", "resumed", "offset", "url", "error"}.
// offset is how many bytes the server had acknowledged when it ended.
import { createReadStream, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const modules = process.env.PHOTOVAULT_NODE_MODULES
const { Upload, FileUrlStorage } = createRequire(join(modules, 'none.js'))('tus-js-client')

const [endpoint, file, storage] = process.argv.slice(2)
const answer = { done: false, resumed: false, offset: 0, url: '', error: '' }

const upload = new Upload(createReadStream(file), {
  endpoint,
  uploadSize: statSync(file).size,
  headers: { Authorization: `Bearer ${process.env.PHOTOVAULT_GRANT}` },
  urlStorage: new FileUrlStorage(storage),
  storeFingerprintForResuming: true,
  removeFingerprintOnSuccess: true,
  chunkSize: 1024 * 1024,
  retryDelays: null, // a broken connection ends this process; the next one resumes
  onChunkComplete: (_size, accepted) => { answer.offset = accepted },
  onSuccess: () => end({ done: true }),
  onError: (error) => end({ error: error.message }),
})

function end(result) {
  Object.assign(answer, result, { url: upload.url ?? '' })
  process.stdout.write(JSON.stringify(answer) + '\n', () => process.exit(answer.done ? 0 : 3))
}

const previous = await upload.findPreviousUploads()
if (previous.length > 0) {
  upload.resumeFromPreviousUpload(previous[0])
  answer.resumed = true
}
upload.start()
