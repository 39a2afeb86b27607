import assert from 'node:assert/strict'
import { rmSync, mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { namesIn, startTestApi, type TestApi } from '../../../test/support/api-server.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { Mirror } from './mirror.ts'

const NAMESPACES = '/api/v1/namespaces'

interface Mirrored extends AsyncDisposable {
  readonly api: TestApi
  /** What it has said. */
  readonly said: readonly string[]
  write(file: string, text: string): void
  remove(file: string): void
  /** Resolves once there is such a namespace, or is none. */
  has(name: string, has?: boolean): Promise<void>
}

async function mirrored(): Promise<Mirrored> {
  await using stack = new AsyncDisposableStack()
  const api = stack.use(await startTestApi())
  const folder = stack.use(mkdtempDisposableSync(join(tmpdir(), 'causeway-mirror-')))
  // A fault cuts a whole connection.
  const asks = api.client(api.server.adminToken)
  const said: string[] = []
  const stop = new AbortController()
  const running = new Mirror(api.admin, folder.path, text => said.push(text)).run(stop.signal)
  running.catch(() => undefined)
  stack.defer(async () => {
    stop.abort()
    await running
  })
  const owned = stack.move()
  return {
    api,
    said,
    write: (file, text) => writeFileSync(join(folder.path, file), text),
    remove: file => rmSync(join(folder.path, file)),
    has: (name, has = true) => eventually(async () => namesIn(await asks.get(NAMESPACES)).includes(name) === has),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

const namespace = (name: string): string => `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${name}\n`

test('what is written to the folder is at the API server, and goes with its file', async () => {
  await using at = await mirrored()
  at.write('a.yaml', `${namespace('one')}---\n${namespace('two')}---\n`)
  for (const name of ['one', 'two']) await at.has(name)
  at.write('a.yaml', namespace('two'))
  await at.has('one', false)
  at.remove('a.yaml')
  await at.has('two', false)
  assert.deepEqual(at.said, [])
})

for (const fault of [
  { kind: 'too-many-requests', verb: 'patch', count: 2 },
  { kind: 'error', code: 500, verb: 'patch', count: 2 },
  { kind: 'cut', verb: 'patch', count: 2 },
] as const)
  test(`an API server that cannot answer now is asked again, and that is said: ${fault.kind}`, async () => {
    await using at = await mirrored()
    at.api.server.addFault(fault)
    at.write('a.yaml', namespace('one'))
    await at.has('one')
    assert.match(at.said[0] ?? '', /^not brought: /)
  })

for (const [what, text, words] of [
  [
    'of an unknown kind',
    'apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n',
    /^not brought: the lab writes no Secret$/,
  ],
  ['that is refused', namespace('Not_A_Name'), /^not brought: the API server answers 422: .*Not_A_Name/],
] as const)
  test(`an object ${what} is said once, and mended by its file`, async () => {
    await using at = await mirrored()
    at.write('a.yaml', text)
    await eventually(() => at.said.length > 0)
    assert.match(at.said[0] ?? '', words)
    at.write('a.yaml', namespace('one'))
    await at.has('one')
    assert.equal(at.said.length, 1)
  })
