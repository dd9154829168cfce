// Opens a page in Chromium for each job, picks a file and lets a client upload it.
// Reads from standard input a line {"executable", "profile", "trust", "jobs": [{"url", "close", "job"}]}, and
// a line for each job that is to be closed: when that comes, and the client has stored where its upload is,
// the page is closed. Then the whole browser ends, and only what is in the profile is left.
// Prints a line {"done", "resumed"} for each job. Where the browser, or a client in it, does not come to an end with
// something for minutes, {"hung"} says with what; the browser is killed when standard input ends. trust is the SHA-256,
// in base64, of the one public key that is accepted.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const { chromium } = createRequire(join(process.env.PHOTOVAULT_NODE_MODULES, 'none.js'))('playwright-core')

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const { executable, profile, trust, jobs } = JSON.parse((await lines.next()).value)
let doing, context

async function visit({ url, close, job }) {
  doing = 'opening a page'
  const page = await context.newPage()
  page.setDefaultTimeout(0)
  page.on('pageerror', (error) => console.error(error))
  page.on('console', (message) => console.error(message.text()))
  await page.goto(url)
  await page.waitForFunction('window.ready')
  await page.setInputFiles('input', job.file)
  doing = `an upload by ${job.client}`
  const sending = page.evaluate((x) => window.send(x), job)
  sending.catch(() => {}) // it breaks off with its page
  if (!close) {
    const resumed = await sending
    doing = 'closing a page'
    await page.close()
    return { done: true, resumed }
  }
  let done = false
  const ended = sending.then(() => { done = true })
  await Promise.race([lines.next(), ended])
  doing = 'storing where the upload is'
  await Promise.race([page.waitForFunction(() => Object.values(localStorage).some((v) => v.includes('/v1/uploads/'))), ended])
  doing = 'closing a page'
  await page.close()
  return { done, resumed: false }
}

async function session() {
  doing = 'starting the browser'
  context = await chromium.launchPersistentContext(profile, {
    executablePath: executable, headless: true, timeout: 0,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', `--ignore-certificate-errors-spki-list=${trust}`],
  })
  try {
    for (const one of jobs) console.log(JSON.stringify(await visit(one)))
  } finally {
    doing = 'ending the browser'
    await context.close()
  }
  return false
}

// Ends with true when nothing else was begun for so long.
async function standstill(milliseconds) {
  for (let last, since = Date.now(); ; await new Promise((resolve) => setTimeout(resolve, 1000))) {
    if (doing !== last) [last, since] = [doing, Date.now()]
    if (Date.now() - since > milliseconds) return true
  }
}

if (await Promise.race([session(), standstill(150_000)])) {
  console.log(JSON.stringify({ hung: doing }))
  while (!(await lines.next()).done);
}
process.exit() // standard input may be open still; what is left of the browser is killed
