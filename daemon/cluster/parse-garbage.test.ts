/** Objects in which anything may stand anywhere: each is a row, of no use, or an ObjectError, and never the end of a daemon. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../../test/support/random.ts'
import { ANNOTATION } from './annotations.ts'
import { Compactor } from './kubernetes/compact.ts'
import { networkOfNode, nodeWithUid } from './kubernetes/node-join.ts'
import { parseNodeSettings } from './node-settings.ts'
import { ObjectError, ObjectField } from './object-field.ts'
import { parseEgressPolicy } from './parse-egress-policy.ts'
import { parseEndpointSlice } from './parse-endpoint-slice.ts'
import { parseService } from './parse-service.ts'
import { parseNamespace, parseNetworkPolicy, parsePod } from './parse.ts'

const keep = new Compactor()
const selector = { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'a', operator: 'In', values: ['b'] }] }
const metadata = {
  name: 'a',
  namespace: 'b',
  uid: 'u',
  generation: 4,
  creationTimestamp: '2026-01-01T00:00:00Z',
  labels: { 'kubernetes.io/service-name': 's', [ANNOTATION.nativeNetwork]: 'x' },
  annotations: {
    [ANNOTATION.algorithm]: 'maglev',
    [ANNOTATION.tableSize]: '251',
    [ANNOTATION.forwarding]: 'dsr',
    [ANNOTATION.zoneCapacity]: '4',
    [ANNOTATION.weight]: '4',
  },
  ownerReferences: [{ kind: 'Node', uid: 'u' }],
}

const KINDS: Readonly<Record<string, { readonly parse: (object: ObjectField) => unknown; readonly good: object }>> = {
  Node: {
    parse: object => keep.node(nodeWithUid(object).row),
    good: {
      spec: { podCIDR: '10.0.0.0/24', podCIDRs: ['10.0.0.0/24'], providerID: 'gce://a/b/c' },
      status: {
        addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    },
  },
  NodeNetwork: {
    parse: networkOfNode('a'),
    good: {
      spec: {
        podCidrs: ['10.0.0.0/24'],
        cloud: {
          provider: 'aws',
          machine: 'i-1',
          nics: [
            {
              id: 'eni-1',
              mac: '02:00:00:00:00:01',
              index: 0,
              subnet: 's',
              subnetCidrs: ['10.0.0.0/24'],
              addresses: ['10.0.0.5'],
              phase: 'ready',
              token: '',
            },
          ],
          blocks: [{ block: '10.0.0.16/28', nic: 'eni-1', phase: 'allocatable', born: 1 }],
          intents: [{ token: 't', subnet: 's', length: 28, count: 1 }],
          lastBorn: 1,
          lastIntent: 1,
          shortage: '',
        },
      },
      status: { cloud: 'aws', nativeNetwork: 'x', podAddresses: ['10.0.0.1'] },
    },
  },
  Pod: {
    parse: parsePod,
    good: {
      spec: {
        nodeName: 'n',
        hostNetwork: false,
        containers: [{ ports: [{ hostPort: 1, containerPort: 2, protocol: 'TCP', hostIP: '10.0.0.1' }] }],
      },
      status: { phase: 'Running', podIP: '10.0.0.4', podIPs: [{ ip: '10.0.0.4' }] },
    },
  },
  Service: {
    parse: object => keep.service(parseService(object)),
    good: {
      spec: {
        type: 'LoadBalancer',
        clusterIP: '10.1.1.1',
        clusterIPs: ['10.1.1.1'],
        ports: [{ name: 'x', port: 80, targetPort: 80, nodePort: 30_000, protocol: 'TCP' }],
        externalIPs: ['192.0.2.1'],
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 4 } },
        loadBalancerSourceRanges: ['10.0.0.0/8'],
        externalTrafficPolicy: 'Local',
        internalTrafficPolicy: 'Local',
        trafficDistribution: 'PreferClose',
        healthCheckNodePort: 4,
        publishNotReadyAddresses: true,
      },
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.1', ipMode: 'VIP' }] } },
    },
  },
  EndpointSlice: {
    parse(object) {
      const row = parseEndpointSlice(object)
      return row === undefined ? undefined : keep.endpointSlice(row)
    },
    good: {
      addressType: 'IPv4',
      ports: [{ name: 'x', port: 4, protocol: 'TCP' }],
      endpoints: [
        {
          addresses: ['10.0.0.1'],
          conditions: { ready: true, serving: true, terminating: false },
          nodeName: 'n',
          zone: 'z',
          hints: { forZones: [{ name: 'a' }], forNodes: [{ name: 'b' }] },
        },
      ],
    },
  },
  EgressPolicy: {
    parse: parseEgressPolicy,
    good: {
      spec: {
        priority: 1,
        selectors: [{ podSelector: selector, namespaceSelector: selector }],
        destinations: ['192.0.2.0/24'],
        excludedDestinations: ['192.0.2.1/32'],
        gateways: [{ nodeSelector: selector, addresses: ['10.0.0.1'] }],
      },
    },
  },
  NodeSettings: {
    parse: parseNodeSettings,
    good: { spec: { priority: 1, nodeSelector: selector, settings: { routing: { mode: 'native' } } } },
  },
  Namespace: { parse: parseNamespace, good: {} },
  NetworkPolicy: { parse: parseNetworkPolicy, good: {} },
}

const GARBAGE: readonly unknown[] = [
  null,
  0,
  -1,
  1e300,
  '',
  'x',
  '10.0.0.0/99',
  'fe80::1%eth0',
  '\u0000',
  'a'.repeat(70_000),
  true,
  [],
  [null],
  [[]],
  {},
  { a: null },
  { constructor: 1, toString: 2, valueOf: 3 },
  JSON.parse('{"__proto__": {"name": 1}}'),
]

function spoiled(value: unknown, random: Random): unknown {
  if (random.chance(0.07)) return GARBAGE[random.below(GARBAGE.length)]
  if (Array.isArray(value)) return value.map(item => spoiled(item, random))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, spoiled(inner, random)]))
}

for (const [kind, { parse, good }] of Object.entries(KINDS))
  test(`a ${kind} with anything anywhere`, () => {
    const random = new Random()
    parse(new ObjectField({ metadata, ...good }, () => kind))
    let refused = 0
    for (let round = 0; round < 3000; round++) {
      const object = spoiled({ metadata, ...good }, random)
      try {
        parse(new ObjectField(object, () => kind))
      } catch (error) {
        if (!(error instanceof ObjectError))
          throw new Error(`${random.replay}: ${JSON.stringify(object)}`, { cause: error })
        refused++
      }
    }
    assert.ok(refused > 100 && refused < 3000, `${refused} were refused`)
  })
