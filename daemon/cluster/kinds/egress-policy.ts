/** EgressPolicy: which pods leave the cluster by which nodes (plugins/egress-gateway/README.md). */
import { RESOURCES } from '../kubernetes/resources.ts'
import { conditionColumn, type Kind } from './kind.ts'
import { address, conditions, group, labelSelector, list, prefix, rule, text, whole } from './shape.ts'

export const egressPolicy: Kind = {
  resource: RESOURCES.egressPolicies,
  revision: 1,
  shortNames: ['cwegress'],
  about: 'Pods that it selects reach destinations outside the cluster by chosen nodes, with chosen addresses.',
  spec: group({
    'selectors!': list(
      group({
        podSelector: labelSelector('Pods; absent or empty: all.'),
        namespaceSelector: labelSelector('Namespaces; absent or empty: all.'),
      }),
      64,
      { minItems: 1, description: 'A pod that one of them selects.' },
    ),
    'destinations!': list(prefix, 1024, { minItems: 1, description: 'Outside the cluster.' }),
    excludedDestinations: list(prefix, 1024, { description: 'Of these, what leaves as if there were no policy.' }),
    'gateways!': list(
      group(
        {
          'nodeSelector!': labelSelector('Nodes that are gateways.'),
          addresses: list(address, 16, { description: 'A node uses those of them that it has.' }),
          device: text({ maxLength: 15, description: 'Instead of addresses: the first address of this device.' }),
        },
        {
          'x-kubernetes-validations': [
            rule(
              '!(has(self.device) && has(self.addresses) && size(self.addresses) > 0)',
              'device must be absent beside addresses, which are used whatever device they are on',
            ),
          ],
        },
      ),
      64,
      { minItems: 1, description: 'The first that selects a node counts for it.' },
    ),
    priority: whole(-1_000_000, 1_000_000, {
      description: 'Of policies that name the same destination the higher wins.',
    }),
  }),
  status: group({
    gateways: whole(0, Number.MAX_SAFE_INTEGER, { format: 'int64', description: 'Nodes that are gateways.' }),
    conditions,
  }),
  columns: [
    { name: 'Destinations', type: 'string', jsonPath: '.spec.destinations' },
    { name: 'Priority', type: 'integer', jsonPath: '.spec.priority' },
    { name: 'Gateways', type: 'integer', jsonPath: '.status.gateways' },
    conditionColumn('Ready'),
    { ...conditionColumn('SelectsPods'), wide: true },
  ],
}
