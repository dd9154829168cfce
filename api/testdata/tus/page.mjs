// Runs in the browser: the stock clients in a page that shares its origin with
// the service. Each finds by itself, in localStorage, where an earlier page left off.
import { Upload } from 'tus-js-client'
import Uppy from '@uppy/core'
import Tus from '@uppy/tus'

const clients = {
  /** tus-js-client, as its documentation has it. */
  async tus(file, options) {
    const upload = new Upload(file, { ...options, metadata: { filename: file.name }, removeFingerprintOnSuccess: true })
    const [previous] = await upload.findPreviousUploads()
    if (previous) upload.resumeFromPreviousUpload(previous)
    const ended = new Promise((resolve, reject) => Object.assign(upload.options, { onSuccess: resolve, onError: reject }))
    upload.start()
    await ended
    return Boolean(previous)
  },

  async uppy(file, options) {
    let resumed = false
    const logger = { debug: (text) => { resumed ||= /Resuming upload/.test(text) }, warn: console.warn, error: console.error }
    const uppy = new Uppy({ logger }).use(Tus, { ...options, removeFingerprintOnSuccess: true })
    uppy.addFile({ name: file.name, type: file.type, data: file })
    const { successful, failed } = await uppy.upload()
    if (successful.length !== 1) throw new Error(failed[0]?.error ?? 'not one upload')
    return resumed
  },
}

/** Uploads the picked file; ends with whether it went on from an earlier page. */
window.send = ({ client, endpoint, grant, chunkSize, parallelUploads, retryDelays }) => {
  const [file] = document.querySelector('input').files
  return clients[client](file, {
    endpoint, parallelUploads, retryDelays,
    chunkSize: chunkSize ?? Infinity,
    headers: { Authorization: `Bearer ${grant}` },
  })
}
window.ready = true
