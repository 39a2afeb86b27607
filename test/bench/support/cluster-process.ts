/**
 * `cluster-process.ts ADDRESS FOLDER SIZE`: an API server that holds a big cluster, in a process and a network namespace of
 * its own. Whoever started it asks for changes and counters by messages (`cluster-server.ts`); it ends with its parent.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ApiClient } from '../../../deploy/lab/api-server/client.ts'
import { type ApiServer, startApiServer } from '../../../deploy/lab/api-server/server.ts'
import { installChart } from '../../../deploy/lab/kubernetes/install-chart.ts'
import {
  changedService,
  type ClusterSize,
  conditionsOf,
  ENDPOINTS,
  endpointsOf,
  namespaceOf,
  nodeName,
  objectsOf,
  podName,
  serviceName,
  sliceName,
} from './big-cluster.ts'
import type { Asked, ChangeKind, Made, Question } from './cluster-server.ts'

const NAMESPACE = 'kube-system'
const PORT = 6443
/** Bookmarks are no bytes of a change. */
const NEVER_MS = 3_600_000

const [, , host = '', folder = '', sizeText = '{}'] = process.argv
// Whoever starts this writes it.
const size = JSON.parse(sizeText) as ClusterSize
await using server = await startApiServer({ host, port: PORT, bookmarkMs: NEVER_MS })
writeAccounts(server)
await using admin = new ApiClient({ url: server.url, ca: server.ca, token: server.adminToken })
await installChart(admin)
server.load(objectsOf(size))
server.resetCounters()
const ended = new Promise<void>(resolve => process.once('disconnect', resolve))
process.on('message', (question: Asked) => {
  void answer(question).then(
    value => process.send?.({ id: question.id, value }),
    (error: unknown) => process.send?.({ id: question.id, error: String(error) }),
  )
})
process.send?.({ id: 0, value: 'listening' })
await ended

/** As pods have them mounted. */
function writeAccounts(of: ApiServer): void {
  for (const name of ['causeway', 'causeway-operator']) {
    const place = join(folder, 'serviceaccounts', NAMESPACE, name)
    mkdirSync(place, { recursive: true, mode: 0o700 })
    writeFileSync(join(place, 'token'), of.serviceAccount(NAMESPACE, name), { mode: 0o600 })
    writeFileSync(join(place, 'ca.crt'), of.ca)
  }
}

async function answer(question: Question): Promise<unknown> {
  switch (question.ask) {
    case 'counters':
      return server.counters()
    case 'changes':
      return await changes(question)
  }
}

/** Makes changes one after another, or at a rate; says when each was asked of the API server. */
async function changes({ kind, count, perSecond, round }: Extract<Question, { ask: 'changes' }>): Promise<Made[]> {
  const made: Promise<Made>[] = []
  const started = performance.now()
  for (let n = 0; n < count; n++) {
    if (perSecond > 0) await delay(Math.max(0, started + (n * 1000) / perSecond - performance.now()))
    const one = change(kind, n, round)
    made.push(one)
    if (perSecond === 0) await one
  }
  return await Promise.all(made)
}

/** Change number `n` of a round; those of the next round are back to what was before. */
async function change(kind: ChangeKind, n: number, round: number): Promise<Made> {
  const { index, path, body } = changeOf(kind, n, round)
  const atNs = process.hrtime.bigint()
  const { status, text } = await admin.patch(path, body)
  if (status !== 200) throw new Error(`${path}: ${status} ${text}`)
  return { index, atNs: `${atNs}`, answeredNs: `${process.hrtime.bigint()}` }
}

function changeOf(kind: ChangeKind, n: number, round: number): { index: number; path: string; body: object } {
  const service = changedService(n, size)
  const namespace = namespaceOf(service, size)
  switch (kind) {
    case 'slice': {
      const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices/${sliceName(service)}`
      return { index: service, path, body: { endpoints: endpointsOf(service, ENDPOINTS - (round % 2), size) } }
    }
    case 'service': {
      const path = `/api/v1/namespaces/${namespace}/services/${serviceName(service)}`
      return { index: service, path, body: { spec: { sessionAffinity: round % 2 === 1 ? 'ClientIP' : 'None' } } }
    }
    case 'heartbeat': {
      const node = ((n * 7) % size.nodes) + 1
      const path = `/api/v1/nodes/${nodeName(node)}/status`
      return { index: node, path, body: { status: { conditions: conditionsOf(round * 10_000 + n + 1) } } }
    }
    case 'pod elsewhere': {
      const pod = size.ownPods + ((n * 7) % (size.pods - size.ownPods))
      const space = namespaceOf(Math.floor(pod / ENDPOINTS), size)
      const path = `/api/v1/namespaces/${space}/pods/${podName(pod)}`
      return { index: pod, path, body: { metadata: { annotations: { changed: `${round} ${n}` } } } }
    }
  }
}
