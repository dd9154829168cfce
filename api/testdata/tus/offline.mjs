// Seals files with the sealer of api/web/sealer, as a tablet that is offline: it
// has nothing but the list of upload keys that it fetched before. Runs in a folder
// where photovault-sealer is installed.
//   {"uploadKeys", "pinned", "practice", "photos": [{"file", "sealed", "suite", "capture"}]}
import { openAsBlob } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { seal } from 'photovault-sealer'

let input = ''
for await (const part of process.stdin) input += part
const { photos, ...enrolment } = JSON.parse(input)
for (const { file, sealed, suite, capture } of photos) {
  const made = await seal(await openAsBlob(file), { ...enrolment, suite, capture })
  await writeFile(sealed, made.stream())
  made.destroy()
}
