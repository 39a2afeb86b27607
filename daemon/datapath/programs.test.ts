import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeLog } from '../../test/support/fake-log.ts'
import { settle } from '../../test/support/fake-clock.ts'
import type { ProgramConstants } from './constants.ts'
import type { DeviceHook } from './device-hooks.ts'
import { type InUse, type ProgramPlan, Programs, type Sizes } from './programs.ts'

const hook = (device: number): DeviceHook => ({ program: 'uplink_in', device })
const plan = (overlay_mtu: number, ...devices: number[]): ProgramPlan => ({
  constants: { overlay_mtu },
  hooks: devices.map(hook),
})

/** Sets that say what happens to them, in place of the kernel. */
class Kernel {
  readonly events: string[] = []
  readonly log = new FakeLog()
  /** What throws next, once each. */
  readonly failing: string[] = []
  /** Held while set: attaching to devices waits for it. */
  gate: Promise<void> = Promise.resolve()
  #loaded = 0

  readonly load = async (
    { overlay_mtu }: ProgramConstants,
    { conntrack = 0 }: Sizes,
  ): Promise<InUse & { name: string }> => {
    const name = `set${++this.#loaded}`
    this.#say(`load ${name} mtu ${overlay_mtu} conntrack ${conntrack}`)
    return await Promise.resolve({
      name,
      capacity: () => conntrack,
      programFd: () => 0,
      pin: async () => this.#say(`pin ${name}`),
      catchUp: async () => {
        this.#say(`catch up ${name}`)
        return await Promise.resolve({ copied: 0, lost: 0 })
      },
      [Symbol.dispose]: () => this.#say(`close ${name}`),
    })
  }
  readonly attachPods = ({ name }: { readonly name: string }): void => this.#say(`pods ${name}`)
  readonly attachDevices = async ({ name }: { readonly name: string }, hooks: readonly DeviceHook[]): Promise<void> => {
    this.#say(`devices ${name} ${hooks.map(h => h.device).join(',')}`)
    await this.gate
  }
  /** What happened since the last call. */
  told(): string[] {
    return this.events.splice(0)
  }

  #say(event: string): void {
    this.events.push(event)
    const failing = this.failing.findIndex(f => event.startsWith(f))
    if (failing >= 0) throw new Error(this.failing.splice(failing, 1)[0])
  }
}

async function started(): Promise<{ kernel: Kernel; programs: Programs<InUse & { name: string }> }> {
  const kernel = new Kernel()
  const programs = await Programs.start(kernel, plan(1450, 2), { conntrack: 1024 })
  assert.deepEqual(kernel.told(), [
    'load set1 mtu 1450 conntrack 1024',
    'pin set1',
    'pods set1',
    'devices set1 2',
    'catch up set1',
  ])
  return { kernel, programs }
}

test('a plan with the same constants keeps the set and puts it where it belongs', async () => {
  const { kernel, programs } = await started()
  await programs.follow(plan(1450, 2, 3))
  assert.deepEqual(kernel.told(), ['pods set1', 'devices set1 2,3'])
})

test('another constant replaces the set, which keeps the room for flows', async () => {
  const { kernel, programs } = await started()
  await programs.grow({ conntrack: 2048 })
  kernel.told()
  await programs.follow(plan(1400, 2))
  assert.equal(programs.current.name, 'set3')
  assert.deepEqual(kernel.told(), [
    'load set3 mtu 1400 conntrack 2048',
    'pin set3',
    'pods set3',
    'devices set3 2',
    'close set2',
    'catch up set3',
  ])
})

test('a set that is refused leaves everything as it is and is asked for again', async () => {
  const { kernel, programs } = await started()
  kernel.failing.push('load')
  await assert.rejects(programs.follow(plan(1400, 2)), /load/)
  assert.deepEqual(kernel.told(), ['load set2 mtu 1400 conntrack 1024'])
  assert.equal(programs.current.name, 'set1')
  await programs.follow(plan(1400, 2))
  assert.equal(programs.current.name, 'set3')
})

for (const step of ['pin set2', 'pods set2', 'devices set2'])
  test(`a replacement that fails at "${step}" puts the old set back whole and is made again`, async () => {
    const { kernel, programs } = await started()
    kernel.failing.push(step)
    await assert.rejects(programs.grow({ conntrack: 2048 }), new RegExp(step))
    assert.equal(programs.current.name, 'set1')
    assert.equal(programs.current.capacity('conntrack'), 1024, 'a growth that failed is wanted still')
    assert.deepEqual(kernel.told().slice(-5), [
      'pin set1',
      'pods set1',
      'devices set1 2',
      'catch up set1',
      'close set2',
    ])
    await programs.grow({ conntrack: 2048 })
    assert.equal(programs.current.name, 'set3')
    assert.ok(!kernel.told().includes('close set2'), 'closed once')
  })

test('a set that can be put nowhere at the moment is put everywhere by the next plan', async () => {
  const { kernel, programs } = await started()
  kernel.failing.push('devices set2', 'devices set1')
  await assert.rejects(programs.follow(plan(1400, 2)), /devices set2/)
  kernel.told()
  await programs.follow(plan(1450))
  assert.deepEqual(kernel.told(), ['pin set1', 'pods set1', 'devices set1 ', 'catch up set1'])
  await programs.follow(plan(1450))
  assert.deepEqual(kernel.told(), ['pods set1', 'devices set1 '])
})

test('what the old maps got late is carried over at the next plan when it could not be at once', async () => {
  const { kernel, programs } = await started()
  kernel.failing.push('catch up set2')
  await assert.rejects(programs.grow({ conntrack: 2048 }), /catch up/)
  assert.equal(programs.current.name, 'set2', 'every hook runs it by then')
  kernel.told()
  await programs.follow(plan(1450, 2))
  assert.deepEqual(kernel.told(), ['pin set2', 'pods set2', 'devices set2 2', 'catch up set2'])
})

test('changes asked for at once are made one after the other', async () => {
  const { kernel, programs } = await started()
  const gate = Promise.withResolvers<void>()
  kernel.gate = gate.promise
  const both = Promise.all([programs.grow({ conntrack: 2048 }), programs.follow(plan(1400, 2, 3))])
  await settle()
  assert.equal(kernel.told().at(-1), 'devices set2 2')
  gate.resolve()
  await both
  assert.deepEqual(kernel.told(), [
    'close set1',
    'catch up set2',
    'load set3 mtu 1400 conntrack 2048',
    'pin set3',
    'pods set3',
    'devices set3 2,3',
    'close set2',
    'catch up set3',
  ])
})

test('a set in use is replaced only afterwards, and a set being put in place is used only afterwards', async () => {
  const { kernel, programs } = await started()
  const gate = Promise.withResolvers<void>()
  const before = programs.use(async set => {
    await gate.promise
    return set.name
  })
  const grown = programs.grow({ conntrack: 2048 })
  const after = programs.use(async set => await Promise.resolve(set.name))
  await settle()
  assert.deepEqual(kernel.told(), [])
  gate.resolve()
  await grown
  assert.deepEqual([await before, await after], ['set1', 'set2'])
})

test('a use that fails holds up nobody', async () => {
  const { kernel, programs } = await started()
  await assert.rejects(
    programs.use(() => Promise.reject(new Error('refused'))),
    /refused/,
  )
  await programs.grow({ conntrack: 2048 })
  assert.equal(kernel.told().at(0), 'load set2 mtu 1450 conntrack 2048')
})

test('growing to what is there already changes nothing', async () => {
  const { kernel, programs } = await started()
  await Promise.all([programs.grow({ conntrack: 2048 }), programs.grow({ conntrack: 2048 })])
  assert.equal(kernel.told().filter(e => e.startsWith('load')).length, 1)
})

test('closing waits for the change that is under way', async () => {
  const { kernel, programs } = await started()
  await Promise.all([programs.grow({ conntrack: 2048 }), programs[Symbol.asyncDispose]()])
  assert.deepEqual(kernel.told().slice(-3), ['close set1', 'catch up set2', 'close set2'])
})

test('a start that cannot attach closes what it loaded', async () => {
  const kernel = new Kernel()
  kernel.failing.push('pods')
  await assert.rejects(Programs.start(kernel, plan(1450), { conntrack: 1024 }), /pods/)
  assert.equal(kernel.told().at(-1), 'close set1')
})
