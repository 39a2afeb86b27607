/** NodeNetwork: the network of one node, named as its Node. The operator writes its spec, the node's daemon its status. */
import { MOST_POD_ADDRESSES } from '../join-node.ts'
import { RESOURCES } from '../kubernetes/resources.ts'
import { conditionColumn, type Kind } from './kind.ts'
import { cloudAddressesStatus, cloudSpec } from './cloud-addresses.ts'
import { conditions, group, list, prefix, rule, text, whole, word } from './shape.ts'

export const nodeNetwork: Kind = {
  resource: RESOURCES.nodeNetworks,
  revision: 3,
  shortNames: ['cwn'],
  about: 'The network of one node, named as its Node. The operator assigns it, the daemon of the node reports on it.',
  spec: group(
    {
      pool: text({ maxLength: 253, description: 'The IPPool that the ranges are from.' }),
      podCidrs: list(prefix, 64, {
        description: "Ranges of the node's pods. Without any, those of Node.spec.podCIDRs count.",
        'x-kubernetes-list-type': 'set',
      }),
      cloud: cloudSpec,
    },
    {
      'x-kubernetes-validations': [
        rule(
          '!has(oldSelf.podCidrs) || (has(self.podCidrs) && oldSelf.podCidrs.all(range, range in self.podCidrs))',
          'pods may have addresses of a range: drain the node and delete its NodeNetwork instead of taking one away',
        ),
      ],
    },
  ),
  status: group({
    version: text({ maxLength: 64, description: 'Of the daemon.' }),
    bootId: text({ maxLength: 64, description: 'Of the kernel that the daemon runs on.' }),
    cloud: word(['aws', 'azure', 'gcp', 'none'], { description: "Whose network the node's links are." }),
    nativeNetwork: text({
      maxLength: 128,
      description: 'routing.nativeNetwork of the daemon; a label or annotation of the Node comes first.',
    }),
    podAddresses: list(text({ maxLength: 45 }), MOST_POD_ADDRESSES, {
      description: "Addresses of its pods outside the node's ranges; other nodes route each by itself.",
      'x-kubernetes-list-type': 'set',
    }),
    addresses: list(
      group({
        'pool!': text({ maxLength: 63 }),
        'family!': text({ maxLength: 4 }),
        'total!': whole(0, Number.MAX_SAFE_INTEGER, { format: 'int64' }),
        'used!': whole(0, Number.MAX_SAFE_INTEGER, { format: 'int64' }),
      }),
      64,
      { description: 'Addresses for pods; the daemon updates them about once a minute.' },
    ),
    cloudAddresses: cloudAddressesStatus,
    conditions,
  }),
  columns: [
    conditionColumn('Ready'),
    conditionColumn('Degraded'),
    { name: 'Pod ranges', type: 'string', jsonPath: '.spec.podCidrs' },
    { name: 'Pool', type: 'string', jsonPath: '.spec.pool' },
    { name: 'Cloud', type: 'string', jsonPath: '.status.cloud', wide: true },
    { name: 'Shortage', type: 'string', jsonPath: '.spec.cloud.shortage', wide: true },
    { name: 'Version', type: 'string', jsonPath: '.status.version', wide: true },
    {
      name: 'Reason',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Degraded")].message',
      wide: true,
    },
  ],
}
