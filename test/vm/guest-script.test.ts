import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { guestScript } from './guest-script.ts'

const SCRIPT = guestScript({
  command: ['echo', "it's", 'a $HOME; `id`'],
  cwd: '/a folder',
  env: { NAME: 'a "b"\nc' },
  modules: '/kernels/1',
  shared: '/out',
  folder: '/out/6.12/suite',
})

test('it is a script that bash can read', () => {
  const { status, stderr } = spawnSync('bash', ['-n'], { input: SCRIPT, encoding: 'utf8' })
  assert.deepEqual([status, stderr], [0, ''])
})

test('what it is given reaches the command as it is', () => {
  const lines = SCRIPT.split('\n')
  const from = lines.findIndex(line => line.startsWith("'echo'"))
  const command = (lines[from] ?? '').replace(/ < .*$/, '')
  const exported = SCRIPT.slice(SCRIPT.indexOf('export NAME'), SCRIPT.indexOf('ln -sfn'))
  const { stdout } = spawnSync('bash', ['-c', `${exported}\n${command}; echo "$NAME"`], { encoding: 'utf8' })
  assert.equal(stdout, 'it\'s a $HOME; `id`\na "b"\nc\n')
})

test('the status is written before the power goes off', () => {
  const status = SCRIPT.indexOf("echo $? > '/out/6.12/suite/status'")
  assert.ok(status > 0 && status < SCRIPT.lastIndexOf('echo o > /proc/sysrq-trigger'))
})
