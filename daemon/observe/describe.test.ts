import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SourceProblem } from '../cluster/source.ts'
import type { AnyReconciler, Parts } from '../plugin.ts'
import type { ReconcilerStatus } from '../state/reconcile.ts'
import { createTables } from '../state/tables.ts'
import { type Described, describe } from './describe.ts'

const idle = { table: 'routes', revision: 1, waitingFor: [], pruned: true, pending: [] } as const
const pending = (...rows: [key: string, error?: string][]): ReconcilerStatus['pending'] =>
  rows.map(([key, error]) => ({ key, operation: 'update', attempts: 1, ...(error === undefined ? {} : { error }) }))

interface Given {
  readonly source?: readonly SourceProblem[]
  readonly waitingFor?: string
  readonly routing?: readonly string[]
  readonly datapath?: readonly ReconcilerStatus[]
  readonly services?: readonly string[]
  readonly nat?: readonly string[]
  readonly plugin?: Parts
}
function described({
  source = [],
  waitingFor,
  routing = [],
  datapath,
  services = [],
  nat = [],
  plugin = {},
}: Given): Described {
  return {
    config: { nodeName: 'a' },
    build: { version: '1.2.3', node: '24' },
    kernel: { release: '6.18' },
    startedMs: 0,
    health: { report: () => ({ ready: true, waiting: [] }) },
    plugins: {
      parts: new Map([['mine', plugin]]),
      slots: { ipam: new Map(), constants: new Map(), commands: new Map() },
    },
    tables: createTables(),
    source: { name: 'directory', problems: () => source, waitingFor: () => waitingFor, run: () => Promise.resolve() },
    services: { problems: services },
    nat: { problems: nat },
    network: { problems: [] },
    datapath: datapath && { facts: () => ({}), problems: routing, status: () => datapath },
  }
}
const reconciler = (status?: AnyReconciler['status']): AnyReconciler => ({
  name: 'mine',
  start: () => Promise.resolve(),
  ...(status && { status }),
})

const cases: readonly (readonly [what: string, given: Given, problems: readonly string[]])[] = [
  ['nothing is wrong', { datapath: [{ ...idle, name: 'kernel-routes' }] }, []],
  ['the datapath is not up', { source: [{ place: 'x.yaml:1', message: 'is bad' }] }, ['x.yaml:1: is bad']],
  ['two services claim an address', { services: ['a is claimed by b'] }, ['services: a is claimed by b']],
  ['a pod has no port left', { nat: ['default/web has none'] }, ['masquerade: default/web has none']],
  ['a node has no way', { datapath: [], routing: ['node b has no address'] }, ['routing: node b has no address']],
  [
    'a row cannot be carried',
    {
      datapath: [{ ...idle, name: 'kernel-routes', pending: pending(['10.1.0.0/24', 'ENETUNREACH'], ['10.2.0.0/24']) }],
    },
    ['kernel-routes 10.1.0.0/24: update: ENETUNREACH'],
  ],
  [
    'a leftover cannot be removed',
    { datapath: [{ ...idle, name: 'kernel-routes', pruned: false, pruneError: 'EPERM' }] },
    ['kernel-routes: prune: EPERM'],
  ],
  [
    "a plugin's reconciler is stuck",
    {
      plugin: {
        reconcilers: [
          reconciler(),
          reconciler(() => ({ ...idle, name: 'cloud', pending: pending(['eni-1', 'denied']) })),
        ],
      },
    },
    ['cloud eni-1: update: denied'],
  ],
]
for (const [what, given, problems] of cases) {
  test(`problems of status where ${what}`, () =>
    assert.deepEqual(
      describe(described(given)).problems.map(({ place, message }) => `${place}: ${message}`),
      problems,
    ))
}

test('a source is in sync when it waits for nothing', () => {
  const sources = (waitingFor?: string) => describe(described(waitingFor === undefined ? {} : { waitingFor })).sources
  assert.deepEqual(sources(), [{ name: 'directory', synced: true }])
  assert.deepEqual(sources('x.yaml'), [{ name: 'directory', synced: false }])
})
