/** A service with one backend, for tests in which pods of two CNIs ask and serve. */
import { inStation } from '../../deploy/lab/inside.ts'
import { runCommand } from '../../deploy/lab/command.ts'
import { removeManifest, writeManifest } from '../../deploy/lab/configuration.ts'
import { PROBE_PORT } from '../../deploy/lab/layout.ts'
import { serviceObjects } from '../../deploy/lab/service-manifest.ts'
import type { Address } from '../../daemon/kernel/kernel.ts'
import type { Cluster } from './cluster.ts'
import type { CheckResult, ClusterStation } from './cluster-station.ts'

export interface MigrationService extends Disposable {
  readonly name: string
  readonly address: Address
  readonly port: number
  readonly nodePort: number
  /** The IPv4 address that serves it, at `targetPort`. */
  readonly backend: Address
  readonly targetPort: number
}

/** Tells the cluster of the service, until it is disposed of; `index` makes its address and node port. */
export function writeMigrationService(
  cluster: Cluster,
  name: string,
  index: number,
  backend: ClusterStation,
): MigrationService {
  const { layout } = cluster.lab
  const service = {
    name,
    address: `10.96.0.${index}`,
    port: 80,
    nodePort: 30_000 + index,
    backend: backend.address(4),
    targetPort: PROBE_PORT,
  }
  const { address, port, nodePort, targetPort } = service
  const items = serviceObjects({
    name,
    clusterIPs: [address],
    ports: [{ protocol: 'TCP', port, targetPort, nodePort }],
    endpoints: [{ addresses: [service.backend], node: backend.node }],
    spec: { type: 'NodePort' },
  })
  writeManifest(layout, `service-${name}`, { apiVersion: 'v1', kind: 'List', items })
  return { ...service, [Symbol.dispose]: () => removeManifest(layout, `service-${name}`) }
}

/** An exchange with the service from within the cgroup of the client's node, whose programs see the socket. */
export async function bySocket(
  cluster: Cluster,
  client: ClusterStation,
  { address, port }: MigrationService,
): Promise<CheckResult> {
  const { name, netns, node, addresses } = client
  const check = [cluster.built.probe, 'check', 'tcp', address, `${port}`, '20000', '--timeout', '3000']
  const command = inStation(cluster.lab, { kind: 'pod', name, netns, node, addresses }, check)
  const { stdout, stderr } = await runCommand(command)
  return stdout === '' ? { ok: false, ms: 0, error: stderr } : (JSON.parse(stdout) as CheckResult)
}
