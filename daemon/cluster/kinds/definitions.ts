/** CustomResourceDefinitions (apiextensions.k8s.io/v1) of the project's own kinds. */
import { stringify } from 'yaml'
import { resourceName } from '../kubernetes/resources.ts'
import { egressPolicy } from './egress-policy.ts'
import { ipPool } from './ip-pool.ts'
import { type Kind, REVISION_ANNOTATION } from './kind.ts'
import { nodeNetwork } from './node-network.ts'
import { nodeSettings } from './node-settings.ts'
import { group, text } from './shape.ts'

export const KINDS: readonly Kind[] = [egressPolicy, ipPool, nodeNetwork, nodeSettings]

export function definitionOf(kind: Kind): object {
  const { resource, revision, shortNames, about, spec, status, columns } = kind
  const schema = group(
    { apiVersion: text(), kind: text(), metadata: { type: 'object' }, 'spec!': spec, status },
    { description: about },
  )
  const printed = columns.map(({ name, type, jsonPath, wide }) => ({
    name,
    type,
    jsonPath,
    ...(wide && { priority: 1 }),
  }))
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: resourceName(resource),
      labels: { 'app.kubernetes.io/part-of': 'causeway' },
      annotations: { [REVISION_ANNOTATION]: String(revision) },
    },
    spec: {
      group: resource.group,
      scope: resource.namespaced ? 'Namespaced' : 'Cluster',
      names: {
        kind: resource.kind,
        listKind: `${resource.kind}List`,
        plural: resource.plural,
        singular: resource.kind.toLowerCase(),
        shortNames,
        categories: ['causeway'],
      },
      versions: [
        {
          name: resource.version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
          additionalPrinterColumns: [
            ...printed,
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
        },
      ],
    },
  }
}

/** One definition as a manifest. */
export function definitionText(kind: Kind): string {
  return stringify(definitionOf(kind), { lineWidth: 120, aliasDuplicateObjects: false })
}

/** All of them as one manifest. */
export function definitionsText(): string {
  return KINDS.map(kind => `---\n${definitionText(kind)}`).join('')
}
