/** `causeway preflight` in a network and a mount namespace made for it. */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCommand } from '../../deploy/lab/command.ts'
import { compileObject } from '../../deploy/setup/compile-bpf.mjs'
import { loadConfig } from '../config/load.ts'
import { LinuxKernel } from '../kernel/linux.ts'
import { warmThreadPool } from '../kernel/netns/thread-pool.ts'
import type { Finding } from './finding.ts'
import { checkPrograms } from './programs.ts'

const ROOT = join(import.meta.dirname, '../..')
const COMMAND = [process.execPath, join(ROOT, 'daemon/cli/causeway.ts'), 'preflight', '-o', 'json']

interface Result {
  readonly status: number | undefined
  readonly findings: readonly Finding[]
  /** What the node looked like before and after. */
  readonly seen: readonly [string, string]
}

/** Runs it after some commands of a shell, with keys of the configuration. */
async function run(folder: string, prepare: string, set: readonly string[] = [], rights = ''): Promise<Result> {
  const paths = { run: 'run', state: 'state', cniConf: 'cni', bpf: 'bpf/causeway' }
  const places = Object.entries(paths).map(([name, path]) => `paths.${name}=${join(folder, path)}`)
  const all = ['nodeName=a', 'cluster-pool={}', 'masquerade={}', ...places, ...set].flatMap(s => ['--set', s])
  const script = `set -e
mount --make-rprivate / && mount -t bpf bpf "$FOLDER/bpf"
${prepare}
look() { ip -d link; ip route show table all; tc qdisc; grep -r . /proc/sys/net/ipv4/conf/*/rp_filter /proc/sys/net/ipv4/ip_forward; find "$FOLDER"; }
look >"$FOLDER/../before"
status=0
setpriv --bounding-set "\${RIGHTS:-+all}" -- "$@" || status=$?
look >"$FOLDER/../after"
cat "$FOLDER/../before" >&2; echo ===== >&2; cat "$FOLDER/../after" >&2
exit $status`
  const env = { ...process.env, FOLDER: folder, RIGHTS: rights, CAUSEWAY_CONFIG: '/dev/null' }
  const command = ['unshare', '--net', '--mount', 'sh', '-c', script, 'sh', ...COMMAND, ...all]
  const { status, stdout, stderr } = await runCommand(command, { env })
  assert.ok(stdout.startsWith('['), stderr)
  const [before = '', after = ''] = stderr.split('=====\n')
  return { status, findings: JSON.parse(stdout) as Finding[], seen: [before, after] }
}

function node() {
  const root = mkdtempSync(join(tmpdir(), 'cw-preflight-'))
  const folder = join(root, 'node')
  for (const name of ['cni', 'bpf']) mkdirSync(join(folder, name), { recursive: true })
  return { folder, [Symbol.dispose]: () => rmSync(root, { recursive: true }) }
}

const problems = ({ findings }: Result): string[] =>
  findings.filter(f => f.state === 'problem').map(({ check, what }) => `${check}: ${what}`)

test('on a good node nothing is in the way, and nothing has changed', async () => {
  using at = node()
  const result = await run(at.folder, '', ['services.socket=false'])
  assert.deepEqual(problems(result), [])
  assert.equal(result.status, 0)
  assert.deepEqual(
    result.findings.map(f => f.check),
    [
      'configuration',
      'capabilities',
      'kernel',
      'bpf file system',
      'cgroup',
      'directories',
      'network configurations',
      'devices',
      'plugins',
      'sysctls',
      'programs',
    ],
  )
  assert.match(result.findings.at(-1)?.what ?? '', /^this kernel takes all of them/)
  assert.equal(result.seen[1], result.seen[0])
})

const cases: Readonly<Record<string, { readonly prepare: string; readonly set?: string[]; readonly found: RegExp[] }>> =
  {
    'the UDP port of the overlay': {
      prepare: 'ip link add flannel.1 type vxlan id 1 dstport 8472 dev lo',
      found: [/^devices: flannel\.1 has UDP port 8472$/],
    },
    'a block and a name': {
      prepare: 'ip link add cw-vxlan type bridge; tc qdisc add dev lo ingress_block 51780 clsact',
      found: [/^devices: tc blocks 51780 and 51781 are used by lo/, /^devices: cw-vxlan is a bridge device$/],
    },
    'a network that runtimes prefer': {
      prepare: 'touch "$FOLDER/cni/00-other.conf"',
      set: ['cni.exclusive=false'],
      found: [
        /^network configurations: runtimes take 00-other\.conf in \S+, which comes before 05-causeway\.conflist$/,
      ],
    },
    'sysctls that are read-only': {
      prepare: 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys',
      found: [/^sysctls: cannot be set: EROFS: .*ip_forward/],
    },
    'a directory that is read-only': {
      prepare: 'mount -t tmpfs -o ro none "$FOLDER/cni"',
      found: [/^directories: EROFS: /],
    },
    'no cgroup of version 2': {
      prepare: '',
      set: ['services.socket=true', 'paths.cgroup=/proc'],
      found: [/^cgroup: \/proc is no cgroup of version 2$/],
    },
    'an uplink address that the node lacks': {
      prepare: '',
      set: ['masquerade={addresses: [192.0.2.9]}'],
      found: [/^plugins: masquerade\.addresses\.0: /],
    },
  }
for (const [name, { prepare, set = [], found }] of Object.entries(cases))
  test(`${name} in the way is found, with the way out`, async () => {
    using at = node()
    const result = await run(at.folder, prepare, ['services.socket=false', ...set])
    const lines = problems(result)
    assert.equal(lines.length, found.length, lines.join('\n'))
    found.forEach((wanted, i) => assert.match(lines[i] ?? '', wanted))
    assert.ok(result.findings.every(f => f.state !== 'problem' || (f.wayOut ?? '') !== ''))
    assert.equal(result.status, 1)
    assert.equal(result.seen[1], result.seen[0])
  })

test('a missing capability is named, and what can be seen without it is', async () => {
  using at = node()
  const result = await run(at.folder, '', ['services.socket=false'], '-all,+net_admin')
  assert.equal(problems(result).length, 1)
  assert.match(problems(result)[0] ?? '', /^capabilities: CAP_SYS_ADMIN is missing: it enters pods/)
  assert.ok(result.findings.some(f => f.check === 'directories'))
})

test('a program that the kernel refuses is named with its reason', async () => {
  using at = node()
  const objects = join(at.folder, 'objects')
  cpSync(join(ROOT, 'build/bpf'), objects, { recursive: true })
  const source = join(ROOT, 'daemon/datapath/testdata/refused.bpf.c')
  await compileObject({ root: ROOT, source, output: join(objects, 'xdp.o') })
  await warmThreadPool()
  using kernel = new LinuxKernel()
  const { config: settings } = loadConfig({ pluginNames: [], file: '/dev/null' })
  const [finding] = await checkPrograms({ kernel, settings, objects })
  assert.equal(finding?.state, 'problem')
  assert.match(finding.what, /verifying program reads_too_far of \S+xdp\.o[\s\S]*invalid access to packet/)
  writeFileSync(join(objects, 'xdp.o'), '')
  assert.match((await checkPrograms({ kernel, settings, objects }))[0]?.what ?? '', /xdp\.o/)
})
