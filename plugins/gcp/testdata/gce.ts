/** For tests: answers of the Compute Engine API as its reference shows them, and a provider that asks a server. */
import { serveWire, type Wire, type WireRequest, type WireServer } from '../../../test/support/wire-server.ts'
import type { Machine } from '../../cloud-core/provider.ts'
import { GcpProvider } from '../provider.ts'

export const MACHINE: Machine = {
  node: 'n1',
  id: 'p1/europe-west1-b/vm1',
  type: 'n2-standard-4',
  zone: 'europe-west1-b',
}
export const NIC = `${MACHINE.id}/nic0`
export const SUBNET_URL = 'https://www.googleapis.com/compute/v1/projects/p1/regions/europe-west1/subnetworks/nodes'

/** Answers by `GET path`, the path below `zones/europe-west1-b`. */
export type Answers = Readonly<Record<string, (request: WireRequest) => Wire>>

export interface TestCloud extends AsyncDisposable {
  readonly provider: GcpProvider
  readonly server: WireServer
  readonly asked: () => string[]
}

export async function serveGce(
  answers: Answers,
  options: { readonly rangeName?: string; readonly timeoutMs?: number; readonly ownToken?: boolean } = {},
): Promise<TestCloud> {
  const server = await serveWire(request => answers[keyOf(request)]?.(request) ?? errorAnswer(404, 'notFound'))
  const { rangeName = 'pods', timeoutMs = 5000, ownToken = false } = options
  const provider = new GcpProvider({
    rangeName,
    timeoutMs,
    otherInterfaces: false,
    endpoint: server.url,
    ...(ownToken ? {} : { authorize: () => Promise.resolve(new Headers({ authorization: 'Bearer test-token' })) }),
  })
  return {
    provider,
    server,
    asked: () => server.requests.map(keyOf),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

export function keyOf({ method, path }: WireRequest): string {
  return `${method} ${path.replace('/compute/v1/projects/p1/', '').replace('zones/europe-west1-b/', '')}`
}

export function json(body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Wire {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=UTF-8', ...headers },
    body: JSON.stringify(body),
  }
}

export function errorAnswer(code: number, reason: string, message = `words of ${reason}`): Wire {
  const error = { code, message, errors: [{ message, domain: 'global', reason }] }
  return json({ error }, code, code === 429 ? { 'retry-after': '7' } : {})
}

export interface Alias {
  readonly ipCidrRange: string
  readonly subnetworkRangeName?: string
}

export const pods = (ipCidrRange: string): Alias => ({ ipCidrRange, subnetworkRangeName: 'pods' })

export function instanceBody(aliases: readonly Alias[], fingerprint = 'f1', name = 'vm1') {
  return {
    name,
    networkInterfaces: [
      {
        name: 'nic0',
        networkIP: '10.132.0.5',
        subnetwork: SUBNET_URL,
        fingerprint,
        ...(aliases.length === 0 ? {} : { aliasIpRanges: aliases }),
      },
    ],
  }
}

export function operation(status: 'RUNNING' | 'DONE', error?: { readonly code: string; readonly message: string }) {
  return {
    kind: 'compute#operation',
    id: '1',
    name: 'operation-1',
    zone: 'https://www.googleapis.com/compute/v1/projects/p1/zones/europe-west1-b',
    operationType: 'updateNetworkInterface',
    status,
    progress: status === 'DONE' ? 100 : 0,
    ...(error === undefined ? {} : { error: { errors: [error] } }),
  }
}

const UPDATE = 'PATCH instances/vm1/updateNetworkInterface'

/** One that takes what is written, gives ranges to what has a length alone, and needs an operation for it. */
export function keptInstance(before: readonly Alias[]): Answers {
  let [aliases, next, version] = [before, 1, 1]
  return {
    'GET instances/vm1': () => json(instanceBody(aliases, `f${version}`)),
    [UPDATE]: ({ body }) => {
      const { fingerprint, aliasIpRanges } = JSON.parse(body) as {
        readonly fingerprint: string
        readonly aliasIpRanges: readonly Alias[]
      }
      if (fingerprint !== `f${version}`) return errorAnswer(412, 'conditionNotMet')
      aliases = aliasIpRanges.map(alias =>
        alias.ipCidrRange.startsWith('/') ? { ...alias, ipCidrRange: `10.4.${next++}.0${alias.ipCidrRange}` } : alias,
      )
      version++
      return json(operation('RUNNING'))
    },
    'POST operations/operation-1/wait': () => json(operation('DONE')),
  }
}
