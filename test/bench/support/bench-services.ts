/** Services of a lab whose only endpoint is the pod that the benches' servers run in. */
import { PROBE } from '../../../deploy/lab/built.ts'
import { inNamespace, runUntilItSucceeds } from '../../../deploy/lab/command.ts'
import { writeManifest } from '../../../deploy/lab/configuration.ts'
import { serviceObjects } from '../../../deploy/lab/service-manifest.ts'
import { SERVER_PORT } from './core.ts'
import type { WiredPods } from './wired-pods.ts'

export const PORT = 80
/** Connections are counted at the server two ports further on (cw-probe serve), and so is the service. */
export const PORTS = [0, 2].map(more => ({
  protocol: 'TCP' as const,
  port: PORT + more,
  targetPort: SERVER_PORT + more,
}))
/** Objects in one manifest: a daemon reads each file in one go. */
const PER_FILE = 200
const SYNC_TIMEOUT_MS = 240_000

/** Of the first 65,536 addresses of a network such as `10.100`. */
export function addressOf(network: string, i: number): string {
  return `${network}.${i >> 8}.${i & 255}`
}

/** Tells the cluster of services `from` to `to - 1`, each with the pod that the servers run in as its endpoint. */
export function writeServices(pods: WiredPods, network: string, from: number, to: number): void {
  const endpoints = [{ addresses: [pods.podAddress(4)], node: 'node1' }]
  for (let first = from; first < to; first += PER_FILE) {
    const numbers = Array.from({ length: Math.min(PER_FILE, to - first) }, (_, i) => first + i)
    const items = numbers.flatMap(i =>
      serviceObjects({ name: `bench-${i}`, clusterIPs: [addressOf(network, i)], ports: PORTS, endpoints }),
    )
    writeManifest(pods.lab.layout, `bench-${first}`, { apiVersion: 'v1', kind: 'List', items })
  }
}

/** Resolves once the daemon has carried the service into the maps: a connection by packets shows it. */
export async function untilServiceAnswers(pods: WiredPods, address: string, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(SYNC_TIMEOUT_MS)])
  const check = inNamespace(pods.places.a, [PROBE, 'check', 'tcp', address, `${PORT}`, '1', '--timeout', '500'])
  await runUntilItSucceeds(check, limit)
}
