/** The small runtime against Debian's CNI plugins and against one that writes down what it is called with. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { LinuxKernel } from '../../daemon/kernel/linux.ts'
import { openNewNetns, type OpenNetns } from '../../daemon/kernel/netns/create.ts'
import { warmThreadPool } from '../../daemon/kernel/netns/thread-pool.ts'
import { type Attachment, CniError, CniRuntime, type CniRuntimeOptions } from './cni-runtime.ts'

interface Setting {
  readonly root: string
  readonly runtime: CniRuntime
}

function setting(t: TestContext, conflist: object, options: Partial<CniRuntimeOptions> = {}): Setting {
  const root = mkdtempSync(join(tmpdir(), 'causeway-cni-'))
  t.after(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'conf'))
  writeFileSync(join(root, 'conf/10-test.conflist'), JSON.stringify(conflist))
  const binDirs = [join(root, 'bin'), '/usr/lib/cni']
  return {
    root,
    runtime: new CniRuntime({ confDir: join(root, 'conf'), binDirs, cacheDir: join(root, 'cache'), ...options }),
  }
}

/** A plugin that appends its command and its input to `calls` and answers with an empty result. */
function addRecorder(root: string, name: string): void {
  mkdirSync(join(root, 'bin'), { recursive: true })
  const script = `#!/bin/sh
input=$(cat)
echo "${name} $CNI_COMMAND $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME $CNI_ARGS $input" >> ${root}/calls
[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"1.1.0","by":"${name}"}'
`
  writeFileSync(join(root, 'bin', name), script, { mode: 0o755 })
}
function calls(root: string): string[] {
  return readFileSync(join(root, 'calls'), 'utf8').trimEnd().split('\n')
}

const attachment: Attachment = {
  containerId: 'c1',
  netns: '/run/netns/none',
  ifName: 'eth0',
  args: { A: '1', B: '2' },
  capabilities: { mac: '02:00:00:00:00:01', ips: ['10.0.0.9'] },
}

test('ADD passes each result on, DEL goes back with the last one', async t => {
  const plugins = [{ type: 'first', capabilities: { mac: true } }, { type: 'second' }]
  const { root, runtime } = setting(t, { cniVersion: '1.0.0', name: 'net', plugins })
  addRecorder(root, 'first')
  addRecorder(root, 'second')
  assert.deepEqual(await runtime.add(attachment), { cniVersion: '1.1.0', by: 'second' })
  await runtime.check(attachment)
  await runtime.del(attachment)
  await runtime.del(attachment)
  const first = '"type":"first","capabilities":{"mac":true},"name":"net","cniVersion":"1.0.0"'
  const second = '"type":"second","name":"net","cniVersion":"1.0.0"'
  const config = '"runtimeConfig":{"mac":"02:00:00:00:00:01"}'
  const result = (by: string): string => `"prevResult":{"cniVersion":"1.1.0","by":"${by}"}`
  const of = 'c1 /run/netns/none eth0 A=1;B=2'
  assert.deepEqual(calls(root), [
    `first ADD ${of} {${first},${config}}`,
    `second ADD ${of} {${second},${result('first')}}`,
    `first CHECK ${of} {${first},${config},${result('second')}}`,
    `second CHECK ${of} {${second},${result('second')}}`,
    `second DEL ${of} {${second},${result('second')}}`,
    `first DEL ${of} {${first},${config},${result('second')}}`,
    `second DEL ${of} {${second}}`,
    `first DEL ${of} {${first},${config}}`,
  ])
})

test('GC names the valid attachments, STATUS asks every plugin', async t => {
  const { root, runtime } = setting(t, { cniVersion: '1.1.0', name: 'net', plugins: [{ type: 'first' }] })
  addRecorder(root, 'first')
  await runtime.gc([{ containerId: 'c1', ifName: 'eth0' }])
  await runtime.status()
  const valid = '"cni.dev/valid-attachments":[{"containerID":"c1","ifname":"eth0"}]'
  assert.deepEqual(calls(root), [
    `first GC     {"type":"first",${valid},"name":"net","cniVersion":"1.1.0"}`,
    'first STATUS     {"type":"first","name":"net","cniVersion":"1.1.0"}',
  ])
})

const versions: Readonly<Record<string, readonly [highest: string, cniVersions: readonly string[], chosen: string]>> = {
  'the highest of the list': ['1.1.0', ['0.4.0', '1.1.0'], '1.1.0'],
  'the highest that it speaks itself': ['1.0.0', ['0.3.1', '1.0.0', '1.1.0'], '1.0.0'],
  'the only one, without a list': ['1.1.0', [], '0.4.0'],
}
for (const [what, [highestVersion, cniVersions, chosen]] of Object.entries(versions))
  test(`the runtime chooses ${what}`, async t => {
    const list = { cniVersion: '0.4.0', cniVersions, name: 'net', plugins: [{ type: 'first' }] }
    const { root, runtime } = setting(t, list, { highestVersion })
    addRecorder(root, 'first')
    await runtime.del(attachment)
    assert.match(calls(root)[0] ?? '', new RegExp(`"cniVersion":"${chosen}"`))
  })

test('a plugin that is not there is named with the folders searched', async t => {
  const { runtime } = setting(t, { cniVersion: '1.0.0', name: 'net', plugins: [{ type: 'nobody' }] })
  await assert.rejects(runtime.add(attachment), /no CNI plugin nobody in .*\/bin, \/usr\/lib\/cni/)
})

function namespaceFor(t: TestContext): OpenNetns & { readonly processPath: string } {
  const netns = openNewNetns()
  t.after(() => netns[Symbol.dispose]())
  // As other processes see it.
  return { ...netns, processPath: `/proc/${process.pid}/fd/${netns.fd}` }
}

test("Debian's ptp and host-local attach a container from inside a node's namespace", async t => {
  await warmThreadPool()
  using kernel = new LinuxKernel()
  const node = namespaceFor(t)
  const pod = namespaceFor(t)
  const dataDir = mkdtempSync(join(tmpdir(), 'causeway-ipam-'))
  t.after(() => rmSync(dataDir, { recursive: true }))
  const ipam = { type: 'host-local', dataDir, ranges: [[{ subnet: '10.9.0.0/24' }]] }
  const list = {
    cniVersion: '1.0.0',
    name: 'net',
    plugins: [
      { type: 'ptp', ipam },
      { type: 'tuning', mtu: 1300 },
    ],
  }
  const { runtime } = setting(t, list, { nodeNetns: node.processPath })
  const real: Attachment = { containerId: 'c1', netns: pod.processPath, ifName: 'eth0' }

  const result = await runtime.add(real)
  assert.equal(result.ips?.[0]?.address, '10.9.0.2/24')
  using podNet = kernel.openNet(pod.processPath)
  assert.equal(podNet.link('eth0')?.mtu, 1300)
  using nodeNet = kernel.openNet(node.processPath)
  assert.equal(nodeNet.links().filter(l => l.kind === 'veth').length, 1)
  await runtime.check(real)

  await assert.rejects(runtime.add(real), (error: unknown) => {
    assert.ok(error instanceof CniError)
    assert.deepEqual([error.plugin, error.code], ['ptp', 999])
    return true
  })
  await runtime.del(real)
  assert.equal(podNet.link('eth0'), undefined)
  assert.equal(nodeNet.links().filter(l => l.kind === 'veth').length, 0)
  await assert.rejects(runtime.check(real), CniError)
})
