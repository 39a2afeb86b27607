/** An operator that gives addresses of a cloud in memory through an API server, for tests. */
import assert from 'node:assert/strict'
import { type Json, listAt, textAt, valueAt } from '../../deploy/lab/api-server/objects/json.ts'
import { MemoryAws } from '../../plugins/cloud-core/memory/aws.ts'
import { MemoryProvider } from '../../plugins/cloud-core/memory/provider.ts'
import type { Failure, Limits, Policy } from '../../plugins/cloud-core/model.ts'
import { CloudFailure, type CloudProvider } from '../../plugins/cloud-core/provider.ts'
import type { CloudSetup } from '../../plugins/cloud-core/setup.ts'
import { node, type TestApi } from './api-server.ts'
import { FakeLog } from './fake-log.ts'
import { clientOf } from './kubernetes-source.ts'
import { type Clock, systemClock } from '../../daemon/state/clock.ts'
import { Leadership, type LeadOptions } from '../../daemon/operator/lead.ts'

const OWN = '/apis/causeway.dev/v1alpha1'
export const LIMITS: Limits = { nics: 4, slots: 9, lengths: { 4: [28, 32], 6: [80] }, wholeWrites: false }
const QUICK = { assign: 20, create: 30, attach: 20, protect: 10, observe: 10, sweep: 10, device: 10, release: 10 }

export function memoryAws(cidr = '10.9.0.0/24', timer: Clock = systemClock): MemoryAws {
  return new MemoryAws({
    timer,
    random: () => 0,
    subnets: [{ id: 'subnet-1', cidr, zone: 'zone-a' }],
    latencies: QUICK,
  })
}

/** A cloud that answers what `failing` says, by kind of call, instead. */
export interface Moody {
  readonly provider: CloudProvider
  failing: Readonly<Partial<Record<string, Failure>>>
}

export function moody(memory: MemoryAws): Moody {
  const inner = new MemoryProvider(memory)
  const moods: { failing: Moody['failing'] } = { failing: {} }
  const or = async <T>(kind: string, answer: () => Promise<T>): Promise<T> => {
    const failure = moods.failing[kind]
    if (failure !== undefined) throw new CloudFailure(failure.kind, failure.message)
    return await answer()
  }
  const provider: CloudProvider = {
    name: 'aws',
    budget: kind => inner.budget(kind),
    limits: (machine, signal) => or('limits', () => inner.limits(machine, signal)),
    call: (machine, call, signal) => or(call.kind, () => inner.call(machine, call, signal)),
    sweep: (machines, signal) => or('sweep', () => inner.sweep(machines, signal)),
  }
  return Object.assign(moods, { provider })
}

export function setupOf(provider: CloudProvider, policy: Partial<Policy> = {}): CloudSetup {
  const zone = 'zone-a'
  return {
    provider,
    machineOf: ({ name, providerId }) =>
      providerId === ''
        ? 'spec.providerID is empty'
        : { node: name, id: providerId.replace(/.*\//, ''), type: 'm', zone },
    policyOf: ({ maxPods }) => {
      const amounts = { preAllocate: 8, min: 0, maxAbove: 16, maxPods, releaseDelayMs: 1000, firstNic: 0 }
      return { families: [4], ...amounts, prefixes: true, ...policy }
    },
  }
}

export function lead(
  api: TestApi,
  setup: () => CloudSetup,
  stack: AsyncDisposableStack,
  more: Partial<LeadOptions> = {},
) {
  const { client, connection } = clientOf(api)
  stack.use(connection)
  const [stop, log] = [new AbortController(), new FakeLog()]
  const refusal = () => Promise.resolve(undefined)
  const options = { client, log, clock: systemClock, idleMs: 30_000, identity: 'operator', refusal }
  const leader = new Leadership({ ...options, cloud: setup, ...more })
  const running = leader.run(stop.signal)
  const end = async (): Promise<void> => {
    stop.abort()
    await running
  }
  stack.defer(end)
  return { leader, log, end }
}

/** A machine that starts and becomes a Node. */
export async function join(api: TestApi, memory: MemoryAws, name: string, limits = LIMITS): Promise<void> {
  memory.addMachine({ id: `i-${name}`, node: name, limits }, 'subnet-1')
  await api.admin.create('/api/v1/nodes', { ...node(name), spec: { providerID: `aws:///zone-a/i-${name}` } })
}

export const networkOf = async (api: TestApi, name: string): Promise<Json> =>
  (await api.admin.get(`${OWN}/nodenetworks/${name}`)).json
export const cloudOf = async (api: TestApi, name: string): Promise<Json | undefined> =>
  valueAt(await networkOf(api, name), 'spec', 'cloud')
export const blocksOf = async (api: TestApi, name: string): Promise<string[]> =>
  listAt(await cloudOf(api, name), 'blocks').map(block => `${textAt(block, 'block')} ${textAt(block, 'phase')}`)

/** What the daemon of a node says. */
export async function say(api: TestApi, name: string, assigned: number, waiting: number): Promise<void> {
  const cloudAddresses = { demand: [{ family: 'IPv4', assigned, waiting, cooling: 0 }], idle: [], drained: [] }
  const answer = await api.admin.patch(`${OWN}/nodenetworks/${name}/status`, { status: { cloudAddresses } })
  assert.equal(answer.status, 200, answer.text)
}
