/** NodeSettings: configuration of the daemons of some nodes, over that of their file. */
import { RESOURCES } from '../kubernetes/resources.ts'
import { conditionColumn, type Kind } from './kind.ts'
import { conditions, group, labelSelector, rule, whole } from './shape.ts'

export const nodeSettings: Kind = {
  resource: RESOURCES.nodeSettings,
  revision: 1,
  shortNames: ['cwset'],
  about: 'Keys of the configuration for the nodes that it selects, over those of the configuration file.',
  spec: group({
    nodeSelector: labelSelector('Nodes that it is for; absent or empty: all.'),
    priority: whole(-1_000_000, 1_000_000, {
      description: 'Where several say the same key the highest counts, then the oldest, then the first by name.',
    }),
    'settings!': {
      type: 'object',
      description: 'As in the configuration file, such as routing: {mode: overlay}.',
      'x-kubernetes-preserve-unknown-fields': true,
      'x-kubernetes-validations': [
        rule(
          '!has(self.nodeName) && !has(self.cluster) && !has(self.paths)',
          'nodeName, cluster and paths belong into the configuration file: they say how this object is found',
        ),
      ],
    },
  }),
  status: group({
    nodes: whole(0, Number.MAX_SAFE_INTEGER, { format: 'int64', description: 'Nodes that it selects.' }),
    conditions,
  }),
  columns: [
    { name: 'Priority', type: 'integer', jsonPath: '.spec.priority' },
    { name: 'Nodes', type: 'integer', jsonPath: '.status.nodes' },
    conditionColumn('Ready'),
  ],
}
