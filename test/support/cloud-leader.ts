/** An operator that leads over a cloud in memory and a test's API server. */
import { systemClock } from '../../daemon/state/clock.ts'
import { Leadership } from '../../daemon/operator/lead.ts'
import { AWS_BUDGETS, MemoryAws } from '../../plugins/cloud-core/memory/aws.ts'
import type { Failure } from '../../plugins/cloud-core/model.ts'
import { CloudFailure, type CloudProvider } from '../../plugins/cloud-core/provider.ts'
import type { CloudSetup } from '../../plugins/cloud-core/setup.ts'
import { node, type TestApi } from './api-server.ts'
import { FakeLog } from './fake-log.ts'
import { clientOf } from './kubernetes-source.ts'

const LIMITS = { nics: 4, slots: 9, lengths: { 4: [28, 32], 6: [80] }, wholeWrites: false } as const
const QUICK = { assign: 20, create: 30, attach: 20, protect: 10, observe: 10, sweep: 10, device: 10, release: 10 }

export function memoryCloud(): MemoryAws {
  return new MemoryAws({
    timer: systemClock,
    random: () => 0,
    subnets: [{ id: 'subnet-1', cidr: '10.9.0.0/24', zone: 'zone-a' }],
    latencies: QUICK,
  })
}

function providerOf(memory: MemoryAws): CloudProvider {
  const asked = <T>(ask: (done: (answer: T | { message: string }) => void) => void): Promise<T> =>
    new Promise((resolve, reject) =>
      ask(answer => {
        if (Object(answer) === answer && 'message' in (answer as object)) reject(failureOf(answer))
        else resolve(answer as T)
      }),
    )
  return {
    name: 'aws',
    budget: kind => AWS_BUDGETS[kind],
    limits: () => Promise.resolve(LIMITS),
    call: (machine, call) => asked(done => memory.call(machine.id, call, done)),
    sweep: () => asked(done => memory.sweep(done)),
  }
}

function failureOf(answer: unknown): CloudFailure {
  const { kind, message } = answer as Failure
  return new CloudFailure(kind, message)
}

function setupOf(memory: MemoryAws): CloudSetup {
  return {
    provider: providerOf(memory),
    machineOf: row =>
      row.providerId === ''
        ? 'spec.providerID is empty'
        : { node: row.name, id: row.providerId.replace(/.*\//, ''), type: 'm', zone: 'zone-a' },
    policyOf: () => {
      return {
        families: [4],
        preAllocate: 8,
        min: 0,
        maxAbove: 16,
        maxPods: 110,
        releaseDelayMs: 1000,
        firstNic: 0,
        prefixes: true,
      }
    },
  }
}

/** An operator that leads, until the stack is disposed of or it is ended. */
export function lead(api: TestApi, memory: MemoryAws, stack: AsyncDisposableStack) {
  const { client, connection } = clientOf(api)
  stack.use(connection)
  const [stop, log] = [new AbortController(), new FakeLog()]
  const refusal = () => Promise.resolve(undefined)
  const options = { client, log, clock: systemClock, idleMs: 30_000, identity: 'operator', refusal }
  const leader = new Leadership({ ...options, cloud: () => setupOf(memory) })
  const running = leader.run(stop.signal)
  const end = async (): Promise<void> => {
    stop.abort()
    await running
  }
  stack.defer(end)
  return { leader, log, end }
}

/** A machine of the cloud joins the cluster. */
export async function joinCloud(api: TestApi, memory: MemoryAws, name: string): Promise<void> {
  memory.addMachine({ id: `i-${name}`, node: name, limits: LIMITS }, 'subnet-1')
  await api.admin.create('/api/v1/nodes', { ...node(name), spec: { providerID: `aws:///zone-a/i-${name}` } })
}
