/**
 * `main.ts --listen HOST:PORT --state FOLDER [--name HOST]… [--advertise HOST] [--service-account NAMESPACE/NAME]… [--bookmark-ms N]
 * [--history N] [--valid-from TIME] [--valid-until TIME]`: the API server as a process of its own.
 *
 * `--name` adds names and addresses to its certificate, `--advertise` is the one that kubeconfigs name (by default that it
 * listens at), the times (RFC 3339) are those of its certificate. In FOLDER it keeps its certificate authority, what its tokens are derived from and, from one run to the next, the
 * objects (they are written when it is told to stop). It writes there `kubeconfig` and `admin-token` for the administrator and, for every
 * service account named, `serviceaccounts/NAMESPACE/NAME/` as a pod has it mounted: `token`, `ca.crt`, `namespace`, and
 * `kubeconfig` besides. It prints `listening at URL` once it can be spoken to, and ends with SIGTERM or SIGINT.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Validity } from './serve/tls.ts'
import { type ApiServer, startApiServer } from './server.ts'

interface Options {
  readonly host: string
  readonly port: number
  readonly folder: string
  readonly names: readonly string[]
  readonly advertise: string
  readonly accounts: readonly (readonly [namespace: string, name: string])[]
  readonly bookmarkMs: number
  readonly historyLimit: number
  /** Undefined where nothing is said of it. */
  readonly validity: Validity | undefined
}

function readArguments(): Options {
  const { values } = parseArgs({
    options: {
      listen: { type: 'string', default: '127.0.0.1:6443' },
      state: { type: 'string' },
      name: { type: 'string', multiple: true, default: [] },
      advertise: { type: 'string' },
      'service-account': { type: 'string', multiple: true, default: [] },
      'bookmark-ms': { type: 'string', default: '60000' },
      history: { type: 'string', default: '20000' },
      'valid-from': { type: 'string' },
      'valid-until': { type: 'string' },
    },
  })
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(values.listen) ?? []
  if (port === '') throw new Error(`--listen takes HOST:PORT, not ${values.listen}`)
  if (values.state === undefined) throw new Error('--state takes the folder to keep certificates and tokens in')
  return {
    host,
    port: Number(port),
    folder: values.state,
    names: [...values.name, ...(values.advertise === undefined ? [] : [values.advertise])],
    advertise: values.advertise ?? host,
    accounts: values['service-account'].map(account => {
      const [, namespace, name] = /^([^/]+)\/([^/]+)$/.exec(account) ?? []
      if (namespace === undefined || name === undefined)
        throw new Error(`--service-account takes NAMESPACE/NAME, not ${account}`)
      return [namespace, name] as const
    }),
    bookmarkMs: positive('--bookmark-ms', values['bookmark-ms']),
    historyLimit: positive('--history', values.history),
    validity: validityOf(values['valid-from'], values['valid-until']),
  }
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new Error(`${option} takes a number from 1, not ${text}`)
}

function validityOf(from: string | undefined, until: string | undefined): Validity | undefined {
  if (from === undefined && until === undefined) return undefined
  if (from === undefined || until === undefined) throw new Error('--valid-from and --valid-until belong together')
  const [first, last] = [new Date(from), new Date(until)]
  if (!(first < last)) throw new Error(`--valid-from and --valid-until take two times, not ${from} and ${until}`)
  return { from: first, until: last }
}

async function start(options: Options): Promise<ApiServer> {
  const { folder, host, port, names, advertise, bookmarkMs, historyLimit, validity } = options
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, 'secret')
  if (!existsSync(file)) await writeFile(file, randomBytes(24).toString('hex'), { mode: 0o600 })
  const secret = await readFile(file, 'utf8')
  const objects = await readFile(join(folder, 'objects'), 'utf8').catch(() => undefined)
  return await startApiServer({
    host,
    port,
    hosts: names,
    advertise,
    folder,
    secret,
    bookmarkMs,
    historyLimit,
    ...(objects === undefined ? {} : { saved: objects }),
    ...(validity === undefined ? {} : { validity }),
  })
}

async function writeAccess(server: ApiServer, { folder, accounts }: Options): Promise<void> {
  await writeFile(join(folder, 'kubeconfig'), server.kubeconfig(server.adminToken), { mode: 0o600 })
  await writeFile(join(folder, 'admin-token'), server.adminToken, { mode: 0o600 })
  for (const [namespace, name] of accounts) {
    const place = join(folder, 'serviceaccounts', namespace, name)
    const token = server.serviceAccount(namespace, name)
    await mkdir(place, { recursive: true })
    const files = { token, namespace, 'ca.crt': server.ca, kubeconfig: server.kubeconfig(token) }
    for (const [file, text] of Object.entries(files)) await writeFile(join(place, file), text, { mode: 0o600 })
  }
}

async function save(server: ApiServer, folder: string): Promise<void> {
  await writeFile(join(folder, 'objects.tmp'), server.save(), { mode: 0o600 })
  await rename(join(folder, 'objects.tmp'), join(folder, 'objects'))
}

const options = readArguments()
const stopped = new Promise<void>(resolve => {
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => resolve())
})
await using server = await start(options)
await writeAccess(server, options)
process.stdout.write(`listening at ${server.url}\n`)
await stopped
// Whatever it has answered shall be in the file: it answers nothing more.
await server[Symbol.asyncDispose]()
await save(server, options.folder)
