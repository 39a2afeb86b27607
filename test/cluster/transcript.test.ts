/** docs/kubernetes.md is what happens: install, upgrade, outage and uninstall with kubectl and helm as they are. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { removeLab } from '../../deploy/lab/own.ts'
import { noKubernetesTools } from '../support/kubernetes-tools.ts'
import { carryOut } from '../support/transcript.ts'

const ROOT = join(import.meta.dirname, '../..')
const DOCUMENT = join(ROOT, 'docs/kubernetes.md')
const NAME = 'transcript'
const LIMIT_MS = 400_000

after(() => removeLab(NAME, AbortSignal.timeout(30_000)))

/** `kubectl` and `helm` run beside the API server, what has a place at that. */
function line(command: string, place: string): string {
  const lab = `node ${join(ROOT, 'deploy/lab/main.ts')}`
  const own = command.replaceAll(/npm run --silent lab -- (\w+)/g, `${lab} $1 --name ${NAME}`)
  if (place !== '') return `${lab} exec --name ${NAME} ${place} -- ${own}`
  return own.replace(/^(kubectl|helm|sh) /, `${lab} exec --name ${NAME} control -- $1 `)
}

/** Ages, versions of kernels, times and what follows from them. */
function steady(text: string): string {
  const lines = text.split('\n').map(each =>
    each
      .replaceAll(/\b(\d+[smh])+$/g, '…')
      .replaceAll(/running for .*/g, 'running for  …')
      .replaceAll(/Linux \S+/g, 'Linux …')
      .replaceAll(/\brevision \d+/g, 'revision …')
      .replaceAll(/; pods start by.*/g, '…')
      .trimEnd(),
  )
  return lines.join('\n')
}

test('the document is what the lab does', { skip: noKubernetesTools }, async () => {
  const before = readFileSync(DOCUMENT, 'utf8')
  const now = await carryOut(before, { line, steady, signal: AbortSignal.timeout(LIMIT_MS) })
  if (process.env.UPDATE_GOLDENS === '1') writeFileSync(DOCUMENT, now)
  else assert.equal(now, before)
})
