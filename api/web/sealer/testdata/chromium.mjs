// Opens the page and calls its functions: {"executable", "url", "calls": [{"name", "argument"}]} gives their answers.
import { chromium } from 'playwright-core'
import { answer, question } from './common.mjs'

const { executable, url, calls } = await question()
const browser = await chromium.launch({
  executablePath: executable, headless: true, timeout: 180_000,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
})
try {
  const page = await browser.newPage()
  page.setDefaultTimeout(180_000)
  page.on('pageerror', (error) => console.error(error))
  page.on('console', (message) => console.error(message.text()))
  await page.goto(url)
  await page.waitForFunction('window.ready')
  const out = []
  for (const { name, argument } of calls) out.push(await page.evaluate(([f, x]) => window[f](x), [name, argument]))
  answer({ version: browser.version(), answers: out })
} finally {
  await browser.close()
}
