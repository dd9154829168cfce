// Runs the example of the README in Node: {"file", "server", …} gives {"photo", "progress"}.
import { openAsBlob } from 'node:fs'
import { addPhoto } from './readme.mjs'
import { answer, question } from './common.mjs'

const { file, ...job } = await question()
let progress = 0
const photo = await addPhoto(await openAsBlob(file), { ...job, onProgress: (sent, total) => { progress = sent / total } })
answer({ photo, progress })
