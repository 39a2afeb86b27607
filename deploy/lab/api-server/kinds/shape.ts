/**
 * Which lists of an object are merged entry by entry, and what tells their entries apart. What is not named here is
 * replaced as a whole. Source: `patchMergeKey`, `patchStrategy`, `listType` and `listMapKey` of the types in k8s.io/api.
 */
export interface Shape {
  /** By field. */
  readonly fields?: Readonly<Record<string, Shape>>
  /** Of every value of a map. */
  readonly values?: Shape
  /** A list whose entries are told apart by these fields in server-side apply. */
  readonly keys?: readonly string[]
  /** The one field that tells entries apart in a strategic merge patch, where it is not the first of `keys`. */
  readonly patchKey?: string
  /** A list of values, each at most once. */
  readonly set?: boolean
  /** Of the entries of a list. */
  readonly items?: Shape
  /** Replaced as a whole though it is a map. */
  readonly atomic?: boolean
}

const byType: Shape = { keys: ['type'] }
const named: Shape = { keys: ['name'] }

const container: Shape = {
  fields: {
    ports: { keys: ['containerPort', 'protocol'] },
    env: named,
    volumeMounts: { keys: ['mountPath'] },
    volumeDevices: { keys: ['devicePath'] },
    resources: { fields: { claims: named } },
  },
}
const containers: Shape = { keys: ['name'], items: container }

const podSpec: Shape = {
  fields: {
    volumes: named,
    initContainers: containers,
    containers,
    ephemeralContainers: containers,
    imagePullSecrets: named,
    hostAliases: { keys: ['ip'] },
    topologySpreadConstraints: { keys: ['topologyKey', 'whenUnsatisfiable'] },
    schedulingGates: named,
    resourceClaims: named,
    nodeSelector: { atomic: true },
  },
}

const metadata: Shape = {
  fields: { ownerReferences: { keys: ['uid'] }, finalizers: { set: true } },
}

function object(fields: Readonly<Record<string, Shape>> = {}): Shape {
  return { fields: { metadata, ...fields } }
}

const selector: Shape = { atomic: true }
const workload: Shape = object({
  spec: { fields: { selector, template: { fields: { metadata, spec: podSpec } } } },
  status: { fields: { conditions: byType } },
})
const webhooks: Shape = object({ webhooks: { keys: ['name'], items: { fields: { matchConditions: named } } } })

/** By `group/kind`. */
const BUILT_IN: Readonly<Record<string, Shape>> = {
  '/Node': object({
    spec: { fields: { podCIDRs: { set: true } } },
    status: { fields: { conditions: byType, addresses: byType } },
  }),
  '/Pod': object({
    spec: podSpec,
    status: { fields: { conditions: byType, podIPs: { keys: ['ip'] }, hostIPs: { keys: ['ip'] } } },
  }),
  '/Service': object({
    spec: { fields: { ports: { keys: ['port', 'protocol'] }, selector } },
    status: { fields: { conditions: byType } },
  }),
  '/Namespace': object({ status: { fields: { conditions: byType } } }),
  '/ServiceAccount': object({ secrets: named }),
  'apps/Deployment': workload,
  'apps/DaemonSet': workload,
  'apps/ReplicaSet': workload,
  'apps/StatefulSet': workload,
  'policy/PodDisruptionBudget': object({
    spec: { fields: { selector } },
    status: { fields: { conditions: byType } },
  }),
  'discovery.k8s.io/EndpointSlice': object(),
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': webhooks,
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': webhooks,
  'apiextensions.k8s.io/CustomResourceDefinition': object({ status: { fields: { conditions: byType } } }),
}

/** The shape of one of Kubernetes' own kinds; of one that is not listed, that of every object. */
export function builtInShape(group: string, kind: string): Shape {
  return BUILT_IN[`${group}/${kind}`] ?? object()
}

/** The shape of an object of a custom resource, whose own part comes from its schema. */
export function customShape(own: Shape): Shape {
  return { ...own, fields: { ...own.fields, metadata } }
}
