// Runs in the browser. A person picks photos; this page seals them.
import { seal } from 'photovault-sealer'
import { addPhoto } from '/readme.mjs'
import { pattern } from '/pattern.mjs'

const input = document.querySelector('input')

/** Picks files as a person does by dropping them on the input. */
async function pick(files) {
  const dropped = new DataTransfer()
  for (const f of files) dropped.items.add(f)
  const changed = new Promise((resolve) => input.addEventListener('change', resolve, { once: true }))
  input.files = dropped.files
  input.dispatchEvent(new Event('change'))
  await changed
  return [...input.files]
}

async function sealAndPost(file, enrolment, suite) {
  const sealed = await seal(file, { ...enrolment, suite })
  const body = await sealed.blob()
  const answer = await fetch(`/sealed?capture=${sealed.capture}&size=${file.size}&suite=${suite}&promised=${sealed.size}`, { method: 'POST', body })
  if (!answer.ok) throw new Error(await answer.text())
  const streamed = new Uint8Array(await new Response(sealed.stream()).arrayBuffer())
  const first = new Uint8Array(await body.arrayBuffer())
  if (streamed.length !== first.length || streamed.some((b, i) => b !== first[i])) throw new Error('the stream has other bytes')
  const [start, end] = [Math.floor(sealed.size / 3), Math.floor(sealed.size / 2)]
  const slice = await sealed.slice(start, end)
  if (slice.some((b, i) => b !== first[start + i])) throw new Error('the slice has other bytes')
  sealed.destroy()
}

window.sealAll = async ({ enrolment, suites, sizes }) => {
  const files = await pick(sizes.map((n) => new File([pattern(n)], `${n}.jpg`, { type: 'image/jpeg' })))
  for (const file of files) for (const suite of suites) await sealAndPost(file, enrolment, suite)
  return files.length * suites.length
}

window.refusal = async ({ enrolment }) => {
  const [file] = await pick([new File(['x'], 'x.jpg')])
  return seal(file, enrolment).then(() => 'none', (error) => error.code)
}

window.add = async (job) => {
  const [file] = await pick([new File([await (await fetch('/photo.jpg')).blob()], 'photo.jpg')])
  return addPhoto(file, { ...job, server: location.origin })
}
window.ready = true
