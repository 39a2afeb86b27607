/** The daemon carries a network with the capabilities that the chart gives it and no others. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { BUNDLE } from '../lab/built.ts'
import { renderManifests } from './render.ts'
import { containersOf, findManifest } from './workloads.ts'

const ROOT = join(import.meta.dirname, '../..')
const run = promisify(execFile)

/** Capabilities of the DaemonSet's container, as setpriv(1) names them. */
function capabilities(): string[] {
  const daemon = containersOf(findManifest(renderManifests(), 'DaemonSet', 'causeway')).get('daemon')
  return (daemon?.securityContext.capabilities.add ?? []).map(name => name.toLowerCase())
}

/** A program in the daemon's place that gives up every capability but these, for itself and all it starts. */
function limited(names: readonly string[]): string {
  const drop = [`--bounding-set=-all,${names.map(name => `+${name}`).join(',')}`, '--inh-caps=-all', '--no-new-privs']
  const args = JSON.stringify(['setpriv', ...drop, process.execPath, BUNDLE])
  return `process.execve('/usr/bin/setpriv', [...${args}, ...process.argv.slice(2)], process.env)\n`
}

/** Builds a lab of daemons with these capabilities, checks that everybody reaches everybody, takes it down. */
async function checkLab(names: readonly string[]): Promise<void> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-capabilities-'))
  const daemon = join(folder.path, 'daemon.cjs')
  writeFileSync(daemon, limited(names))
  const lab = (...args: readonly string[]) =>
    run(process.execPath, ['deploy/lab/main.ts', ...args, '--name', 'caps'], { cwd: ROOT })
  await using undo = new AsyncDisposableStack()
  undo.defer(async () => void (await lab('down')))
  await lab('up', '--daemon', daemon)
  await lab('check')
}

test('pods of two nodes reach each other with the capabilities of the chart', async () => {
  const names = capabilities()
  assert.deepEqual(names, ['net_admin', 'sys_admin'])
  await checkLab(names)
})

for (const name of capabilities())
  test(`without ${name} the daemon says what is missing`, async () => {
    const others = capabilities().filter(other => other !== name)
    await assert.rejects(checkLab(others), { stderr: new RegExp(`CAP_${name.toUpperCase()} is missing`) })
  })
