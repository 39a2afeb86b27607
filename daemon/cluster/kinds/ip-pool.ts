/** IPPool: ranges that the operator hands out to nodes. */
import { RESOURCES } from '../kubernetes/resources.ts'
import { conditionColumn, type Kind } from './kind.ts'
import { conditions, group, labelSelector, list, prefix, rule, whole } from './shape.ts'

export const ipPool: Kind = {
  resource: RESOURCES.ipPools,
  revision: 1,
  shortNames: ['cwpool'],
  about: 'Ranges of which each node that it selects gets one of each family for its pods.',
  spec: group({
    'cidrs!': list(
      group(
        {
          'cidr!': prefix,
          nodePrefixLength: whole(8, 128, {
            description: 'Length of the range that a node gets; 24 for IPv4 and 64 for IPv6 unless given.',
          }),
        },
        {
          'x-kubernetes-validations': [
            rule(
              "!has(self.nodePrefixLength) || self.nodePrefixLength >= int(self.cidr.split('/')[1])",
              'nodePrefixLength must not be less than the length of cidr',
            ),
            rule(
              "!has(self.nodePrefixLength) || self.cidr.contains(':') || self.nodePrefixLength <= 32",
              'nodePrefixLength of an IPv4 range must not be more than 32',
            ),
          ],
        },
      ),
      64,
      {
        minItems: 1,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['cidr'],
        description: 'Nodes take from the first of a family that has something left.',
      },
    ),
    nodeSelector: labelSelector('Nodes that get ranges of this pool; absent or empty: all.'),
    priority: whole(-1_000_000, 1_000_000, {
      description: 'Of pools that select the same node the highest counts, then the oldest, then the first by name.',
    }),
  }),
  status: group({
    nodes: whole(0, Number.MAX_SAFE_INTEGER, { format: 'int64', description: 'Nodes that have a range of it.' }),
    free: whole(0, Number.MAX_SAFE_INTEGER, { format: 'int64', description: 'Ranges that it can still give.' }),
    conditions,
  }),
  columns: [
    { name: 'Ranges', type: 'string', jsonPath: '.spec.cidrs[*].cidr' },
    { name: 'Nodes', type: 'integer', jsonPath: '.status.nodes' },
    { name: 'Free', type: 'integer', jsonPath: '.status.free' },
    conditionColumn('Ready'),
    conditionColumn('Exhausted'),
    { ...conditionColumn('Contradicted'), wide: true },
  ],
}
