import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ObjectError, ObjectField } from './object-field.ts'
import { parseObjects } from './parse.ts'

const locate = (path: readonly (string | number)[]): string => `at:${path.length}`

function parse(value: unknown): unknown[] {
  return parseObjects(new ObjectField(value, locate)).map(item => {
    if (item instanceof ObjectError) return item.message
    return item.kind === 'unused' ? `unused ${item.name}` : item.row
  })
}

const node = (rest: object): object => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, ...rest })
const pod = (rest: object): object => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p1' }, ...rest })
const nodeRow = { name: 'n1', addresses: [], podCidrs: [], labels: {} }
const podRow = {
  namespace: 'default',
  name: 'p1',
  uid: '',
  nodeName: '',
  addresses: [],
  hostNetwork: false,
  labels: {},
}

const good: readonly (readonly [what: string, object: unknown, rows: readonly unknown[]])[] = [
  ['a node with nothing but a name', node({}), [nodeRow]],
  [
    'a node with ranges of both families, in canonical text',
    node({ spec: { podCIDR: 'x', podCIDRs: ['10.1.2.3/24', 'FD00:0::/64'] } }),
    [{ ...nodeRow, podCidrs: ['10.1.2.0/24', 'fd00::/64'] }],
  ],
  [
    'a node with the older single range',
    node({ spec: { podCIDR: '10.1.0.0/24' } }),
    [{ ...nodeRow, podCidrs: ['10.1.0.0/24'] }],
  ],
  [
    'the first internal address of each family',
    node({
      status: {
        addresses: [
          { type: 'Hostname', address: 'n1' },
          { type: 'ExternalIP', address: '203.0.113.1' },
          { type: 'InternalIP', address: '192.0.2.1' },
          { type: 'InternalIP', address: '192.0.2.2' },
          { type: 'InternalIP', address: '2001:DB8::1' },
        ],
      },
    }),
    [{ ...nodeRow, addresses: ['192.0.2.1', '2001:db8::1'] }],
  ],
  ['fields that are null like fields that are absent', node({ spec: null, status: { addresses: null } }), [nodeRow]],
  [
    'fields nobody uses, whatever their form',
    node({ spec: { taints: 'all', providerID: 7 }, status: { images: 3 } }),
    [nodeRow],
  ],
  [
    'a pod with all its fields',
    pod({
      metadata: { name: 'p1', namespace: 'ns', uid: 'u', labels: { app: 'web' } },
      spec: { nodeName: 'n1', hostNetwork: true },
      status: { phase: 'Running', podIP: '10.1.0.2', podIPs: [{ ip: '10.1.0.2' }, { ip: 'fd00::2' }] },
    }),
    [
      {
        namespace: 'ns',
        name: 'p1',
        uid: 'u',
        nodeName: 'n1',
        addresses: ['10.1.0.2', 'fd00::2'],
        hostNetwork: true,
        labels: { app: 'web' },
      },
    ],
  ],
  [
    'a pod with the older single address',
    pod({ status: { podIP: '10.1.0.2' } }),
    [{ ...podRow, addresses: ['10.1.0.2'] }],
  ],
  ['a pod that has no address yet', pod({ status: { podIP: '', podIPs: [] } }), [podRow]],
  ['a pod that has ended, without its addresses', pod({ status: { phase: 'Succeeded', podIP: '10.1.0.2' } }), [podRow]],
  ['a list of mixed kinds', { apiVersion: 'v1', kind: 'List', items: [node({}), pod({})] }, [nodeRow, podRow]],
  [
    'a typed list whose items carry no kind',
    { apiVersion: 'v1', kind: 'PodList', items: [{ metadata: { name: 'p1' } }] },
    [podRow],
  ],
  ['an empty list', { apiVersion: 'v1', kind: 'List', items: null }, []],
  ['kinds that are not used', { apiVersion: 'apps/v1', kind: 'Deployment', spec: 1 }, ['unused apps/v1 Deployment']],
  ['a Node of another API group as another kind', { apiVersion: 'x/v1', kind: 'Node' }, ['unused x/v1 Node']],
]
for (const [what, object, rows] of good) {
  test(`the parser reads ${what}`, () => assert.deepEqual(parse(object), rows))
}

const bad: readonly (readonly [what: string, object: unknown, message: string])[] = [
  ['no object at all', 'text', 'at:0: must be a group of fields'],
  ['no kind', { apiVersion: 'v1' }, 'at:0: has no kind; a Kubernetes object has apiVersion and kind'],
  ['no version', { kind: 'Pod' }, 'at:0: has no apiVersion'],
  ['no name', { apiVersion: 'v1', kind: 'Pod' }, 'at:2: metadata.name: is missing'],
  [
    'a name that is none',
    node({ metadata: { name: 'N 1' } }),
    'at:2: metadata.name: "N 1" is no name: lower case letters, digits, - and . only',
  ],
  [
    'a range without length',
    node({ spec: { podCIDRs: ['10.0.0.0/8', '10.1.0.0'] } }),
    "at:3: spec.podCIDRs[1]: '10.1.0.0' is no prefix: /length is missing",
  ],
  ['ranges that are no list', node({ spec: { podCIDRs: '10.0.0.0/8' } }), 'at:2: spec.podCIDRs: must be a list'],
  [
    'an address that is none',
    pod({ status: { podIPs: [{ ip: '10.0.0.256' }] } }),
    "at:4: status.podIPs[0].ip: '10.0.0.256' is no IPv4 or IPv6 address",
  ],
  [
    'a label that is no text',
    pod({ metadata: { name: 'p1', labels: { a: 1 } } }),
    'at:3: metadata.labels.a: must be text, not 1',
  ],
  [
    'a flag that is text',
    pod({ spec: { hostNetwork: 'yes' } }),
    'at:2: spec.hostNetwork: must be true or false, not "yes"',
  ],
]
for (const [what, object, message] of bad) {
  test(`an object with ${what} is refused by field`, () => assert.deepEqual(parse(object), [message]))
}

test('a bad item of a list does not hide the others', () => {
  const rows = parse({ apiVersion: 'v1', kind: 'List', items: [node({}), { kind: 'Pod' }, pod({})] })
  assert.deepEqual(rows, [nodeRow, 'at:2: items[1]: has no apiVersion', podRow])
})
