// Seals to each list and says with which code that was refused, "none" when
// it was not, and to which key.
//   [{"enrolment": {uploadKeys, pinned, practice}, "options": {}}] gives [{"code", "uploadKey"}]
import { seal } from 'photovault-sealer'
import { answer, codeOf, question } from './common.mjs'

const out = []
for (const { enrolment, options } of await question()) {
  const { now, ...rest } = options ?? {}
  let uploadKey = ''
  const code = await codeOf(async () => {
    const sealed = await seal(new Blob(['x']), { ...enrolment, ...rest, now: now && new Date(now) })
    await sealed.slice(0)
    uploadKey = sealed.uploadKey
  })
  out.push({ code, uploadKey })
}
answer(out)
