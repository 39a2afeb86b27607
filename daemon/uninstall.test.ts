import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { claimSocket } from './api/socket.ts'
import { ensureAnchor } from './datapath/blocks.ts'
import { recordedSysctls } from './datapath/former-sysctls.ts'
import { Machine } from './kernel/memory/machine.ts'
import type { MemoryKernel } from './kernel/memory/kernel.ts'
import { tellManagers } from './datapath/unmanaged-nics.ts'
import { uninstall, type UninstallSettings } from './uninstall.ts'

const NAME = 'cw0123456789ab'

interface Node extends Disposable {
  readonly kernel: MemoryKernel
  readonly said: string[]
  readonly paths: UninstallSettings['paths']
  remove(force: boolean, signal?: AbortSignal): Promise<void>
}

/** A node that had one pod, with files where the daemon keeps them. */
function node(): Node {
  const root = mkdtempSync(join(tmpdir(), 'cw-uninstall-'))
  const at = (name: string): string => join(root, name)
  const places = { run: at('run'), state: at('state'), bpf: at('bpf'), cniConf: at('cni'), cniBin: at('bin') }
  const managers = { networkd: at('networkd'), networkManager: at('nm') }
  const paths = { ...places, ...managers, cgroup: at('cgroup'), sysctl: '/proc/sys' }
  for (const path of [paths.run, paths.state]) {
    mkdirSync(path)
    writeFileSync(join(path, 'file'), '')
  }
  const kernel = new Machine().process()
  kernel.net.run([{ op: 'link-add', link: { kind: 'veth', name: NAME, peer: { name: 'peer' } } }])
  ensureAnchor(kernel.net, { ingress: 71, egress: 72 })
  const settings = { paths, cni: { confName: '05-causeway.conflist' } } as UninstallSettings // all it reads
  const said: string[] = []
  const say = (line: string): void => void said.push(line)
  return {
    kernel,
    said,
    paths,
    remove: (force, signal = new AbortController().signal) => uninstall({ settings, kernel, force, say, signal }),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  }
}

test('pods keep their network unless their loss is asked for', async () => {
  using has = node()
  await assert.rejects(has.remove(false), { code: 'PODS_ATTACHED' })
  assert.ok(existsSync(join(has.paths.state, 'file')) && has.kernel.net.link(NAME))
  await has.remove(true)
  assert.deepEqual(
    has.kernel.net.links().map(l => l.name),
    ['lo'],
  )
  assert.ok(!existsSync(has.paths.run) && !existsSync(has.paths.state))
})

test('managers of the host’s network get network interfaces back, and rules go', async () => {
  using has = node()
  tellManagers(has.paths, ['02:00:00:00:00:11'])
  const theirs = { family: 4, priority: 9, table: 7, protocol: 3 } as const
  has.kernel.net.run([
    { op: 'rule-add', rule: { family: 4, priority: 601, from: '10.0.1.16/28', table: 51_713, protocol: 0xca } },
    { op: 'rule-add', rule: theirs },
  ])
  await has.remove(true)
  assert.deepEqual(readdirSync(has.paths.networkd), [])
  assert.deepEqual(
    has.kernel.net.rules().filter(rule => rule.protocol !== undefined && rule.protocol !== 2),
    [theirs],
  )
})

test('networks of others that were set aside come back', async () => {
  using has = node()
  mkdirSync(has.paths.cniConf)
  for (const name of ['05-causeway.conflist', '10-other.conf.set-aside-by-causeway'])
    writeFileSync(join(has.paths.cniConf, name), '')
  await has.remove(true)
  assert.deepEqual(readdirSync(has.paths.cniConf), ['10-other.conf'])
})

test('what fails is reported at the end, and the rest is removed all the same', async () => {
  using has = node()
  has.kernel.failAt(1, 'EPERM')
  await assert.rejects(has.remove(true), (error: AggregateError) => {
    assert.match(error.message, /^removing devices of 1 pods failed: .*EPERM/)
    assert.equal(error.errors.length, 1)
    return true
  })
  assert.ok(has.kernel.net.link(NAME))
  assert.equal(has.kernel.net.link('cw-anchor0'), undefined)
  assert.ok(!existsSync(has.paths.run) && !existsSync(has.paths.state))
  assert.ok(has.said.includes(`removed the state in ${has.paths.state}`))
})

test('nothing is removed while a daemon runs', async () => {
  using has = node()
  using _daemon = claimSocket(has.paths.run)
  await assert.rejects(has.remove(true), { code: 'API_IN_USE' })
  assert.ok(has.kernel.net.link(NAME))
})

test('sysctls that the daemon changed get their former values', async () => {
  using has = node()
  const name = 'net.ipv4.ip_forward'
  const former = has.kernel.sysctl(name)
  recordedSysctls(has.kernel, has.paths.state).setSysctl(name, '1')
  await has.remove(true)
  assert.deepEqual([former, has.kernel.sysctl(name)], ['0', '0'])
})

test('one that is interrupted has done nothing after that, and the next one does the rest', async () => {
  using has = node()
  const reason = new Error('stopped by SIGINT')
  await assert.rejects(has.remove(true, AbortSignal.abort(reason)), reason)
  assert.ok(has.kernel.net.link(NAME) && existsSync(join(has.paths.state, 'file')))
  await has.remove(true)
  assert.ok(!has.kernel.net.link(NAME) && !existsSync(has.paths.run))
})
