// Fetches the list from each address: {"urls", "pinned", "practice", "token"} gives [{"code", "keys"}].
import { fetchUploadKeys } from 'photovault-sealer'
import { answer, codeOf, question } from './common.mjs'

const { urls, ...enrolment } = await question()
const out = []
for (const url of urls) {
  let keys = 0
  const code = await codeOf(async () => { keys = (await fetchUploadKeys(url, enrolment)).keys.length })
  out.push({ code, keys })
}
answer(out)
