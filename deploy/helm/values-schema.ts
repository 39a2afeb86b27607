/** Prints values.schema.json: `node deploy/helm/values-schema.ts`. helm and `values.ts` refuse what it does not allow. */
import { configSchema } from './config-schema.ts'

type Schema = Readonly<Record<string, unknown>>

const text: Schema = { type: 'string' }
const name: Schema = { type: 'string', minLength: 1 }
const flag: Schema = { type: 'boolean' }
const map: Schema = { type: 'object' }
const texts: Schema = { type: 'object', additionalProperties: { type: 'string' } }
const list: Schema = { type: 'array', items: { type: 'object' } }
const port: Schema = { type: 'integer', minimum: 1, maximum: 65_535 }
const whole: Schema = { type: 'integer', minimum: 0 }
const folder: Schema = { type: 'string', pattern: '^(/[^/]+)+$' }
const dnsName: Schema = { type: 'string', pattern: '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$' }

/** A map with these keys and no others; `required` ones must be there, also when they are taken away by null. */
function keys(properties: Readonly<Record<string, Schema>>, required = Object.keys(properties)): Schema {
  return { type: 'object', additionalProperties: false, required, properties }
}

/** What both workloads have. */
const workload = {
  nodeSelector: texts,
  tolerations: list,
  priorityClassName: text,
  terminationGracePeriodSeconds: whole,
  resources: map,
  podAnnotations: texts,
  podLabels: texts,
  extraEnv: { type: 'array', items: { type: 'object', required: ['name'], properties: { name } } },
}

const daemon = keys({
  ...workload,
  affinity: map,
  updateStrategy: keys({ type: { enum: ['RollingUpdate', 'OnDelete'] }, rollingUpdate: map }, ['type']),
  security: keys({
    capabilities: { type: 'array', items: { type: 'string', pattern: '^[A-Z_]+$' }, minItems: 1 },
    seccompProfile: map,
    appArmorProfile: map,
    seLinuxOptions: map,
  }),
  preflight: flag,
  mounts: flag,
  uninstall: flag,
  hostPaths: keys({ bpffs: folder, cgroup: folder, netns: folder }),
})

const operator = keys({
  ...workload,
  replicas: { type: 'integer', minimum: 1 },
  port,
  hostNetwork: flag,
  podDisruptionBudget: flag,
  serviceAccountAnnotations: texts,
  credentialsSecret: text,
})

/** The same for all nodes and, as NodeSettings, for some. */
const config: Schema = { $ref: '#/definitions/config' }

const ipPool = keys(
  {
    name: dnsName,
    cidrs: {
      type: 'array',
      minItems: 1,
      items: keys({
        cidr: { type: 'string', pattern: '/[0-9]+$' },
        nodePrefixLength: { type: 'integer', minimum: 8, maximum: 128 },
      }),
    },
    nodeSelector: map,
  },
  ['name', 'cidrs'],
)

const nodeSettings = keys({ name: dnsName, nodeSelector: map, priority: { type: 'integer' }, settings: config }, [
  'name',
  'settings',
])

const monitoring = keys({
  serviceMonitor: keys({
    enabled: flag,
    interval: { type: 'string', pattern: '^[0-9]+(ms|s|m|h)$' },
    labels: texts,
    tlsConfig: map,
  }),
  rules: keys({ enabled: flag, labels: texts }),
  dashboard: keys({ enabled: flag, labels: texts }),
})

const root = keys({
  image: keys({
    repository: name,
    tag: text,
    digest: { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' },
    pullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] },
    pullSecrets: list,
  }),
  clusterName: { type: 'string', pattern: '^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$' },
  apiServers: { type: 'array', items: { type: 'string', pattern: '^https://' } },
  config,
  ipPools: { type: 'array', items: ipPool },
  nodeSettings: { type: 'array', items: nodeSettings },
  metrics: keys({
    address: { type: 'string', pattern: '^([0-9]+(\\.[0-9]+){3})?$' },
    port,
    tls: keys({ secret: text, clientCa: flag }),
  }),
  daemon,
  operator,
  monitoring,
  admissionPolicy: keys({ enabled: flag }),
  networkPolicy: keys({ enabled: flag, from: list }),
})

/** One enabled on a host network would hold for nothing. */
const networkPolicyHolds: Schema = {
  if: { properties: { networkPolicy: { properties: { enabled: { const: true } } } } },
  then: { properties: { operator: { properties: { hostNetwork: { const: false } } } } },
}

/** helm adds `global` for charts within charts. */
export function valuesSchema(): string {
  const { properties, ...rest } = root
  const all = { ...(properties as object), global: map }
  const definitions = { config: configSchema() }
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    definitions,
    ...rest,
    properties: all,
    ...networkPolicyHolds,
  }
  return `${JSON.stringify(schema, undefined, 2)}\n`
}

if (import.meta.main) process.stdout.write(valuesSchema())
