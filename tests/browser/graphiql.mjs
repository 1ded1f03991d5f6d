// Opens GraphiQL twice: as Camille, who follows her inbox, and as Dr Faure, whom she then lets in.
// Prints one line of JSON: what each saw, and whatever the pages complained of or asked elsewhere.
import { chromium } from 'playwright-core'

const [url, executablePath] = process.argv.slice(2)
const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
const browser = await chromium.launch({ executablePath, args })
const complaints = []

/** A page of its own: nothing that one of them keeps is another's. */
async function open() {
  const page = await (await browser.newContext()).newPage()
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (line) => line.type() === 'error' && complaints.push(line.text()))
  page.on('request', (request) => request.url().startsWith('data:') || check(request.url()))
  await page.goto(url)
  await page.waitForSelector('.carnet-personas select')
  return page
}
const check = (asked) => new URL(asked).host === new URL(url).host || complaints.push(asked)
const result = '.result-window'
const has = (page, text) =>
  page.waitForFunction(
    ([where, wanted]) => document.querySelector(where)?.textContent.includes(wanted),
    [result, text],
  )

async function become(page, handle) {
  await page.selectOption('.carnet-personas select', handle)
  await page.getByText('Signed in as').waitFor()
}

/** Runs a tab once the editor has read it: until then GraphiQL knows no operation to offer. */
async function run(page, name, text) {
  await page.getByRole('tab', { name }).click()
  const editor = '.graphiql-query-editor .CodeMirror'
  await page.waitForFunction(
    ([where, wanted]) =>
      document.querySelector(where).CodeMirror.documentAST?.definitions[0].name?.value === wanted,
    [editor, name],
  )
  await page.click('button.graphiql-execute-button')
  await has(page, text)
}

try {
  const camille = await open()
  const offered = await camille.$$eval('.carnet-personas option', (found) => found.map((e) => e.value))
  await become(camille, 'camille')
  await run(camille, 'MyRecord', 'Bilan sanguin (corrigé)')
  await run(camille, 'WhatHappens', 'CaughtUp')
  const faure = await open()
  await become(faure, 'faure')
  await run(faure, 'AttestConsent', 'consent.attested')
  await has(camille, 'NotificationReceived')
  const stored = await camille.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))
  process.stdout.write(JSON.stringify({ offered, stored, complaints }) + '\n')
} finally {
  await browser.close()
}
