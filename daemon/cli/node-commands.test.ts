/** Commands that look at the node and change it without a daemon: what they print and how they end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../errors.ts'
import type { Plugin } from '../plugin.ts'
import type { Finding } from '../preflight/finding.ts'
import { runCli } from './cli.ts'
import { commands } from './commands.ts'
import { noPrograms } from '../../test/support/no-programs.ts'
import type { Programs } from './programs.ts'

const findings: Finding[] = []
const plugin: Plugin = {
  name: 'cluster-pool',
  configure(raw) {
    if ((raw as { pools?: unknown }).pools === undefined) throw new ConfigError('cluster-pool.pools', 'is missing')
    return () => ({})
  },
}
const state = 'older'
const programs: Programs = {
  ...noPrograms,
  plugins: () => Promise.resolve([plugin]),
  checkPlugins: async config => void plugin.configure(config.sections['cluster-pool']),
  preflight: ({ nodeName }) => Promise.resolve([...findings, { check: 'kernel', state: 'note', what: nodeName }]),
  installedDefinitions: ({ cluster }) =>
    Promise.resolve([
      { name: 'a.causeway.dev', uid: '', state: 'current', message: 'revision 1' },
      ...(cluster.directory === '/old'
        ? [{ name: 'b.causeway.dev', uid: '', state, message: 'apply it' } as const]
        : []),
    ]),
  install: directory => Promise.resolve(directory === '/new'),
}

async function run(args: readonly string[]) {
  let [out, err] = ['', '']
  const terminal = { args, env: {}, isTty: false, signal: new AbortController().signal, programs }
  const status = await runCli(
    { ...terminal, out: text => void (out += text), err: text => void (err += text) },
    commands,
  )
  return { status, out, err }
}

test('install says where it has put the executable, or that it was there', async () => {
  assert.deepEqual(await run(['install', '--cni-bin', '/new']), {
    status: 0,
    out: '/new/causeway was put in place\n',
    err: '',
  })
  assert.match((await run(['install', '--cni-bin', '/old'])).out, /^\/old\/causeway is in place already$/m)
  assert.deepEqual([(await run(['install'])).status], [2])
})

test('preflight shows what stands in the way with the way out, and its exit status says whether something does', async () => {
  const args = ['preflight', '--set', 'cluster-pool={pools: {}}', '--set', 'nodeName=a']
  assert.deepEqual(await run(args), {
    status: 0,
    out: `ok    configuration  the one without a file is good
note  kernel         a

nothing is in the way
`,
    err: '',
  })
  findings.push({ check: 'cgroup', state: 'problem', what: 'one line\nand another', wayOut: 'mend it' })
  const { status, out } = await run(args)
  findings.pop()
  assert.equal(status, 1)
  assert.equal(
    out,
    `ok       configuration  the one without a file is good
problem  cgroup         one line
                        and another
                        → mend it
note     kernel         a

1 problem
`,
  )
  const json = JSON.parse((await run([...args, '-o', 'json'])).out) as readonly Finding[]
  assert.deepEqual(
    json.map(f => f.state),
    ['ok', 'note'],
  )
})

test('a configuration that cannot be used is a finding of preflight', async () => {
  for (const args of [
    ['--set', 'mtu=1'],
    ['--set', 'cluster-pool.range=1'],
  ]) {
    const { status, out } = await run(['preflight', ...args])
    assert.equal(status, 1)
    assert.match(out, /^problem {2}configuration {2}(mtu: 1 is not allowed|cluster-pool\.pools: is missing)/)
  }
})

test('crds --check says what the cluster has, and its exit status whether that is enough', async () => {
  assert.deepEqual(await run(['crds', '--check']), {
    status: 0,
    out: 'current  a.causeway.dev  revision 1\n',
    err: '',
  })
  const { status, out } = await run(['crds', '--check', '--set', 'cluster.directory=/old'])
  assert.deepEqual([status, out.split('\n')[1]], [1, 'older    b.causeway.dev  apply it'])
  assert.match((await run(['crds'])).out, /causeway\.dev\/revision: "1"/)
})
