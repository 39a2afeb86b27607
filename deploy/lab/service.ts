/** The lab's own service: all pods serve it, at a cluster address of each family that pods have. */
import { ANNOTATION } from '../../daemon/cluster/annotations.ts'
import type { Address, Family } from '../../daemon/kernel/kernel.ts'
import { nodeCgroupPath } from './cgroup.ts'
import { runUntilItSucceeds } from './command.ts'
import { type LabOptions, podFamilies, writeManifest, zoneOf } from './configuration.ts'
import { inStation } from './inside.ts'
import { type LabLayout, PROBE_PORT } from './layout.ts'
import { type Service, serviceObjects, type ServiceEndpoint } from './service-manifest.ts'
import type { Lab, Station } from './state.ts'

export const SERVICE_NAME = 'probe'
/** Other than the pods' own, so that a check that reaches a pod without translation fails. */
export const SERVICE_PORT = 80
/** At every node's own addresses. */
export const NODE_PORT = 30_080
const ADDRESSES: Readonly<Record<Family, Address>> = { 4: '10.96.0.80', 6: 'fd00:96::80' }
const PROTOCOLS = ['TCP', 'UDP'] as const
const ASK_TIMEOUT_MS = 1000
const ANSWER_TIMEOUT_MS = 30_000

/**
 * Where there are pods to serve it, and a daemon of the project, which translates services for sockets of a node's cgroup;
 * one of others need not know services.
 */
export function hasService({ daemon, pods }: Pick<LabOptions, 'daemon' | 'pods'>): boolean {
  return pods > 0 && daemon === undefined && nodeCgroupPath('any', 'any') !== undefined
}

export function serviceAddresses(options: Pick<LabOptions, 'set'>): Address[] {
  return podFamilies(options).map(family => ADDRESSES[family])
}

/** Services that tell who answers: to one client always the same, on its node, in its zone, past the node it asks. */
export const CHOOSERS = {
  sticky: { index: 1, nodePort: 30_081, seesClient: false, spec: { sessionAffinity: 'ClientIP' } },
  local: {
    index: 2,
    nodePort: 30_082,
    seesClient: true,
    spec: { internalTrafficPolicy: 'Local', externalTrafficPolicy: 'Local' },
  },
  near: { index: 3, nodePort: 30_083, seesClient: false, spec: { trafficDistribution: 'PreferSameZone' } },
  direct: { index: 4, nodePort: 30_084, seesClient: true, spec: {} },
} as const
export type Chooser = keyof typeof CHOOSERS
/** Where a pod says who it is (cw-probe serve). */
export const WHO_PORT = PROBE_PORT + 3
/** Of the service `direct` too: where pods are served as by the lab's own service. */
export const DIRECT_NODE_PORT = 30_085

export function chooserAddresses(name: Chooser, options: Pick<LabOptions, 'set'>): Address[] {
  const last = 80 + CHOOSERS[name].index
  return podFamilies(options).map(family => (family === 4 ? `10.96.0.${last}` : `fd00:96::${last}`))
}

function writeChooser(name: Chooser, lab: LabLayout, options: LabOptions, pods: readonly ServiceEndpoint[]): void {
  const { nodePort, spec } = CHOOSERS[name]
  const items = serviceObjects({
    name,
    clusterIPs: chooserAddresses(name, options),
    ports: [{ protocol: 'TCP', port: SERVICE_PORT, targetPort: WHO_PORT, nodePort }],
    endpoints: pods,
    spec: { type: 'NodePort', ...spec },
    ...differences(name, pods),
  })
  writeManifest(lab, `service-${name}`, { apiVersion: 'v1', kind: 'List', items })
}
function differences(name: Chooser, pods: readonly ServiceEndpoint[]): Partial<Service> {
  if (name === 'near') return { endpoints: pods.map(pod => ({ ...pod, zone: zoneOf({ name: pod.node }) })) }
  if (name !== 'direct') return {}
  const { nodePort } = CHOOSERS.direct
  return {
    annotations: { [ANNOTATION.forwarding]: 'dsr' },
    // Of one node, so that of the others it is known which way they take.
    endpoints: pods.filter(pod => pod.node === pods.at(-1)?.node),
    ports: [
      { protocol: 'TCP', port: SERVICE_PORT, targetPort: WHO_PORT, nodePort },
      ...PROTOCOLS.map(protocol => ({
        protocol,
        port: SERVICE_PORT + 1,
        targetPort: PROBE_PORT,
        nodePort: DIRECT_NODE_PORT,
      })),
    ],
  }
}

/** Tells the cluster of the services. */
export function writeServices(lab: LabLayout, options: LabOptions, pods: readonly ServiceEndpoint[]): void {
  for (const name of Object.keys(CHOOSERS) as Chooser[]) writeChooser(name, lab, options, pods)
  const items = serviceObjects({
    name: SERVICE_NAME,
    clusterIPs: serviceAddresses(options),
    ports: PROTOCOLS.map(protocol => ({
      protocol,
      port: SERVICE_PORT,
      targetPort: PROBE_PORT,
      nodePort: NODE_PORT,
    })),
    endpoints: pods,
    spec: { type: 'NodePort', selector: { app: 'probe' } },
  })
  writeManifest(lab, `service-${SERVICE_NAME}`, { apiVersion: 'v1', kind: 'List', items })
}

/**
 * Resolves once the service answers somebody of a node. Rejects when that takes too long. What the daemon has planned is in the maps some
 * milliseconds later: only asking the service shows that.
 */
export async function serviceAnswers(lab: Lab, asker: Station, probe: string, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)])
  for (const address of serviceAddresses(lab.options))
    for (const protocol of ['tcp', 'udp']) {
      const check = [probe, 'check', protocol, address, `${SERVICE_PORT}`, '1', '--timeout', `${ASK_TIMEOUT_MS}`]
      await runUntilItSucceeds(inStation(lab, asker, check), limit)
    }
}
