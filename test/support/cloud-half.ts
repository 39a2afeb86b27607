/** The node's half of addresses from a cloud by an API server: cluster source, plugin and report, as a daemon has them. */
import assert from 'node:assert/strict'
import { CloudReport } from '../../daemon/cluster/kubernetes/cloud-report.ts'
import type { Ipam, Lease, Notes, Plugin } from '../../daemon/plugin.ts'
import { systemClock } from '../../daemon/state/clock.ts'
import { eachChange } from '../../daemon/state/each-change.ts'
import { replaceRows } from '../../daemon/state/replace.ts'
import { createTables, type Tables } from '../../daemon/state/tables.ts'
import type { TestApi } from './api-server.ts'
import { fakeHost } from './fake-host.ts'
import { FakeLog } from './fake-log.ts'
import { runSource } from './kubernetes-source.ts'

export interface CloudHalf extends AsyncDisposable {
  readonly ipam: Ipam
  readonly tables: Tables
  /** Of the report. */
  readonly log: FakeLog
  /** An IPv4 address for a pod of namespace `default`. */
  take(pod: string): Promise<Lease>
  release(lease: Lease): Promise<void>
}

/** One life of the daemon of a node, with what its journal says. */
export async function startCloudHalf(
  api: TestApi,
  nodeName: string,
  {
    plugin,
    section,
    notes,
    leases = [],
  }: { plugin: Plugin; section?: unknown; notes: Notes; leases?: readonly Lease[] },
): Promise<CloudHalf> {
  await using stack = new AsyncDisposableStack()
  const tables = createTables()
  const { client, source } = stack.use(runSource(api, tables, nodeName))
  const host = { ...fakeHost(), tables, nodeName }
  const looking = eachChange([tables.cloudNics], () => look(tables), host.signal)
  const parts = await plugin.configure(section ?? {})(host)
  const { ipam } = parts
  assert.ok(ipam)
  await ipam.restore(leases, [], notes)
  const log = new FakeLog()
  const ownUids = () => source.ownUids()
  const report = new CloudReport({ client, nodeName, ownUids, tables, log, clock: systemClock })
  const running = [looking, parts.run?.(host.signal) ?? Promise.resolve(), report.run(host.signal)]
  stack.defer(async () => {
    await host.stop()
    await Promise.all(running)
  })
  const owned = stack.move()
  const never = new AbortController().signal
  return {
    ipam,
    tables,
    log,
    take: name => ipam.allocate({ owner: name, pod: { namespace: 'default', name, uid: '' }, family: 4 }, never),
    release: lease => ipam.release(lease, never),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** As the datapath does, where every interface has its device at once. */
function look({ cloudNics, cloudDevices }: Tables): void {
  const device = { usable: true, why: '', mtu: 9001, gateways: [] }
  const rows = [...cloudNics.values()].map(({ id, index: place, addresses, blocks }) => {
    return { id, ...device, name: `ens${place}`, index: place + 1, place, addresses, blocks }
  })
  replaceRows(cloudDevices, rows)
}
