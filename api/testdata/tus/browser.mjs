// Opens a page in Chromium for each job, picks a file and lets a client upload it.
// Reads from standard input {"executable", "profile", "trust", "jobs": [{"url", "until": bytes, "job"}]}:
// when so many bytes are sent the page is closed, 0 lets it end by itself. Then the
// whole browser ends, and only what is in the profile is left.
// Prints [{"done", "resumed", "sent"}]. trust is the SHA-256, in base64, of the one
// public key that is accepted.
import { createRequire } from 'node:module'
import { join } from 'node:path'

const { chromium } = createRequire(join(process.env.PHOTOVAULT_NODE_MODULES, 'none.js'))('playwright-core')

let input = ''
for await (const part of process.stdin) input += part
const { executable, profile, trust, jobs } = JSON.parse(input)
const context = await chromium.launchPersistentContext(profile, {
  executablePath: executable, headless: true, timeout: 120_000,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', `--ignore-certificate-errors-spki-list=${trust}`],
})

async function visit({ url, until, job }) {
  const page = await context.newPage()
  page.setDefaultTimeout(120_000)
  page.on('pageerror', (error) => console.error(error))
  page.on('console', (message) => console.error(message.text()))
  await page.goto(url)
  await page.waitForFunction('window.ready')
  await page.setInputFiles('input', job.file)
  const sending = page.evaluate((x) => window.send(x), job)
  sending.catch(() => {}) // it breaks off with its page
  if (until === 0) return { done: true, resumed: await sending, sent: 0 }
  await Promise.race([page.waitForFunction((n) => window.sent >= n, until, { polling: 20 }), sending])
  const sent = await page.evaluate('window.sent')
  await page.close()
  return { done: false, resumed: false, sent }
}

const answers = []
try {
  for (const one of jobs) answers.push(await visit(one))
} finally {
  await context.close()
}
console.log(JSON.stringify(answers))
