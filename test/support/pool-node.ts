/** A plugin of pools on a node whose pod ranges a test sets. */
import assert from 'node:assert/strict'
import type { AddressRequest, Ipam, Lease, Parts, Plugin } from '../../daemon/plugin.ts'
import type { Clock } from '../../daemon/state/clock.ts'
import { FakeClock, settle } from './fake-clock.ts'
import { type FakeHost, fakeHost } from './fake-host.ts'

export interface PoolNode extends AsyncDisposable {
  readonly ipam: Ipam
  readonly parts: Parts
  readonly host: FakeHost
  readonly clock: FakeClock
  /** Gives the node's row these pod ranges. */
  podCidrs(...podCidrs: string[]): void
  /** Asks for an IPv4 address, unless `more` says otherwise. */
  take(owner: string, more?: Partial<AddressRequest>, signal?: AbortSignal): Promise<Lease>
  release(lease: Lease): Promise<void>
}

/** The plugin on the node `node-a` whose row has the pod ranges given, or which has no row yet. */
export async function poolNode(
  plugin: (clock: Clock) => Plugin,
  section: unknown,
  podCidrs?: readonly string[],
): Promise<PoolNode> {
  const host = fakeHost()
  const clock = new FakeClock()
  const parts = await plugin(clock).configure(section)(host)
  assert.ok(parts.ipam)
  const { ipam } = parts
  void parts.run?.(host.signal)
  const set = (...ranges: string[]): void => {
    host.tables.nodes.put({ name: 'node-a', addresses: [], podCidrs: ranges, labels: {} })
  }
  if (podCidrs) set(...podCidrs)
  const never = new AbortController().signal
  return {
    ipam,
    parts,
    host,
    clock,
    podCidrs: set,
    take: (owner, more, signal = never) =>
      ipam.allocate({ owner, pod: { namespace: '', name: '', uid: '' }, family: 4, ...more }, signal),
    release: lease => ipam.release(lease, never),
    [Symbol.asyncDispose]: () => host.stop(),
  }
}

/** What a request that is given up has waited for. */
export async function givenUp(n: PoolNode, more: Partial<AddressRequest> = {}): Promise<string> {
  const patience = new AbortController()
  const waiting = n.take('impatient', more, patience.signal)
  waiting.catch(() => undefined)
  await settle()
  patience.abort()
  return waiting.then(
    lease => `got ${lease.address}`,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
}
