import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { configMap, namesIn, refusalOf, take } from '../../../test/support/api-server.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { withParent } from '../command.ts'
import { ApiClient } from './client.ts'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

interface Running extends AsyncDisposable {
  readonly url: string
  readonly ca: string
  readonly admin: ApiClient
  /** Tells it to end, which disposing of it waits for. */
  end(): void
}

/** Starts the program; its end is waited for. */
async function run(folder: string, ...args: readonly string[]): Promise<Running> {
  await using undo = new AsyncDisposableStack()
  const command = [process.execPath, MAIN, '--listen', '127.0.0.1:0', '--state', folder, ...args]
  const [file = '', ...rest] = withParent(command)
  const child: ChildProcess = spawn(file, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  let told = false
  // A second signal would end it at once.
  const end = (): void => {
    if (!told) child.kill('SIGTERM')
    told = true
  }
  undo.defer(async () => {
    end()
    assert.equal((await ended)[0], 0)
  })
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text))
  await eventually(() => output.includes('\n'))
  const url = /^listening at (https:\/\/127\.0\.0\.1:\d+)\n$/.exec(output)?.[1] ?? ''
  const ca = await readFile(join(folder, 'ca.crt'), 'utf8')
  const token = /token: (\S+)/.exec(await readFile(join(folder, 'kubeconfig'), 'utf8'))?.[1] ?? ''
  const admin = undo.use(new ApiClient({ url, ca, token }))
  const kept = undo.move()
  return { url, ca, admin, end, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'causeway-api-server-test-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}

const MAPS = '/api/v1/namespaces/default/configmaps'

test('a service account finds what a pod has mounted', async () => {
  await using folder = await temporaryFolder()
  await using server = await run(folder.path, '--service-account', 'kube-system/causeway')
  const place = join(folder.path, 'serviceaccounts/kube-system/causeway')
  const read = (file: string) => readFile(join(place, file), 'utf8')
  assert.deepEqual([await read('namespace'), await read('ca.crt')], ['kube-system', server.ca])
  assert.equal((await stat(join(place, 'token'))).mode & 0o777, 0o600)
  await using client = new ApiClient({ url: server.url, ca: server.ca, token: await read('token') })
  assert.match(
    refusalOf(await client.get('/api/v1/nodes')),
    /User "system:serviceaccount:kube-system:causeway" cannot list/,
  )
})

test('a server that starts again has the same authority, tokens and objects, and no history', async () => {
  await using folder = await temporaryFolder()
  const pool = {
    metadata: { name: 'things.a.example' },
    spec: {
      group: 'a.example',
      scope: 'Cluster',
      names: { plural: 'things', kind: 'Thing' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
    },
  }
  let ca = ''
  {
    await using first = await run(folder.path)
    ca = first.ca
    await first.admin.create(MAPS, configMap('kept', { a: '1' }))
    await first.admin.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', pool)
    await first.admin.create('/apis/a.example/v1/things', { metadata: { name: 'thing' } })
  }
  await using second = await run(folder.path)
  assert.equal(second.ca, ca)
  assert.deepEqual(namesIn(await second.admin.get(MAPS)), ['kept'])
  assert.deepEqual(namesIn(await second.admin.get('/apis/a.example/v1/things')), ['thing'])
  const [event] = await take(second.admin.watch(`${MAPS}?watch=1&resourceVersion=5`), 1)
  assert.equal(event?.type, 'ERROR')
})

test('what was answered before the end is there after it', async () => {
  await using folder = await temporaryFolder()
  const answered: string[] = []
  {
    await using first = await run(folder.path)
    const write = async (): Promise<void> => {
      for (let i = 0; ; i++) {
        const { status } = await first.admin.create(MAPS, configMap(`map-${i}`))
        if (status === 201) answered.push(`map-${i}`)
      }
    }
    // Until the connection ends.
    const writing = write().catch(() => undefined)
    await eventually(() => answered.length > 100)
    first.end()
    await writing
  }
  await using second = await run(folder.path)
  const kept = new Set(namesIn(await second.admin.get(MAPS)))
  assert.deepEqual(
    answered.filter(name => !kept.has(name)),
    [],
  )
})

test('a folder must be named', async () => {
  const child = spawn(process.execPath, [MAIN], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  assert.notEqual((await once(child, 'exit'))[0], 0)
  assert.match(said, /--state takes the folder to keep certificates and tokens in/)
})
